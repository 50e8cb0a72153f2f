//! Background work.

pub mod care;
pub(crate) mod review;
