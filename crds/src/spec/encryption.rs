//! `spec.encryption`: who keeps the key-encryption key.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use settings::{Encryption, KekProvider, SecretRef, Transit};

use super::{Span, forms, rules};

/// Who keeps the key-encryption key, which wraps the keys of patients, which seal their data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct EncryptionSpec {
    /// Who wraps keys. `Secret`: the services themselves, with the key in the stack's own Secret `<stack>-kek`. `Transit`: a server, which
    /// never gives its key away; each service has to ask it once when it starts, for each new patient, and for each patient who was not
    /// seen for a while.
    pub provider: KekProvider,
    /// A transit engine. Name it while `provider` still is `Secret`, and make it the provider once the stack is ready again: every pod has
    /// to know it before any uses it. It stays here for as long as a key is wrapped by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = rules::transit()))]
    pub transit: Option<TransitSpec>,
}

/// A transit engine of Vault, OpenBao or whatever else speaks as they do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TransitSpec {
    /// Where the server is, such as `https://vault.example.org:8200`. Keys travel to it, so that it speaks TLS, but on the same machine.
    #[schemars(length(min = 1, max = 2048), regex(pattern = forms::ENDPOINT))]
    pub address: String,
    /// Where the engine is mounted.
    #[serde(default = "TransitSpec::default_mount")]
    #[schemars(length(min = 1, max = 128), regex(pattern = forms::FOLDER))]
    pub mount: String,
    /// The name of its key, which is of type `aes256-gcm96` or `chacha20-poly1305`. It has to be there already.
    #[schemars(length(min = 1, max = 128), regex(pattern = forms::ID))]
    pub key: String,
    /// The namespace that engine and token belong to, where the server has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = forms::FOLDER))]
    pub namespace: Option<String>,
    /// A token that may `update` `<mount>/encrypt/<key>` and `<mount>/decrypt/<key>`; it needs no more. It is read for each request: whoever
    /// renews it, or puts another in its place, need tell nobody.
    pub token: SecretRef,
    /// The certificates (PEM) that vouch for the server, if not those that everybody believes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<SecretRef>,
    /// How long a pod remembers a key that the server has unwrapped: 1m to 24h. While the server is away, the data of those who were seen
    /// within this time is read and written. A key that is destroyed is forgotten within a minute in any case.
    #[serde(default = "TransitSpec::default_hold")]
    #[schemars(extend("x-kubernetes-validations" = rules::between("1m", "24h")))]
    pub hold: Span,
}

impl TransitSpec {
    fn default_mount() -> String {
        "transit".to_owned()
    }

    /// Half a working day.
    const fn default_hold() -> Span {
        Span::from_secs(4 * 3_600)
    }

    /// Every Secret that it names.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretRef> {
        [&self.token].into_iter().chain(&self.ca)
    }
}

impl From<EncryptionSpec> for Encryption {
    fn from(spec: EncryptionSpec) -> Self {
        let transit = spec.transit.map(|it| Transit {
            address: it.address,
            mount: it.mount,
            key: it.key,
            namespace: it.namespace,
            token: it.token,
            ca: it.ca,
            hold_seconds: it.hold.secs(),
        });
        Self { provider: spec.provider, transit }
    }
}
