//! Users, as administrators see them.

pub mod create;
pub mod delete;
pub mod list;
pub mod read;
pub mod set_password;
pub mod update;
