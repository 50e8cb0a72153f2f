//! `spec.database`: where the services keep their data.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use settings::SecretRef;

use super::{Backup, Quantity, Resources, RestoreFrom, forms, rules};

/// Where the services keep their data: exactly one of `managed`, `external` and `cloudNativePG`, which cannot change. Each service has a
/// schema and a role of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = rules::database()))]
pub struct DatabaseSpec {
    /// A PostgreSQL that the operator runs: one pod, one volume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed: Option<ManagedDatabase>,
    /// A PostgreSQL that somebody else runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalDatabase>,
    /// A cluster that the CloudNativePG operator runs; it must be installed.
    #[serde(rename = "cloudNativePG", skip_serializing_if = "Option::is_none")]
    pub cloud_native_pg: Option<CloudNativePgDatabase>,
    /// Copies of the data, taken on a schedule. Left out: none are taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup: Option<Backup>,
    /// The backup that a new stack is filled from. It cannot be added, changed or taken out later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restore_from: Option<RestoreFrom>,
}

/// A PostgreSQL that the operator runs: one pod, one volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ManagedDatabase {
    /// PostgreSQL's major version. It cannot change: another version does not read the files.
    #[schemars(range(min = 15, max = 18), extend("x-kubernetes-validations" = rules::managed_version()))]
    pub version: u32,
    /// The image, if it is not `postgres:<version>`: one of the same major version that takes the same environment variables.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512), regex(pattern = forms::IMAGE))]
    pub image: Option<String>,
    /// Its volume.
    pub storage: Storage,
    /// CPU and memory of its pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
}

impl Default for ManagedDatabase {
    fn default() -> Self {
        Self { version: DEFAULT_VERSION, image: None, storage: Storage::default(), resources: None }
    }
}

impl ManagedDatabase {
    /// The image that runs.
    pub fn image(&self) -> String {
        self.image.clone().unwrap_or_else(|| format!("postgres:{}", self.version))
    }
}

const DEFAULT_VERSION: u32 = 17;

/// A volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::storage()))]
pub struct Storage {
    /// How large, such as `10Gi`. It may grow, where the `StorageClass` lets it, and never shrinks.
    #[serde(default = "Storage::default_size")]
    pub size: Quantity,
    /// The `StorageClass`, which cannot change. Left out: the cluster's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = forms::OBJECT_NAME))]
    pub class_name: Option<String>,
}

impl Storage {
    fn default_size() -> Quantity {
        Quantity::gibibytes(10)
    }
}

impl Default for Storage {
    fn default() -> Self {
        Self { size: Self::default_size(), class_name: None }
    }
}

/// A PostgreSQL that somebody else runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalDatabase {
    /// The connection URL, `postgres://user:password@host/database?sslmode=verify-full`. The user must be allowed to create schemas and
    /// roles.
    pub url: SecretRef,
    /// How many connections the stack may hold. Keep it below the server's `max_connections`, less what it reserves.
    #[serde(default = "ExternalDatabase::default_max_connections")]
    #[schemars(range(min = 14, max = 10_000))]
    pub max_connections: u32,
    /// The image with PostgreSQL's programs (`psql`, `pg_dump`, …), by which schemas are made and backups taken, if it is not
    /// `postgres:18`: one of the server's major version or a higher one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512), regex(pattern = forms::IMAGE))]
    pub image: Option<String>,
}

/// `pg_dump` reads older servers, and no newer ones.
const CLIENT_IMAGE: &str = "postgres:18";

impl ExternalDatabase {
    /// The image with PostgreSQL's programs.
    pub fn image(&self) -> String {
        self.image.clone().unwrap_or_else(|| CLIENT_IMAGE.to_owned())
    }

    const fn default_max_connections() -> u32 {
        crate::plan::DATABASE_CONNECTIONS
    }
}

/// A cluster that the CloudNativePG operator runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CloudNativePgDatabase {
    /// How many instances: one primary, the others standing by.
    #[schemars(range(min = 1, max = 9))]
    pub instances: u32,
    /// PostgreSQL's major version. It may be raised, never lowered.
    #[schemars(range(min = 15, max = 18), extend("x-kubernetes-validations" = rules::cluster_version()))]
    pub version: u32,
    /// The volume of each instance.
    pub storage: Storage,
    /// CPU and memory of each instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
}

impl Default for CloudNativePgDatabase {
    fn default() -> Self {
        Self { instances: 3, version: DEFAULT_VERSION, storage: Storage::default(), resources: None }
    }
}
