//! Where records are kept: SQL and sealing, and nothing that decides.

pub mod break_glass;
pub mod record;
