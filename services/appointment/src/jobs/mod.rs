//! Background work.

pub mod care;
pub mod holds;
pub mod outside;
pub(crate) mod review;
pub mod waitlist;
pub mod webhooks;
