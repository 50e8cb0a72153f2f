//! Background work.

pub mod erased_before;
