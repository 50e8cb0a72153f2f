//! The provider service's API.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api;
use crate::audit::{AuditEvents, AuditSearch};
use crate::audit_verification::{ServiceVerification, VerificationQuery};
use crate::compliance::{ComplianceCsv, ComplianceEntry, ComplianceFileFilter, ComplianceFilter};
use crate::credentials::{
    Credential, CredentialDeleted, CredentialRequest, CredentialSaved, Credentials, RevocationRequest,
    VerificationRequest,
};
use crate::exclusions::{
    ExclusionListStatus, ExclusionLists, ExclusionMatchFilter, ExclusionMatches, ExclusionPart,
    ExclusionReviewRequest, ExclusionReviewed,
};
use crate::id::{CredentialId, ProviderId, TimeOffId};
use crate::keys::ServiceKeys;
use crate::merge_patch::MergePatch;
use crate::page::Page;
use crate::schedules::{
    DateOverride, Location, ProviderSchedule, ScheduleFilter, Schedules, SchedulesFilter, TimeOff,
    TimeOffCreated, TimeOffDeleted, TimeOffRequest, VisitType,
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
        needs ProvidersSchedule, answers 201 TimeOffCreated;

    /// A provider's time off: what is to come, and what ended within the last year.
    list_time_off: ListTimeOff = Get "/api/providers/{providerId}/time-off" [provider_id: ProviderId],
        needs ProvidersRead, answers 200 Page<TimeOff>, unaudited;

    /// Give time off back.
    give_time_off_back: GiveTimeOffBack = Delete "/api/providers/{providerId}/time-off/{timeOffId}"
        [provider_id: ProviderId, time_off_id: TimeOffId],
        needs ProvidersSchedule, answers 200 TimeOffDeleted;

    /// All that decides when a provider can be booked.
    schedule_of_provider: ScheduleOfProvider = Get "/internal/schedules/{providerId}" [provider_id: ProviderId] (query ScheduleFilter),
        needs InternalCall, answers 200 ProviderSchedule, unaudited;

    /// The same of those whom a filter finds.
    schedules_of_providers: SchedulesOfProviders = Get "/internal/schedules" (query SchedulesFilter),
        needs InternalCall, answers 200 Schedules, unaudited;

    /// Record a provider's credential.
    add_credential: AddCredential = Post "/api/providers/{providerId}/credentials" [provider_id: ProviderId]
        (body CredentialRequest),
        needs ProvidersWrite, answers 201 CredentialSaved;

    /// A provider's credentials.
    list_credentials: ListCredentials = Get "/api/providers/{providerId}/credentials" [provider_id: ProviderId],
        needs ProvidersRead, answers 200 Credentials;

    /// A provider's credential, and what was done with it.
    credential_by_id: CredentialById = Get "/api/providers/{providerId}/credentials/{credentialId}"
        [provider_id: ProviderId, credential_id: CredentialId],
        needs ProvidersRead, answers 200 Credential;

    /// Change a provider's credential, or renew it.
    update_credential: UpdateCredential = Put "/api/providers/{providerId}/credentials/{credentialId}"
        [provider_id: ProviderId, credential_id: CredentialId] (body MergePatch<Credential>),
        needs ProvidersWrite, answers 200 CredentialSaved;

    /// Delete a provider's credential.
    delete_credential: DeleteCredential = Delete "/api/providers/{providerId}/credentials/{credentialId}"
        [provider_id: ProviderId, credential_id: CredentialId],
        needs ProvidersWrite, answers 200 CredentialDeleted;

    /// Verify a provider's credential, by what somebody has looked at or by the registry.
    verify_credential: VerifyCredential = Post "/api/providers/{providerId}/credentials/{credentialId}/verify"
        [provider_id: ProviderId, credential_id: CredentialId] (body VerificationRequest),
        needs ProvidersWrite, answers 200 CredentialSaved;

    /// Note that a provider's credential was revoked: they take no new bookings.
    revoke_credential: RevokeCredential = Post "/api/providers/{providerId}/credentials/{credentialId}/revoke"
        [provider_id: ProviderId, credential_id: CredentialId] (body RevocationRequest),
        needs ProvidersWrite, answers 200 CredentialSaved;

    /// Which providers lack what among their credentials.
    compliance_report: ComplianceReport = Get "/api/providers/compliance" (query ComplianceFilter),
        needs ProvidersWrite, answers 200 Page<ComplianceEntry>;

    /// The same as a file, whole.
    compliance_file: ComplianceFile = Get "/api/providers/compliance/csv" (query ComplianceFileFilter),
        needs ProvidersWrite, answers 200 ComplianceCsv;

    /// Take in a part of the list of those whom federal programmes exclude (OIG LEIE).
    put_exclusions: PutExclusions = Put "/api/providers/exclusions" (body ExclusionPart),
        needs ProvidersWrite, answers 200 ExclusionListStatus;

    /// The lists of exclusions that are here.
    list_exclusions: ListExclusions = Get "/api/providers/exclusions",
        needs ProvidersWrite, answers 200 ExclusionLists;

    /// The providers who stand on the list of exclusions, or somebody of their name.
    list_exclusion_matches: ListExclusionMatches = Get "/api/providers/exclusions/matches" (query ExclusionMatchFilter),
        needs ProvidersWrite, answers 200 Page<ExclusionMatches>;

    /// Say whether a provider is who stands on the list of exclusions.
    review_exclusion: ReviewExclusion = Post "/api/providers/{providerId}/exclusion-review" [provider_id: ProviderId]
        (body ExclusionReviewRequest),
        needs ProvidersWrite, answers 200 ExclusionReviewed;

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
