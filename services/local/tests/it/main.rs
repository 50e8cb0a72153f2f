//! Files that stand beside the program.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says so by failing")]

mod compose;
