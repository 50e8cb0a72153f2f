//! The provider service's API.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api;
use crate::audit::{AuditEvents, AuditSearch};
use crate::audit_verification::{ServiceVerification, VerificationQuery};
use crate::id::ProviderId;
use crate::keys::ServiceKeys;
use crate::merge_patch::MergePatch;
use crate::page::Page;
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

    /// What this service wrote in the audit.
    audit_of_providers: AuditOfProviders = Get "/internal/audit" (query AuditSearch),
        needs AuditCollect, answers 200 AuditEvents;

    /// Whether what this service wrote in the audit is as it was written.
    verify_audit_of_providers: VerifyAuditOfProviders = Get "/internal/audit/verification" (query VerificationQuery),
        needs AuditCollect, answers 200 ServiceVerification;

    /// What this service's data keys are wrapped under.
    keys_of_providers: KeysOfProviders = Get "/internal/keys",
        needs KeysCollect, answers 200 ServiceKeys, unaudited;
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

/// The hours of one day of every week.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DayAvailability {
    /// Which day.
    pub day: Day,
    /// From when to when, `HH:MM-HH:MM` at the provider's place; they may touch but not overlap. `24:00` ends a day.
    #[schemars(length(max = 48))]
    pub slots: Vec<String>,
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
    #[schemars(length(max = 7))]
    pub availability: Vec<DayAvailability>,
    /// IANA time zone; the stack's if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
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
    #[schemars(length(max = 7))]
    pub availability: Vec<DayAvailability>,
    /// IANA time zone.
    pub time_zone: String,
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
    /// At most so many, 1 to 200; 50 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `nextCursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}
