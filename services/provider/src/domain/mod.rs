//! What a provider is: pure rules, no SQL, no HTTP, no clock.

pub mod availability;
pub mod compliance;
pub mod credential;
pub mod csv;
pub mod dates;
pub mod exclusion;
pub mod language;
pub mod npi;
pub mod overlap;
pub mod place;
pub mod provider;
pub mod registry;
pub mod reminder;
pub mod search;
pub mod time_off;
pub mod visit_type;
