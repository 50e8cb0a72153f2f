//! Holds: a slot that somebody has for a few minutes while they decide. And what a cancellation says, and what is in the way of a time. The operations stand with the appointments'.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::SlotHoldId;

/// So many slots holds a user at once at most.
pub const SLOT_HOLDS_MAX: u32 = 5;

/// A slot to be held.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SlotHoldRequest {
    /// With whom.
    pub provider_id: String,
    /// The date at the provider's place, `YYYY-MM-DD`.
    #[schemars(extend("format" = "date"))]
    pub appointment_date: String,
    /// The beginning at the provider's place, `HH:MM`.
    #[schemars(regex(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
    pub time_slot: String,
    /// How long, minutes: 5 to 480, 30 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 5, max = 480))]
    pub duration_minutes: Option<u32>,
    /// What kind of visit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100))]
    pub visit_type: Option<String>,
    /// Where, one of the provider's locations. Date and time are then at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub location_id: Option<String>,
    /// For whom, if that is known. A patient holds for themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<String>,
    /// For how many minutes it is held: as many at most as the clinic lets (`spec.appointments.slotHoldMax`, 15 usually), and as it says if not given
    /// (`slotHold`, 5 usually).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 60))]
    pub hold_minutes: Option<u32>,
}

/// The answer to a hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SlotHeld {
    /// The hold's id, to be booked with.
    pub hold_id: SlotHoldId,
    /// Until when it is held, RFC 3339 in UTC.
    #[schemars(extend("format" = "date-time"))]
    pub expires_at: String,
}

/// A slot that is held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SlotHold {
    /// The hold's id.
    pub hold_id: SlotHoldId,
    /// With whom.
    pub provider_id: String,
    /// For whom, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<String>,
    /// The date at the provider's place, `YYYY-MM-DD`.
    pub appointment_date: String,
    /// The beginning at the provider's place, `HH:MM`.
    pub time_slot: String,
    /// How long, minutes.
    pub duration_minutes: u32,
    /// What kind of visit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visit_type: Option<String>,
    /// Where, one of the provider's locations. Date and time are then at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub location_id: Option<String>,
    /// Until when it is held, RFC 3339 in UTC.
    #[schemars(extend("format" = "date-time"))]
    pub expires_at: String,
}

/// The answer to a hold that is given back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SlotHoldReleased {
    /// The hold's id.
    pub hold_id: SlotHoldId,
    /// `Released`.
    pub status: String,
}

/// What a cancellation may say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CancelQuery {
    /// Why, in plain words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1000))]
    pub reason: Option<String>,
}

/// Who called an appointment off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CancelledBy {
    /// Whose it is.
    Patient,
    /// With whom it was.
    Provider,
    /// Somebody else who works here.
    Clinic,
}

/// What is in the way of a time that was asked for: when, and nothing else of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Busy {
    /// The date at the provider's place, `YYYY-MM-DD`.
    pub date: String,
    /// The beginning at the provider's place, `HH:MM`.
    pub time_slot: String,
    /// How long, minutes.
    pub duration_minutes: u32,
    /// When it begins, RFC 3339 in UTC.
    pub starts_at: String,
    /// When it is over, RFC 3339 in UTC.
    pub ends_at: String,
}
