//! Where patients are kept: SQL and sealing, and nothing that decides.

pub mod care_team;
pub mod consent;
pub mod erase;
pub mod hold;
pub mod patient;
pub mod renewal;
