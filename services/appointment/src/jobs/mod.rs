//! Background work.

pub mod care;
