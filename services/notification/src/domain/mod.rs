//! What a notification is and how its delivery goes: pure rules, no SQL, no HTTP, no clock.

pub mod credential_expiring;
pub mod delivery;
pub mod emergency;
pub mod notification;
pub mod outside_hours;
pub mod referral;
pub mod search;
