//! Appointments without database, HTTP or clock: time, hours, slots, status, and what makes a booking valid.

pub mod appointment;
pub mod cancellation;
pub mod care;
pub mod conflict;
pub mod feed;
pub mod history;
pub mod hold;
pub mod local;
pub mod notice;
pub mod outside;
pub mod picture;
pub mod recurrence;
pub mod referral;
pub mod report;
pub mod search;
pub mod series;
pub mod slots;
pub mod span;
pub mod statistics;
pub mod status;
pub mod taken;
pub mod visit;
pub mod waitlist;
pub mod webhook;
pub mod week;
