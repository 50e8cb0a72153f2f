//! Background work.

pub mod erased_before;
pub mod forget;
