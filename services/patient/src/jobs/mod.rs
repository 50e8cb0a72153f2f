//! Background work.

pub mod erase;
