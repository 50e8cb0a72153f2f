//! `spec.database.backup` and `spec.database.restoreFrom`: copies of the data, and a new stack made from one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BackupStore, RestoreStore, Storage, forms, rules};

/// Copies of the data, taken on a schedule, on a volume, in an object store, or both. They are useless without the key-encryption key, which
/// is never in them: keep a copy of its Secret (`<stack>-kek`) elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::backup()))]
pub struct Backup {
    /// When, as cron has it, in the stack's time zone: minute, hour, day of the month, month, day of the week (0 is Sunday).
    #[serde(default = "Backup::default_schedule")]
    #[schemars(length(min = 6, max = 128), regex(pattern = forms::CRON))]
    pub schedule: String,
    /// When the wrapped keys alone are taken anew, between backups: whoever was erased before then stays erased when an older backup is restored.
    #[serde(default = "Backup::default_keys_schedule")]
    #[schemars(length(min = 6, max = 128), regex(pattern = forms::CRON))]
    pub keys_schedule: String,
    /// How many are kept; older ones are deleted.
    #[serde(default = "Backup::default_keep")]
    #[schemars(range(min = 1, max = 366))]
    pub keep: u32,
    /// None is taken until this is false again.
    #[serde(default)]
    pub suspend: bool,
    /// The volume that holds them, `<stack>-backup`. It outlives the stack unless `deletionPolicy` is `Delete`; and so does a small one
    /// beside it, `<stack>-backup-keys`, with the latest state of the wrapped keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<Storage>,
    /// The bucket that holds them, wherever that is. It outlives the cluster; nothing in it is deleted with the stack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object_store: Option<BackupStore>,
}

impl Backup {
    fn default_schedule() -> String {
        "0 2 * * *".to_owned()
    }
    fn default_keys_schedule() -> String {
        "*/15 * * * *".to_owned()
    }
    const fn default_keep() -> u32 {
        7
    }
}

/// The backup that a new stack is filled from, before its services first start: exactly one of `volume` and `objectStore`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::restore_from()))]
pub struct RestoreFrom {
    /// Which one, by its name. Left out: the latest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = forms::ID))]
    pub backup: Option<String>,
    /// The volume that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<BackupVolume>,
    /// Or the bucket that does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object_store: Option<RestoreStore>,
    /// The Secret with the old stack's key-encryption key (`<old stack>-kek`), without which the backup opens for nobody. The new stack
    /// takes it over; the Secret itself is not touched.
    pub key_secret_ref: KeySecretRef,
}

/// A volume that holds backups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupVolume {
    /// The `PersistentVolumeClaim`, such as `<old stack>-backup`, in the new stack's namespace. Beside it is needed the one with the keys,
    /// of the same name with `-keys` after it.
    #[schemars(length(min = 1, max = 253), regex(pattern = forms::OBJECT_NAME))]
    pub claim_name: String,
}

/// A Secret that holds a key-encryption key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeySecretRef {
    /// Its name, in the new stack's namespace.
    #[schemars(length(min = 1, max = 253), regex(pattern = forms::OBJECT_NAME))]
    pub name: String,
}
