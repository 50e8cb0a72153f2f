//! The keys of a stack, by what they are called: never a key. Each service tells of its own; the operation stands beside its others.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which keys a stack has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StackKeys {
    /// What each service's data keys are wrapped under.
    pub services: Vec<ServiceKeys>,
    /// The keys that users' tokens are signed with.
    pub signing_keys: Vec<SigningKey>,
}

/// What a service's data keys are wrapped under.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceKeys {
    /// The service.
    pub service: String,
    /// Whether it answered. If not, nothing is known of its keys just now.
    pub answered: bool,
    /// Who wraps: `Secret` or `Transit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The key-encryption key that new data keys are wrapped under. Absent while a transit engine was not asked to wrap one yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// Every key-encryption key that data keys are wrapped under. One that is not the current one is waited for: it must not be forgotten.
    #[serde(default)]
    pub keys: Vec<WrappingKey>,
}

/// A key-encryption key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WrappingKey {
    /// What it is called: 16 hexadecimal digits computed from it, or a transit engine's mount, key and version, such as
    /// `transit/clinic:v3`.
    pub kek_id: String,
    /// How many data keys are wrapped under it: one for each patient, and some of the service's own.
    pub data_keys: u64,
}

/// A key that users' tokens are signed with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SigningKey {
    /// Its name, as tokens and `/.well-known/jwks.json` have it.
    pub kid: String,
    /// What it signs with, such as `EdDSA`.
    pub algorithm: String,
    /// What it is for just now.
    pub state: SigningKeyState,
}

/// What a signing key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SigningKeyState {
    /// New tokens are signed with it.
    Signing,
    /// It is known: it will sign, or it did, and its tokens may still be good.
    Verifying,
}

/// What one service's data keys are wrapped under: the same operation on every one.
pub type CollectKeys = crate::patients::KeysOfPatients;
