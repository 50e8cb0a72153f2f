//! The compliance report: which providers lack what among their credentials. Its operations stand with the provider service's others.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::Error as _;
use serde::{Deserialize, Serialize};

use crate::credentials::CredentialKind;
use crate::endpoint::Representation;

/// A credential ends soon if it does within so many days, unless the query says otherwise.
pub const WITHIN_DAYS_DEFAULT: u32 = 90;
/// The most days that can be looked ahead.
pub const WITHIN_DAYS_MAX: u32 = 730;
/// So many providers stand in a CSV report at most.
pub const CSV_PROVIDERS_MAX: u32 = 10_000;

/// What is lacking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ComplianceCode {
    /// No licence is recorded that is neither over nor revoked.
    NoLicense,
    /// A credential's last day is over: no new bookings.
    Expired,
    /// A credential was revoked: no new bookings.
    Revoked,
    /// A credential ends soon.
    Expiring,
    /// A credential was looked at, and is not as it says.
    Rejected,
    /// Nobody has verified a credential yet.
    Unverified,
    /// They stand on the list of exclusions: no new bookings.
    Excluded,
    /// Somebody of their name stands there, and nobody has looked yet whether it is they.
    ExclusionMatch,
}

/// Something that a provider lacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComplianceFinding {
    /// What.
    pub code: ComplianceCode,
    /// Of which credential; absent: of none that there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_id: Option<String>,
    /// Of what kind that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<CredentialKind>,
    /// Its last day, `YYYY-MM-DD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date"))]
    pub expires_on: Option<String>,
    /// Which entry of the list of exclusions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclusion_id: Option<String>,
}

/// A provider who lacks something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComplianceEntry {
    /// Who.
    pub provider_id: String,
    /// Their name.
    pub name: String,
    /// What they lack.
    pub findings: Vec<ComplianceFinding>,
}

/// Which findings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComplianceFilter {
    /// This one alone; all if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<ComplianceCode>,
    /// What ends within so many days ends soon: 0 to 730, 90 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within_days: Option<u32>,
    /// At most so many providers, 1 to 200; 50 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `nextCursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// Which findings of the report as a file, which is whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComplianceFileFilter {
    /// This one alone; all if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<ComplianceCode>,
    /// What ends within so many days ends soon: 0 to 730, 90 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within_days: Option<u32>,
}

/// A report as comma-separated values (RFC 4180), in which no cell begins a formula.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComplianceCsv(pub String);

impl Representation for ComplianceCsv {
    const MEDIA_TYPE: &'static str = "text/csv; charset=utf-8";

    fn to_bytes(&self) -> Vec<u8> {
        self.0.clone().into_bytes()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        String::from_utf8(bytes.to_vec()).map(Self).map_err(serde_json::Error::custom)
    }
}

/// It is told by its media type.
impl JsonSchema for ComplianceCsv {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ComplianceCsv".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": "string" })
    }
}
