//! What a notification is and how its delivery goes: pure rules, no SQL, no HTTP, no clock.

pub mod built_in;
pub mod delivery;
pub mod emergency;
pub mod notification;
pub mod outside_hours;
pub mod preference;
pub mod search;
pub mod text;
pub mod timing;
pub mod visit;
