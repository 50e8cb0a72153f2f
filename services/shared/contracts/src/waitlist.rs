//! The waitlist: whoever wants an earlier time is offered the first that becomes free. The operations stand with the appointments'.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::appointments::Slot;
use crate::id::WaitlistId;

/// So many open entries has a patient at most.
pub const WAITLIST_MAX: u32 = 20;
/// An entry waits for so many days at most.
pub const WAITLIST_DAYS_MAX: u32 = 92;

/// A place on the waitlist asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WaitlistRequest {
    /// For whom.
    pub patient_id: String,
    /// With whom. This, or a specialization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
    /// With anybody of it, upper and lower case alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    pub specialization: Option<String>,
    /// The first day that would do, `YYYY-MM-DD`.
    #[schemars(extend("format" = "date"))]
    pub from: String,
    /// The last, at most 92 days later.
    #[schemars(extend("format" = "date"))]
    pub to: String,
    /// How long, minutes: 5 to 480, 30 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 5, max = 480))]
    pub duration_minutes: Option<u32>,
    /// What kind of visit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100))]
    pub visit_type: Option<String>,
    /// The hours that would do, `HH:MM-HH:MM` at the provider's place; none: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub times: Vec<String>,
}

/// Where an entry stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WaitlistStatus {
    /// Nothing has become free yet.
    Waiting,
    /// A slot is held for them.
    Offered,
    /// They took it.
    Booked,
    /// They do not wait any more.
    Withdrawn,
    /// Its days are over.
    Expired,
}

/// An entry of the waitlist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WaitlistEntry {
    /// Its id.
    pub waitlist_id: WaitlistId,
    /// For whom.
    pub patient_id: String,
    /// With whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
    /// With anybody of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub specialization: Option<String>,
    /// The first day.
    pub from: String,
    /// The last.
    pub to: String,
    /// How long, minutes.
    pub duration_minutes: u32,
    /// What kind of visit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visit_type: Option<String>,
    /// The hours that would do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub times: Vec<String>,
    /// Where it stands.
    pub status: WaitlistStatus,
    /// What is offered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer: Option<WaitlistOffer>,
    /// What came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub appointment_id: Option<String>,
    /// When it was made, RFC 3339 in UTC.
    #[schemars(extend("format" = "date-time"))]
    pub created_at: String,
}

/// A slot that is held for somebody on the waitlist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WaitlistOffer {
    /// With whom.
    pub provider_id: String,
    /// When.
    pub slot: Slot,
    /// Until when it is held, RFC 3339 in UTC.
    #[schemars(extend("format" = "date-time"))]
    pub until: String,
}

/// The answer to what becomes of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WaitlistChanged {
    /// The entry's id.
    pub waitlist_id: WaitlistId,
    /// Where it stands now.
    pub status: WaitlistStatus,
    /// What was booked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub appointment_id: Option<String>,
}

/// Which entries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WaitlistFilter {
    /// For whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<String>,
    /// With whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
    /// At most so many, 1 to 200; 50 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `nextCursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}
