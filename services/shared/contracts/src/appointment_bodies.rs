//! What is asked for, shown and answered of appointments and of free slots. The operations stand in [`appointments`](crate::appointments).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::AppointmentId;
use crate::slot_holds::CancelledBy;

/// Where an appointment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum AppointmentStatus {
    /// Booked.
    Scheduled,
    /// Booked, then moved.
    Rescheduled,
    /// The patient has said that they come.
    Confirmed,
    /// The patient is here.
    CheckedIn,
    /// It is under way.
    InProgress,
    /// It took place.
    Completed,
    /// It will not take place.
    Cancelled,
    /// The patient did not come.
    NoShow,
}

/// A booking asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppointmentRequest {
    /// An id of the client's own; left out, the server makes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub appointment_id: Option<String>,
    /// Whose.
    pub patient_id: String,
    /// With whom.
    pub provider_id: String,
    /// The date at the provider's place, `YYYY-MM-DD`.
    #[schemars(extend("format" = "date"))]
    pub appointment_date: String,
    /// The beginning at the provider's place, `HH:MM`. Where clocks are set back and it comes twice, the first is meant.
    #[schemars(regex(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
    pub time_slot: String,
    /// How long, minutes: 5 to 480; if not given, what the visit type says, or 30.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 5, max = 480))]
    pub duration_minutes: Option<u32>,
    /// Which kind of visit, one of the provider's; any word of a provider who has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100))]
    pub visit_type: Option<String>,
    /// Where, one of the provider's locations. Date and time are at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub location_id: Option<String>,
    /// `Scheduled` (if not given) or `Confirmed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<AppointmentStatus>,
    /// Why, in plain words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1000))]
    pub reason: Option<String>,
    /// The referral that it is booked from, of the same patient and to this provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub referral_id: Option<String>,
    /// The slot that the caller holds, of this time, to be booked now. One that has expired holds nothing any more, and is passed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_id: Option<String>,
}

/// An appointment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Appointment {
    /// The id.
    pub appointment_id: String,
    /// Whose.
    pub patient_id: String,
    /// With whom.
    pub provider_id: String,
    /// The date at the provider's place, `YYYY-MM-DD`.
    #[schemars(extend("format" = "date"))]
    pub appointment_date: String,
    /// The beginning at the provider's place, `HH:MM`.
    #[schemars(regex(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
    pub time_slot: String,
    /// How long, minutes.
    #[schemars(range(min = 5, max = 480))]
    pub duration_minutes: u32,
    /// The provider's IANA time zone when it was booked; read-only.
    pub time_zone: String,
    /// Where it stands.
    pub status: AppointmentStatus,
    /// Why, in plain words. Left out for whoever has no permission `appointments:reason`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1000))]
    pub reason: Option<String>,
    /// Which kind of visit, one of the provider's; any word of a provider who has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100))]
    pub visit_type: Option<String>,
    /// Where, one of the provider's locations. Date and time are at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub location_id: Option<String>,
    /// What somebody must resolve; read-only. `ProviderRemoved`: the provider's profile is gone. `TimeOff`, `OutsideHours`: it does not fit what the
    /// provider says any more. `OutsideEvent`: an event in the provider's calendar outside takes the same time. `OutsideMove`, `OutsideDeletion`: it
    /// was moved to where it cannot be, or deleted, in a calendar outside, and stands as it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conflict: Option<String>,
    /// Of one that was cancelled, why. Left out for whoever has no permission `appointments:reason`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1000))]
    pub cancellation_reason: Option<String>,
    /// Of one that was cancelled, who called it off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancelled_by: Option<CancelledBy>,
    /// The series that it is of; read-only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series_id: Option<String>,
}

/// Something that staff should know of a booking that was made all the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Warning {
    /// `outside-hours`, `time-off`, `in-the-past` or `buffer`.
    pub code: String,
    /// For people.
    pub message: String,
}

/// The answer to a booking.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppointmentBooked {
    /// The new appointment's id.
    pub appointment_id: AppointmentId,
    /// `Created`.
    pub status: String,
    /// What staff should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
}

/// The answer to an update.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppointmentUpdated {
    /// The appointment's id.
    pub appointment_id: AppointmentId,
    /// `Updated`.
    pub status: String,
    /// What staff should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
}

/// The answer to a cancellation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppointmentCancelled {
    /// `Cancelled`.
    pub status: String,
    /// The appointment's id.
    pub appointment_id: AppointmentId,
}

/// A free slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Slot {
    /// The date at the provider's place, `YYYY-MM-DD`.
    pub date: String,
    /// The beginning at the provider's place, `HH:MM`.
    pub time_slot: String,
    /// How long, minutes.
    pub duration_minutes: u32,
    /// Where, if the hours say so: date and time are at that location.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location_id: Option<String>,
}

/// Which appointments.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppointmentFilter {
    /// Whose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<String>,
    /// With whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
    /// Where they stand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<AppointmentStatus>,
    /// On this date (in the stack's time zone) or later, `YYYY-MM-DD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// On this date or earlier, `YYYY-MM-DD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// At most so many, 1 to 200; 50 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `nextCursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// Which slots.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SlotFilter {
    /// First date at the provider's place, `YYYY-MM-DD`; today if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Last date, `YYYY-MM-DD`, at most 92 days later; a week later if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// How long, minutes: 5 to 480; if not given, what the visit type says, or 30.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_minutes: Option<u32>,
    /// For this kind of visit, one of the provider's (any word of one who has none): its time and its buffers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visit_type: Option<String>,
    /// At this one of the provider's locations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location_id: Option<String>,
    /// At most so many, 1 to 200; 50 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `nextCursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}
