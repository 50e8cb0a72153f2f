//! [`AccessSettings`]: who sees whose data for how long, and who hears of emergencies.

use serde::{Deserialize, Serialize};

use crate::is_default;

/// How long an emergency lasts, and who hears of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AccessSettings {
    /// Records that are opened in an emergency stay open so long, seconds.
    pub break_glass_seconds: u32,
    /// The mailbox of whoever watches over privacy: what was opened in an emergency is told there.
    #[serde(skip_serializing_if = "is_default")]
    pub privacy_officer: Option<String>,
}

impl Default for AccessSettings {
    fn default() -> Self {
        Self { break_glass_seconds: 3_600, privacy_officer: None }
    }
}
