//! Providers' schedules: where they work, how long each kind of visit takes, the hours of single dates, and time off. The operations stand with
//! the providers'.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::credentials::NotBookable;
use crate::id::{ProviderId, TimeOffId};
use crate::page::Page;
use crate::providers::Provider;

/// So many locations has a provider at most.
pub const LOCATIONS_MAX: usize = 10;
/// So many visit types has a provider at most.
pub const VISIT_TYPES_MAX: usize = 50;
/// So many overrides has a provider at most: more than one a day for a year.
pub const OVERRIDES_MAX: usize = 400;
/// So many languages does a provider speak at most.
pub const LANGUAGES_MAX: usize = 20;
/// So many entries of time off has a provider at most, those that ended within the last year among them.
pub const TIME_OFF_MAX: u32 = 200;
/// A stay away lasts at most so long, days.
pub const TIME_OFF_DAYS_MAX: i64 = 731;

/// A place where a provider works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Location {
    /// What it is called by in hours, slots and bookings: an id of the client's own.
    #[schemars(length(min = 1, max = 64))]
    pub location_id: String,
    /// In plain words.
    #[schemars(length(min = 1, max = 200))]
    pub name: String,
    /// In one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 500))]
    pub address: Option<String>,
    /// IANA time zone; the provider's if not given. Hours of this location, and appointments at it, are in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
}

/// A kind of visit, and the time it takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VisitType {
    /// What it is asked for by, whatever the case: `new-patient`.
    #[schemars(length(min = 1, max = 100))]
    pub name: String,
    /// How long, minutes.
    #[schemars(range(min = 5, max = 480))]
    pub duration_minutes: u32,
    /// Minutes that stay free before it: 0 to 240.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(range(max = 240))]
    pub buffer_before_minutes: u32,
    /// Minutes that stay free after it: 0 to 240.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(range(max = 240))]
    pub buffer_after_minutes: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn is_zero(minutes: &u32) -> bool {
    *minutes == 0
}

/// The hours of one date: they, and no weekly ones, count on it. Where a date has several entries, all of them count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DateOverride {
    /// Which date, `YYYY-MM-DD`.
    #[schemars(extend("format" = "date"))]
    pub date: String,
    /// From when to when, `HH:MM-HH:MM`; none: closed.
    #[schemars(length(max = 48))]
    pub slots: Vec<String>,
    /// Where, one of the provider's locations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location_id: Option<String>,
}

/// Time off asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TimeOffRequest {
    /// From when, at the provider's place: a date, `YYYY-MM-DD`, or a date and a time, `YYYY-MM-DDTHH:MM`.
    #[schemars(regex(pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2})?$"))]
    pub from: String,
    /// Until when: a date, which is the last day off, or a date and a time, which is when they are back.
    #[schemars(regex(pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2})?$"))]
    pub to: String,
    /// Why. Shown to staff and to the provider alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    pub reason: Option<String>,
}

/// Time off: nothing can be booked by patients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TimeOff {
    /// Which.
    pub time_off_id: TimeOffId,
    /// From when, as it was given.
    pub from: String,
    /// Until when, as it was given.
    pub to: String,
    /// Why, to whoever is shown it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The answer to time off that was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TimeOffCreated {
    /// Which.
    pub time_off_id: TimeOffId,
    /// `Created`.
    pub status: String,
}

/// The answer to time off that was given back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TimeOffDeleted {
    /// `Deleted`.
    pub status: String,
    /// Which.
    pub time_off_id: TimeOffId,
}

/// All that decides when a provider can be booked: for the service that books.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProviderSchedule {
    /// Whose.
    pub provider_id: ProviderId,
    /// Counts the changes of what stands here, from 0.
    pub version: i64,
    /// Place, hours and kinds of visits.
    pub provider: Provider,
    /// Time off that is not over, or was not a few days ago. Without reasons.
    pub time_off: Vec<TimeOff>,
    /// Why they take no new bookings; absent: they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_bookable: Option<NotBookable>,
}

/// What of a schedule is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleFilter {
    /// Time off that ended on this date or later too, `YYYY-MM-DD`, as far as it is still kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_off_from: Option<String>,
}

/// Whose schedules, and what of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SchedulesFilter {
    /// Exactly, but for upper and lower case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub specialization: Option<String>,
    /// Exactly this code of the NUCC's taxonomy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taxonomy_code: Option<String>,
    /// Words of the name or the address of a location, or their beginnings of three letters or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// A language that they speak; `pt` finds `pt-BR` too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Time off that ended on this date or later too, `YYYY-MM-DD`, as far as it is still kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_off_from: Option<String>,
    /// At most so many, 1 to 200; 50 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `nextCursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// Some schedules.
pub type Schedules = Page<ProviderSchedule>;
