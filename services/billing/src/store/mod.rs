//! Where bills are kept: SQL and sealing, and nothing that decides.

pub mod bill;
pub mod erase;
pub mod list;
pub mod renewal;
pub mod shelf;
