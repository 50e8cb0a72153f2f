//! What a patient is: pure rules, no SQL, no HTTP, no clock.

pub mod patient;
pub mod search;
