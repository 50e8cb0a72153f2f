//! The service's SQL, a file per aggregate.

pub mod among;
pub mod appointment;
pub mod care;
pub mod change;
pub mod erase;
pub mod feed;
pub mod hold;
pub mod outside;
pub mod outside_busy;
pub mod outside_event;
pub mod outside_watch;
pub mod referral;
pub mod renewal;
pub mod search;
pub mod series;
pub mod state;
pub mod statistics;
pub mod taken;
pub mod waitlist;
pub mod webhook;
