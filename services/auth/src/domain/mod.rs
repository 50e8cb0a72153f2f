//! Who may log in and how: pure rules, no SQL, no HTTP, no clock.

pub mod address;
pub mod budget;
pub mod policy;
pub mod recovery_code;
pub mod role;
pub mod second_factor;
pub mod session;
pub mod totp;
pub mod user;
pub mod username;
