//! [`Encryption`]: who keeps the key-encryption key, which wraps the keys that health data is sealed under.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{SecretRef, is_default};

/// Who keeps the key-encryption key.
///
/// A keeper that does not wrap yet, or no longer, may stand here all the same: what it has wrapped is read. So one takes the place of
/// the other in two steps, each of which every process knows before the next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Encryption {
    /// Who wraps new keys.
    #[serde(default, skip_serializing_if = "is_default")]
    pub provider: KekProvider,
    /// The transit engine, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transit: Option<Transit>,
}

/// Who wraps keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum KekProvider {
    /// The process itself, with the key in the secret `kek`.
    #[default]
    Secret,
    /// The transit engine, which never gives its key away.
    Transit,
}

/// A transit secrets engine of Vault, OpenBao or whatever else speaks as they do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Transit {
    /// Where the server is, such as `https://vault.example.org:8200`.
    pub address: String,
    /// Where the engine is mounted, such as `transit`.
    pub mount: String,
    /// The name of its key.
    pub key: String,
    /// The namespace that engine and token belong to, where the server has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// A token that may `update` `<mount>/encrypt/<key>` and `<mount>/decrypt/<key>`. Read for each request.
    pub token: SecretRef,
    /// The certificates (PEM) that vouch for the server, if not those that everybody believes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<SecretRef>,
    /// How long a key that was unwrapped need not be unwrapped again, seconds.
    pub hold_seconds: u32,
}
