//! Background work.

pub mod keys;
pub mod purge;
