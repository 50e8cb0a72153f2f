//! What a patient is: pure rules, no SQL, no HTTP, no clock.

pub mod care_team;
pub mod consent;
pub mod hold;
pub mod patient;
pub mod search;
pub mod until;
