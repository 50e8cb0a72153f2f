//! `objectStore`, where backups go and where one comes from: a bucket of an S3-compatible store.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use settings::SecretRef;

use super::{Quantity, forms};

/// An S3-compatible object store, and the buckets in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectStore {
    /// The store's address, such as `https://s3.eu-central-1.amazonaws.com` or `https://minio.example.org:9000`. Over `http://` whoever is on the
    /// way reads along.
    #[schemars(length(min = 8, max = 512), regex(pattern = forms::ENDPOINT))]
    pub endpoint: String,
    /// Its region. Stores that have none take the default.
    #[serde(default = "ObjectStore::default_region")]
    #[schemars(length(min = 1, max = 64), regex(pattern = forms::REGION))]
    pub region: String,
    /// The bucket for the data. It must be there.
    #[schemars(length(min = 3, max = 63), regex(pattern = forms::OBJECT_NAME))]
    pub bucket: String,
    /// The bucket for the wrapped keys, if it is not `bucket`. It must keep no old versions: of the keys only the latest state may exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 63), regex(pattern = forms::OBJECT_NAME))]
    pub keys_bucket: Option<String>,
    /// The access key's id.
    pub access_key_id: SecretRef,
    /// The access key.
    pub secret_access_key: SecretRef,
    /// The certificates (PEM) that vouch for the store, if not those that everybody believes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<SecretRef>,
    /// Whether a bucket stands in the path of an address, which every store takes, or before the host's name.
    #[serde(default = "ObjectStore::default_force_path_style")]
    pub force_path_style: bool,
    /// Where a backup lies on its way.
    #[serde(default)]
    pub scratch: Scratch,
}

impl ObjectStore {
    fn default_region() -> String {
        "us-east-1".to_owned()
    }
    const fn default_force_path_style() -> bool {
        true
    }
}

/// Where backups go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupStore {
    /// The store.
    #[serde(flatten)]
    pub store: ObjectStore,
    /// A folder in the buckets; in it each stack has one of its own, `<namespace>/<stack>`. Left out: those lie at the top. No two clusters
    /// may share bucket and prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = forms::FOLDER))]
    pub prefix: Option<String>,
}

impl BackupStore {
    /// The folder of a stack's backups.
    pub fn folder(&self, namespace: &str, stack: &str) -> String {
        let own = format!("{namespace}/{stack}");
        self.prefix.as_ref().map_or(own.clone(), |prefix| format!("{prefix}/{own}"))
    }
}

/// Where a backup comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RestoreStore {
    /// The store.
    #[serde(flatten)]
    pub store: ObjectStore,
    /// The folder of the old stack's backups: `<prefix>/<namespace>/<stack>`, without the prefix if there was none.
    #[schemars(length(min = 1, max = 640), regex(pattern = forms::FOLDER))]
    pub folder: String,
}

/// Where a backup lies on its way to the store or from there, beside the database: the pod's own, and gone with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Scratch {
    /// How large a backup may be.
    #[serde(default = "Scratch::default_size")]
    pub size: Quantity,
    /// The `StorageClass` of a volume that is made for it. Left out: it lies on the node's own disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = forms::OBJECT_NAME))]
    pub class_name: Option<String>,
}

impl Scratch {
    fn default_size() -> Quantity {
        Quantity::gibibytes(10)
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self { size: Self::default_size(), class_name: None }
    }
}
