//! [`AppointmentSettings`]: for how long slots are held.

use serde::{Deserialize, Serialize};

/// For how long a slot is held for whoever chooses it, or is offered it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AppointmentSettings {
    /// A slot that somebody holds is held so long, if they do not say, seconds;
    pub slot_hold_seconds: u32,
    /// and so long at most.
    pub slot_hold_seconds_max: u32,
    /// What is offered to whoever waits is held for them so long, seconds.
    pub waitlist_offer_seconds: u32,
}

impl Default for AppointmentSettings {
    fn default() -> Self {
        Self { slot_hold_seconds: 300, slot_hold_seconds_max: 900, waitlist_offer_seconds: 1_800 }
    }
}
