//! Background work.

pub mod care;
pub mod holds;
pub mod waitlist;
