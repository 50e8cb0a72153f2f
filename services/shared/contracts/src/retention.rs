//! What is kept of patients who were deleted, for how long, and what takes it away when its time is over.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use settings::ServiceName;

use crate::erasure::{Kept, Shredded};
use crate::id::PatientId;

/// The services that keep something of patients who were deleted, in the order in which they are asked.
pub const KEEPERS: [ServiceName; 5] = [
    ServiceName::PatientService,
    ServiceName::AppointmentService,
    ServiceName::BillingService,
    ServiceName::MedicalRecordsService,
    ServiceName::NotificationService,
];

/// How one service asks another for what it keeps: the same operation on each.
pub type CollectRetained = crate::bills::RetainedByBilling;
/// How one has another take away what has had its time: the same operation on each.
pub type CarryRetention = crate::bills::CarryRetentionOfBilling;

/// A stretch of what is kept of a patient.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetainedFilter {
    /// `nextCursor` of the page before. A page holds what one service keeps, 50 items at most, and may be empty before the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// Something that is kept of a deleted patient. It is read here and nowhere else, and nothing changes it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetainedItem {
    /// Which service keeps it.
    pub service: String,
    /// What it is: `records`.
    pub kind: String,
    /// Which.
    pub id: String,
    /// Whose.
    pub patient_id: PatientId,
    /// From when on it is taken away, if no hold is on it then; absent: when the hold is lifted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
    /// As its service showed it to whoever saw all of it.
    #[schemars(with = "serde_json::Value")]
    pub data: Box<RawValue>,
}

/// Where a service goes on with what it keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetainedSearch {
    /// `next` of the page before; absent for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// A stretch of what one service keeps.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetainedPage {
    /// What it is.
    pub items: Vec<RetainedItem>,
    /// Hand this back as `after` for what follows; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Whether to take away what has had its time, or to say what would go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetentionRequest {
    /// `true`: nothing is changed.
    pub dry_run: bool,
}

/// What has had its time, everywhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetentionReport {
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// Each service that keeps something.
    pub services: Vec<ServiceRetention>,
}

/// How far a service is with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RetentionStatus {
    /// It is done, or was only asked.
    Done,
    /// It took away as much as one call takes: the rest goes with the next one, or within the hour.
    Unfinished,
    /// It does not answer.
    NoAnswer,
    /// This stack does not run it at present. What it holds, if it ever ran, is still there.
    SwitchedOff,
}

/// What has had its time in one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceRetention {
    /// Which.
    pub service: String,
    /// How far it is.
    pub status: RetentionStatus,
    /// What was taken away; in a dry run, what would be.
    #[serde(default)]
    pub shredded: Vec<Shredded>,
    /// What is kept, why and until when.
    #[serde(default)]
    pub kept: Vec<Kept>,
}

impl ServiceRetention {
    /// Of a service of which nothing is known.
    pub fn unknown(service: ServiceName, status: RetentionStatus) -> Self {
        Self { service: service.to_string(), status, shredded: Vec::new(), kept: Vec::new() }
    }
}
