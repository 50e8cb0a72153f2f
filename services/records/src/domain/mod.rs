//! What a medical record is: pure rules, no SQL, no HTTP, no clock.

pub mod break_glass;
pub mod record;
pub mod search;
