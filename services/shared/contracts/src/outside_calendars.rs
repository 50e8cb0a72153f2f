//! Calendars outside that appointments are kept in step with. The operation stands with the appointments'.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A calendar outside, as the settings have it, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OutsideCalendar {
    /// What the stack calls it.
    pub name: String,
    /// The provider whose appointments it holds; null: every provider's.
    pub provider_id: Option<String>,
    /// `CalDAV` or `Google`.
    pub kind: String,
    /// `Pending`: not looked at yet. `Ok`: in step when it was last looked at. `Unreachable`: it does not answer, or not now. `CredentialRevoked`: it does
    /// not take our credentials any more. `Refused`: it refuses what is asked of it. `Garbled`: what it answers cannot be read.
    pub state: String,
    /// Why, in words; null while all is well.
    pub error: Option<String>,
    /// When it was last in step, RFC 3339 in UTC.
    #[schemars(extend("format" = "date-time"))]
    pub last_sync_at: Option<String>,
    /// How many appointments are there not yet as they are here.
    pub pending: u32,
    /// Until when the calendar tells by itself that something has changed there, RFC 3339 in UTC; null: it is only asked, again and again.
    #[serde(default)]
    #[schemars(extend("format" = "date-time"))]
    pub told_until: Option<String>,
}

/// The answer to whoever tells that a calendar has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChangeHeard {
    /// `Heard`.
    pub status: String,
}
