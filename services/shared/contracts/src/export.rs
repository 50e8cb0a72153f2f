//! All that is held on a patient, as it is given out: a zip of JSON files, one for each service and kind.
//!
//! The patient service asks each of the [`HOLDERS`] for its part, page after page. What kinds there are only the one that is asked knows: so
//! nothing of a newer one is left out by an older.

use std::fmt;

use chrono::{DateTime, Utc};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use settings::ServiceName;

use crate::endpoint::Representation;
use crate::id::PatientId;

/// The services beside the patients' own that hold something of a patient.
pub const HOLDERS: [ServiceName; 5] = [
    ServiceName::AppointmentService,
    ServiceName::BillingService,
    ServiceName::MedicalRecordsService,
    ServiceName::NotificationService,
    ServiceName::AuthService,
];

/// How one service asks another: the same operation on each.
pub type CollectExport = crate::bills::ExportOfBilling;

/// What is to be in an export.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExportFilter {
    /// What this service holds, and nothing else: for a patient of whom all of it is more than one export takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
}

/// Where a service goes on with what it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExportSearch {
    /// `next` of the page before; absent for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// A stretch of what one service holds.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExportPage {
    /// What it is: `bills`, `accesses`.
    pub kind: String,
    /// As the service's API shows it to whoever sees all of it; its text is passed on as it came.
    #[schemars(with = "Vec<serde_json::Value>")]
    pub items: Vec<Box<RawValue>>,
    /// Hand this back as `after` for what follows; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// `manifest.json`, the last file of an export: what is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportManifest {
    /// Whose.
    pub patient_id: PatientId,
    /// When it was begun. What was written since may be in it, or not.
    pub begun_at: DateTime<Utc>,
    /// Who asked for it.
    pub asked_by: ExportAskedBy,
    /// The other files, in their order.
    pub files: Vec<ExportFile>,
    /// Services that this stack does not run at present: what they hold, if they ever ran, is not in it.
    pub switched_off: Vec<String>,
}

/// Who asked for an export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportAskedBy {
    /// The user.
    pub user_id: String,
    /// Their name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// What they are.
    pub roles: Vec<String>,
}

/// A file of an export: an array of JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportFile {
    /// `billing-service/bills.json`.
    pub name: String,
    /// Who holds it.
    pub service: String,
    /// What it is.
    pub kind: String,
    /// How many.
    pub items: u64,
    /// How long the file is.
    pub bytes: u64,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
}

/// A zip archive.
#[derive(Clone, PartialEq, Eq)]
pub struct Zip(pub Vec<u8>);

impl Representation for Zip {
    const MEDIA_TYPE: &'static str = "application/zip";

    fn to_bytes(&self) -> Vec<u8> {
        self.0.clone()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        Ok(Self(bytes.to_vec()))
    }
}

impl fmt::Debug for Zip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zip({} bytes)", self.0.len())
    }
}

/// Raw bytes are told by their media type alone (OpenAPI 3.1, "Considerations for File Uploads").
impl JsonSchema for Zip {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Zip".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "contentMediaType": Self::MEDIA_TYPE })
    }
}
