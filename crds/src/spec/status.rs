//! `status`: what the operator saw last. Nobody else writes it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the operator saw last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HealthcareStackStatus {
    /// The `metadata.generation` that this speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_u64))]
    pub observed_generation: Option<i64>,
    /// `Ready`, `Progressing`, `Degraded`, `DatabaseReady`, `MigrationsComplete`, `GatewayReady`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub conditions: Vec<Condition>,
    /// Services that are ready, of those that are enabled: `7/7`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub services_ready: Option<String>,
    /// The version that runs: the images' tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub version: Option<String>,
    /// The last version that all of the stack ran, and was well with. A rollout that fails goes back to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub last_healthy_version: Option<String>,
    /// The version that was gone back from. It is not tried again until the spec changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_version: Option<FailedVersion>,
    /// Where the API answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub gateway_url: Option<String>,
    /// Each service and the gateway, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub services: BTreeMap<String, ServiceStatus>,
    /// The last backup that was taken whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_backup: Option<BackupStatus>,
}

/// A version that was gone back from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailedVersion {
    /// The version: the images' tag.
    #[schemars(length(max = 128))]
    pub version: String,
    /// The `metadata.generation` that asked for it.
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_u64))]
    pub generation: i64,
    /// What failed, for people.
    #[schemars(length(max = 1024))]
    pub reason: String,
}

/// A backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupStatus {
    /// Its name, as `database.restoreFrom.backup` takes it.
    #[schemars(length(max = 128))]
    pub name: String,
    /// When it was done, RFC 3339.
    #[schemars(length(max = 64), extend("format" = "date-time"))]
    pub time: String,
}

/// One thing that is so, or is not, or is not known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What it is about, such as `Ready`.
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z][A-Za-z0-9]*$"))]
    pub r#type: String,
    /// Whether it is so.
    pub status: ConditionStatus,
    /// Why, for programs: one word in CamelCase.
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[A-Za-z][A-Za-z0-9]*$"))]
    pub reason: String,
    /// Why, for people.
    #[schemars(length(max = 4096))]
    pub message: String,
    /// Since when, RFC 3339.
    #[schemars(length(max = 64), extend("format" = "date-time"))]
    pub last_transition_time: String,
    /// The `metadata.generation` that it speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_u64))]
    pub observed_generation: Option<i64>,
}

/// Whether a condition is so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConditionStatus {
    /// It is.
    True,
    /// It is not.
    False,
    /// Nobody knows.
    Unknown,
}

/// How a service is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceStatus {
    /// Pods that are ready.
    #[schemars(range(min = 0, max = 1_000))]
    pub ready: u32,
    /// Pods that there should be.
    #[schemars(range(min = 0, max = 1_000))]
    pub desired: u32,
    /// The version that runs: the image's tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub version: Option<String>,
}
