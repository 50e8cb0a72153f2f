//! Background work.

pub mod forget;
