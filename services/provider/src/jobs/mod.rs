//! Background work.

pub mod ask;
pub mod remind;
