//! Where records are kept: SQL and sealing, and nothing that decides.

pub mod amendment;
pub mod break_glass;
pub mod erase;
pub mod record;
