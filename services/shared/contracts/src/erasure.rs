//! What became of a patient's data when they were deleted: what was done away with, and what is kept, why and until when.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::PatientId;

/// How one service asks another: the same operation on each.
pub type CollectErasure = crate::bills::ErasureOfBilling;

/// What became of all that was held on a patient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErasureReport {
    /// Whose.
    pub patient_id: PatientId,
    /// How far it is.
    pub status: ErasureStatus,
    /// When they were deleted.
    pub requested_at: DateTime<Utc>,
    /// Each service that holds patients' data.
    pub services: Vec<ServiceErasure>,
}

/// How far an erasure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ErasureStatus {
    /// Every service has done its part, and the keys are destroyed.
    Completed,
    /// One has not, or does not say.
    InProgress,
}

/// How far a service is with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ServiceErasureStatus {
    /// It is done, and the patient's key here is destroyed.
    Completed,
    /// It is still to be told, or the key is still to be destroyed.
    Pending,
    /// It does not answer.
    NoAnswer,
    /// This stack does not run it at present. What it holds, if it ever ran, is still there.
    SwitchedOff,
}

/// What one service did, and what it keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceErasure {
    /// Which.
    pub service: String,
    /// How far it is.
    pub status: ServiceErasureStatus,
    /// When it took the data away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased_at: Option<DateTime<Utc>>,
    /// When the key was destroyed without which no copy of it can be read, in no backup either.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_destroyed_at: Option<DateTime<Utc>>,
    /// What was done away with.
    #[serde(default)]
    pub shredded: Vec<Shredded>,
    /// What is kept.
    #[serde(default)]
    pub kept: Vec<Kept>,
}

/// A kind of what was done away with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Shredded {
    /// What it is: `records`.
    pub kind: String,
    /// How many.
    pub count: u64,
}

/// A kind of what is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    /// What it is: `bills`.
    pub kind: String,
    /// How many.
    pub count: u64,
    /// Why, in words.
    pub why: String,
    /// Until when, at the latest; absent: until somebody does away with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
}

impl ServiceErasure {
    /// Of a service of which nothing is known.
    pub fn unknown(service: settings::ServiceName, status: ServiceErasureStatus) -> Self {
        Self {
            service: service.to_string(),
            status,
            erased_at: None,
            key_destroyed_at: None,
            shredded: Vec::new(),
            kept: Vec::new(),
        }
    }
}
