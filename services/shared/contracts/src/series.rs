//! Series: appointments that recur by a rule of iCalendar (RFC 5545 §3.3.10). The operations stand with the appointments'.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::appointments::{Appointment, CancelledBy, Slot, Warning};
use crate::id::{AppointmentId, SeriesId};

/// So many appointments has a series at most.
pub const OCCURRENCES_MAX: u16 = 104;
/// Characters that a rule may have.
pub const RRULE_CHARS_MAX: u16 = 200;

/// A series asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SeriesRequest {
    /// Whose.
    pub patient_id: String,
    /// With whom.
    pub provider_id: String,
    /// The date from which on the rule counts, at the provider's place, `YYYY-MM-DD`.
    #[schemars(extend("format" = "date"))]
    pub appointment_date: String,
    /// The beginning of each at the provider's place, `HH:MM`, whatever the clocks do.
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
    /// How it recurs: `FREQ=WEEKLY;BYDAY=MO;COUNT=10`. `COUNT` or `UNTIL` must say where it ends: within two years, and after 104 appointments at most.
    #[schemars(length(max = 200))]
    pub rrule: String,
    /// Why, in plain words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1000))]
    pub reason: Option<String>,
    /// Whether what can be had is booked, if not all can. Otherwise nothing is.
    #[serde(default)]
    pub allow_partial: bool,
}

/// The answer to a series.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SeriesBooked {
    /// The series' id.
    pub series_id: SeriesId,
    /// `Created`.
    pub status: String,
    /// What was booked, in order.
    pub appointments: Vec<SeriesAppointment>,
    /// What could not be had.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<OccurrenceRefused>,
    /// What staff should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
}

/// An appointment of a series.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SeriesAppointment {
    /// Its id.
    pub appointment_id: AppointmentId,
    /// Its date at the provider's place, `YYYY-MM-DD`.
    pub appointment_date: String,
    /// Its beginning at the provider's place, `HH:MM`.
    pub time_slot: String,
}

/// A time of a series that cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OccurrenceRefused {
    /// The date at the provider's place, `YYYY-MM-DD`.
    pub date: String,
    /// The beginning at the provider's place, `HH:MM`.
    pub time_slot: String,
    /// How long, minutes.
    pub duration_minutes: u32,
    /// Why, as the code of a problem: `appointment-overlap` or `outside-hours`.
    pub code: String,
    /// The nearest free slots.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slots: Vec<Slot>,
}

/// A series.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Series {
    /// Its id.
    pub series_id: SeriesId,
    /// Whose.
    pub patient_id: String,
    /// With whom it was made.
    pub provider_id: String,
    /// How it recurs, as it was made.
    pub rrule: String,
    /// When it was made, RFC 3339 in UTC.
    #[schemars(extend("format" = "date-time"))]
    pub created_at: String,
    /// Its appointments as they stand, in order.
    pub appointments: Vec<Appointment>,
}

/// Which appointments of a series are changed. One alone is changed by its own PUT.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SeriesScope {
    /// All that are still to come.
    #[default]
    All,
    /// One of them and those after it.
    Following,
}

/// A change of a series: all of it is done, or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SeriesChange {
    /// Which.
    pub scope: SeriesScope,
    /// From which on, for `following`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub appointment_id: Option<String>,
    /// With whom from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
    /// The new beginning, `HH:MM`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
    pub time_slot: Option<String>,
    /// So many days later, or earlier: -31 to 31.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -31, max = 31))]
    pub shift_days: Option<i32>,
    /// How long from now on, minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 5, max = 480))]
    pub duration_minutes: Option<u32>,
    /// `Cancelled`, and nothing else, to call them off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<crate::appointments::AppointmentStatus>,
    /// Why they are called off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1000))]
    pub cancellation_reason: Option<String>,
    /// Who calls them off, if it is not the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancelled_by: Option<CancelledBy>,
}

/// The answer to a change of a series.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SeriesUpdated {
    /// The series' id.
    pub series_id: SeriesId,
    /// `Updated`, or `Cancelled`.
    pub status: String,
    /// Which appointments were changed, in order.
    pub appointments: Vec<SeriesAppointment>,
    /// What staff should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
}
