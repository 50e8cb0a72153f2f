//! What a provider is: pure rules, no SQL, no HTTP, no clock.

pub mod availability;
pub mod provider;
pub mod search;
