//! The service's SQL, a file per aggregate.

pub mod appointment;
pub mod care;
pub mod change;
pub mod erase;
pub mod feed;
pub mod referral;
pub mod renewal;
pub mod search;
pub mod taken;
