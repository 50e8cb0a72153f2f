//! What a provider is: pure rules, no SQL, no HTTP, no clock.

pub mod availability;
pub mod dates;
pub mod language;
pub mod overlap;
pub mod place;
pub mod provider;
pub mod search;
pub mod time_off;
pub mod visit_type;
