//! Background work.

pub mod purge;
