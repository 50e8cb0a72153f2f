//! Background work.

pub mod deliver;
pub mod forget;
pub mod remind;
mod sent;
