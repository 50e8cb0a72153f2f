//! Moving all appointments of a provider who is away. The operation stands with the appointments'.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::appointments::Slot;
use crate::id::{AppointmentId, ProviderId};

/// So many appointments are moved at once at most.
pub const RESCHEDULED_MAX: usize = 200;
/// So many are looked at at once at most, those that are left as they are among them.
pub const LOOKED_AT_MAX: usize = 1000;
/// Somebody is away for so many days at most.
pub const AWAY_DAYS_MAX: u32 = 92;

/// Who is away, and who is seen instead.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RescheduleRequest {
    /// Who is away.
    pub provider_id: String,
    /// From this day on, at their place, `YYYY-MM-DD`.
    #[schemars(extend("format" = "date"))]
    pub from: String,
    /// Until this day, at most 92 days later.
    #[schemars(extend("format" = "date"))]
    pub to: String,
    /// Who is seen instead; nobody: the same provider, when they are there again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_provider_id: Option<String>,
    /// Whether it is only said what would be done.
    #[serde(default)]
    pub dry_run: bool,
    /// The `nextCursor` of the answer before: goes on with those that it did not look at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rescheduled {
    /// Who is away.
    pub provider_id: ProviderId,
    /// Whether nothing was done.
    pub dry_run: bool,
    /// How many were moved, or would be.
    pub moved: u32,
    /// How many are left as they are.
    pub left: u32,
    /// Whether there are others, which were not looked at: ask again.
    pub more: bool,
    /// Where to go on, if there are: ask again with it, and no appointment is looked at twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
    /// What came of each, in the order of their time.
    pub appointments: Vec<RescheduleOutcome>,
}

/// What came of one appointment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RescheduleOutcome {
    /// Which.
    pub appointment_id: AppointmentId,
    /// When it was.
    pub from: Slot,
    /// When it is now, or would be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Slot>,
    /// With whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_provider_id: Option<ProviderId>,
    /// `moved`, `no-slot` (none is free for provider and patient), `changed` (somebody else changed it meanwhile), `not-possible` (it is under way) or
    /// `not-permitted`.
    pub outcome: String,
}
