//! Where notifications are kept: SQL and sealing, and nothing that decides.

pub mod again;
pub mod answer;
pub mod claim;
pub mod device;
pub mod due;
pub mod engagement;
pub mod erase;
pub mod notification;
pub mod offer;
pub mod outcome;
pub mod preference;
pub mod scheduled;
pub mod suppression;
pub mod template;
pub mod told;
pub mod told_user;
