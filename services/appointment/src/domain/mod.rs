//! Appointments without database, HTTP or clock: time, hours, slots, status, and what makes a booking valid.

pub mod appointment;
pub mod care;
pub mod feed;
pub mod history;
pub mod local;
pub mod notice;
pub mod referral;
pub mod search;
pub mod slots;
pub mod span;
pub mod status;
pub mod week;
