//! What a medical record is: pure rules, no SQL, no HTTP, no clock.

pub mod record;
pub mod search;
