//! Background work.

pub mod care;
pub mod outside;
