//! Providers' credentials: licences, NPIs and certifications, how far each is verified, and whether what stands there lets somebody be
//! booked. Their operations stand with the provider service's others.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{CredentialId, ProviderId};

/// So many a provider has at once, at most.
pub const CREDENTIALS_MAX: u32 = 50;
/// Most characters of a number.
pub const NUMBER_CHARS_MAX: usize = 64;
/// Most characters of a state or a speciality.
pub const LINE_CHARS_MAX: usize = 200;
/// Most characters of evidence and of a reason.
pub const EVIDENCE_CHARS_MAX: usize = 1_000;
/// So many entries of its history are shown with a credential, the newest.
pub const HISTORY_SHOWN_MAX: u32 = 100;

/// What kind of credential it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CredentialKind {
    /// A licence to practise.
    License,
    /// A National Provider Identifier (45 CFR 162.406): one of a provider's.
    Npi,
    /// A certification by a speciality's board.
    BoardCertification,
    /// A registration to prescribe controlled substances.
    Dea,
    /// Insurance against malpractice.
    MalpracticeInsurance,
    /// Another certification.
    Certification,
}

/// How far a credential is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum CredentialStatus {
    /// Nobody has looked at it yet, or it was changed since.
    Unverified,
    /// The registry was asked and has not answered yet.
    Pending,
    /// It is as it says.
    Verified,
    /// It is not as it says.
    Rejected,
    /// Its last day is over, at the provider's place. No new bookings.
    Expired,
    /// It was taken from the provider, for good. No new bookings.
    Revoked,
}

/// A new credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CredentialRequest {
    /// What kind it is.
    pub kind: CredentialKind,
    /// Its number; of an NPI ten digits, the last of which checks the others (ISO 7812, with 80840 before them).
    #[schemars(length(min = 1, max = 64))]
    pub number: String,
    /// Where it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub state: Option<String>,
    /// For what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub specialty: Option<String>,
    /// The first day, `YYYY-MM-DD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date"))]
    pub issued_on: Option<String>,
    /// The last day, `YYYY-MM-DD`, at the provider's place; left out: it does not end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date"))]
    pub expires_on: Option<String>,
}

/// A credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Credential {
    /// Its id.
    pub credential_id: String,
    /// Whose.
    pub provider_id: String,
    /// What kind it is.
    pub kind: CredentialKind,
    /// Its number.
    #[schemars(length(min = 1, max = 64))]
    pub number: String,
    /// Where it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub state: Option<String>,
    /// For what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub specialty: Option<String>,
    /// The first day, `YYYY-MM-DD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date"))]
    pub issued_on: Option<String>,
    /// The last day, `YYYY-MM-DD`, at the provider's place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date"))]
    pub expires_on: Option<String>,
    /// How far it is verified; read-only.
    pub status: CredentialStatus,
    /// What was done with it, newest first, where one is read; read-only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<CredentialChange>,
}

/// Something that was done with a credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CredentialChange {
    /// Which of its versions came of it.
    pub version: i64,
    /// When, RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    pub at: String,
    /// A user's id, or `service:` and a name.
    pub by: String,
    /// `Created`, `Updated`, `Asked` (the registry), `Verified`, `Rejected` or `Revoked`.
    pub action: String,
    /// Where it stood from then on.
    pub status: CredentialStatus,
    /// What it was verified by, or why it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
}

/// All of a provider's credentials: there are [`CREDENTIALS_MAX`] at most.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Credentials {
    /// Each, oldest first.
    pub items: Vec<Credential>,
}

/// How a credential is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum VerificationMethod {
    /// Somebody has looked, and says at what.
    Manual,
    /// The NPI registry is asked: of an NPI, or of a licence where the provider's NPI is here.
    Registry,
}

/// What came of looking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum VerificationResult {
    /// It is as it says.
    Verified,
    /// It is not.
    Rejected,
}

/// A verification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VerificationRequest {
    /// How.
    pub method: VerificationMethod,
    /// What was looked at, in plain words; of `manual` alone, and needed there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1000))]
    pub evidence: Option<String>,
    /// What came of it; of `manual` alone: `Verified` if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<VerificationResult>,
}

/// A revocation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RevocationRequest {
    /// Why, in plain words.
    #[schemars(length(min = 1, max = 1000))]
    pub reason: String,
}

/// The answer to whatever is done with a credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CredentialSaved {
    /// Which.
    pub credential_id: CredentialId,
    /// Whose.
    pub provider_id: ProviderId,
    /// Where it stands now.
    pub status: CredentialStatus,
}

/// The answer to a deletion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CredentialDeleted {
    /// `Deleted`.
    pub status: String,
    /// Which.
    pub credential_id: CredentialId,
}

/// Why a provider takes no new bookings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NotBookable {
    /// A credential was revoked.
    CredentialRevoked,
    /// The last day of a credential is over.
    CredentialExpired,
    /// They stand on the list of those whom federal programmes exclude.
    Excluded,
}
