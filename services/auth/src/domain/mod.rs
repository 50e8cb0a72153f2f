//! Who may log in and how: pure rules, no SQL, no HTTP, no clock.

pub mod address;
pub mod budget;
pub mod policy;
pub mod role;
pub mod session;
pub mod user;
pub mod username;
