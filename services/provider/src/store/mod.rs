//! Where providers are kept: SQL and sealing, and nothing that decides.

pub mod credential;
pub mod exclusion;
pub mod provider;
pub mod reminder;
pub mod renewal;
pub mod time_off;
