//! The provider service's API.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api;
use crate::audit::{AuditEvents, AuditSearch};
use crate::audit_verification::{ServiceVerification, VerificationQuery};
use crate::id::{ProviderId, TimeOffId};
use crate::keys::ServiceKeys;
use crate::merge_patch::MergePatch;
use crate::page::Page;
use crate::schedules::{
    DateOverride, Location, ProviderSchedule, Schedules, TimeOff, TimeOffCreated, TimeOffDeleted,
    TimeOffRequest, VisitType,
};
pub use crate::shared::ContactInfo;

api! {
    service ProviderService, tag "Providers", client ProvidersClient;

    /// Add a new provider.
    add_provider: AddProvider = Post "/api/providers" (body ProviderRequest),
        needs ProvidersWrite, answers 201 ProviderCreated;

    /// List providers, or find them by name and specialization.
    list_providers: ListProviders = Get "/api/providers" (query ProviderFilter),
        needs ProvidersRead, answers 200 Page<Provider>, unaudited;

    /// Retrieve a provider's profile by ID.
    provider_by_id: ProviderById = Get "/api/providers/{providerId}" [provider_id: ProviderId],
        needs ProvidersRead, answers 200 Provider, unaudited;

    /// Update a provider's profile.
    update_provider: UpdateProvider = Put "/api/providers/{providerId}" [provider_id: ProviderId]
        (body MergePatch<Provider>),
        needs ProvidersWrite, answers 200 ProviderUpdated;

    /// Remove a provider's profile.
    remove_provider: RemoveProvider = Delete "/api/providers/{providerId}" [provider_id: ProviderId],
        needs ProvidersWrite, answers 200 ProviderDeleted;

    /// Take time off: appointments in it become conflicts.
    take_time_off: TakeTimeOff = Post "/api/providers/{providerId}/time-off" [provider_id: ProviderId] (body TimeOffRequest),
        needs AppointmentsWrite, answers 201 TimeOffCreated;

    /// A provider's time off: what is to come, and what ended within the last year.
    list_time_off: ListTimeOff = Get "/api/providers/{providerId}/time-off" [provider_id: ProviderId],
        needs ProvidersRead, answers 200 Page<TimeOff>, unaudited;

    /// Give time off back.
    give_time_off_back: GiveTimeOffBack = Delete "/api/providers/{providerId}/time-off/{timeOffId}"
        [provider_id: ProviderId, time_off_id: TimeOffId],
        needs AppointmentsWrite, answers 200 TimeOffDeleted;

    /// All that decides when a provider can be booked.
    schedule_of_provider: ScheduleOfProvider = Get "/internal/schedules/{providerId}" [provider_id: ProviderId],
        needs InternalCall, answers 200 ProviderSchedule, unaudited;

    /// The same of those whom a filter finds.
    schedules_of_providers: SchedulesOfProviders = Get "/internal/schedules" (query ProviderFilter),
        needs InternalCall, answers 200 Schedules, unaudited;

    /// What this service wrote in the audit.
    audit_of_providers: AuditOfProviders = Get "/internal/audit" (query AuditSearch),
        needs AuditCollect, answers 200 AuditEvents;

    /// What this service's data keys are wrapped under.
    keys_of_providers: KeysOfProviders = Get "/internal/keys",
        needs KeysCollect, answers 200 ServiceKeys, unaudited;

    /// Whether what this service wrote in the audit is as it was written.
    verify_audit_of_providers: VerifyAuditOfProviders = Get "/internal/audit/verification" (query VerificationQuery),
        needs AuditCollect, answers 200 ServiceVerification;
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Day {
    /// Monday.
    Monday,
    /// Tuesday.
    Tuesday,
    /// Wednesday.
    Wednesday,
    /// Thursday.
    Thursday,
    /// Friday.
    Friday,
    /// Saturday.
    Saturday,
    /// Sunday.
    Sunday,
}

/// The hours of one day of every week, at one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DayAvailability {
    /// Which day.
    pub day: Day,
    /// From when to when, `HH:MM-HH:MM` at the place; they may touch but not overlap, not even at two places. `24:00` ends a day.
    #[schemars(length(max = 48))]
    pub slots: Vec<String>,
    /// Where, one of the provider's locations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location_id: Option<String>,
}

/// A new provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProviderRequest {
    /// An id of the client's own; left out, the server makes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
    /// Full name.
    #[schemars(length(min = 1, max = 200))]
    pub name: String,
    /// In plain words.
    #[schemars(length(min = 1, max = 200))]
    pub specialization: String,
    /// Phone and e-mail, at least one of them.
    pub contact_info: ContactInfo,
    /// Weekly hours; none: bookable by staff alone.
    #[serde(default)]
    #[schemars(length(max = 77))]
    pub availability: Vec<DayAvailability>,
    /// IANA time zone; the stack's if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Where they work.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub locations: Vec<Location>,
    /// How long each kind of visit takes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub visit_types: Vec<VisitType>,
    /// Dates with other hours than the weekly ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 400))]
    pub overrides: Vec<DateOverride>,
    /// What they speak, as language tags (BCP 47): `de`, `pt-BR`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub languages: Vec<String>,
    /// Their speciality in the NUCC's Health Care Provider Taxonomy, ten characters: `207RC0000X`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[0-9]{3}[A-Z0-9]{6}X$"))]
    pub taxonomy_code: Option<String>,
}

/// A provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Provider {
    /// The id.
    pub provider_id: String,
    /// Full name.
    #[schemars(length(min = 1, max = 200))]
    pub name: String,
    /// In plain words.
    #[schemars(length(min = 1, max = 200))]
    pub specialization: String,
    /// Phone and e-mail.
    pub contact_info: ContactInfo,
    /// Weekly hours.
    #[serde(default)]
    #[schemars(length(max = 77))]
    pub availability: Vec<DayAvailability>,
    /// IANA time zone.
    pub time_zone: String,
    /// Where they work.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub locations: Vec<Location>,
    /// How long each kind of visit takes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub visit_types: Vec<VisitType>,
    /// Dates with other hours than the weekly ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 400))]
    pub overrides: Vec<DateOverride>,
    /// What they speak, as language tags (BCP 47): `de`, `pt-BR`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub languages: Vec<String>,
    /// Their speciality in the NUCC's Health Care Provider Taxonomy, ten characters: `207RC0000X`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[0-9]{3}[A-Z0-9]{6}X$"))]
    pub taxonomy_code: Option<String>,
}

/// The answer to an addition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProviderCreated {
    /// The new provider's id.
    pub provider_id: ProviderId,
    /// `Created`.
    pub status: String,
}

/// The answer to an update.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProviderUpdated {
    /// The provider's id.
    pub provider_id: ProviderId,
    /// `Updated`.
    pub status: String,
}

/// The answer to a removal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProviderDeleted {
    /// `Deleted`.
    pub status: String,
    /// The provider's id.
    pub provider_id: ProviderId,
}

/// Which providers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProviderFilter {
    /// Words of the name, or their beginnings of three letters or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
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
    /// At most so many, 1 to 200; 50 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `nextCursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}
