//! The database crate's tests: everything on both engines.
