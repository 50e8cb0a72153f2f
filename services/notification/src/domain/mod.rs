//! What a notification is and how its delivery goes: pure rules, no SQL, no HTTP, no clock.

pub mod built_in;
pub mod counted_link;
pub mod credential_expiring;
pub mod delivery;
pub mod device;
pub mod emergency;
pub mod invitation;
pub mod mail_report;
pub mod notification;
pub mod outside_hours;
pub mod page;
pub mod preference;
pub mod referral;
pub mod reply_word;
pub mod search;
pub mod text;
pub mod timing;
pub mod visit;
