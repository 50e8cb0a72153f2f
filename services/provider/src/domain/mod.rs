//! What a provider is: pure rules, no SQL, no HTTP, no clock.

pub mod availability;
pub mod compliance;
pub mod credential;
pub mod csv;
pub mod exclusion;
pub mod npi;
pub mod provider;
pub mod registry;
pub mod reminder;
pub mod search;
