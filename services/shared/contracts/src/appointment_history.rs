//! An appointment's history. The operation stands with the appointments'.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One change of an appointment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppointmentChange {
    /// The version that this change made, from 1.
    pub version: i64,
    /// When, RFC 3339 in UTC.
    pub at: String,
    /// Who: a user's id, or `service:` or `calendar:` and a name.
    pub by: String,
    /// `Created`, `Updated`, `Rescheduled`, `Cancelled`, `ProviderRemoved`, `ConflictRaised`.
    pub action: String,
    /// Which members, from what to what, but for those that the caller is not shown.
    pub changes: Vec<FieldChange>,
}

/// One member's change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FieldChange {
    /// The member's name; `calendar` for a calendar outside that is gone, and what was to be resolved for it.
    pub field: String,
    /// What it was, as text; null if it was not there.
    pub from: Option<String>,
    /// What it is, as text; null if it is gone.
    pub to: Option<String>,
}

/// Which stretch of a history.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryFilter {
    /// At most so many, 1 to 200; 50 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `nextCursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}
