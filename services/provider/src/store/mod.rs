//! Where providers are kept: SQL and sealing, and nothing that decides.

pub mod provider;
pub mod renewal;
pub mod time_off;
