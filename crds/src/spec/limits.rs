//! `spec.gateway.rateLimitStore`: where the gateway's pods count together.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use settings::{RateLimitStore, SecretRef};

use super::{Span, forms, rules};

/// A Redis or Valkey server, where the gateway's pods count together: limits are then exact, however many pods there are. While it does not
/// answer, each pod keeps its fair share of the limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RateLimitStoreSpec {
    /// Its host name or address.
    #[schemars(length(min = 1, max = 253), regex(pattern = forms::HOST_OR_ADDRESS))]
    pub host: String,
    /// Its port.
    #[serde(default = "RateLimitStore::default_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: u16,
    /// TLS. Left out: whoever is on the way reads along, the password too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<RateLimitStoreTls>,
    /// Whom to sign in as, if not as the default user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub username: Option<String>,
    /// The password. When it changes, it is read for the next connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretRef>,
    /// The number of the database.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1_000))]
    pub database: u16,
    /// A request waits so long for an answer at most, 1ms to 1s; then its pod decides alone.
    #[serde(default = "RateLimitStoreSpec::default_timeout")]
    #[schemars(extend("x-kubernetes-validations" = rules::between("1ms", "1s")))]
    pub timeout: Span,
}

impl RateLimitStoreSpec {
    const fn default_timeout() -> Span {
        Span::from_millis(RateLimitStore::default_timeout_ms())
    }
}

/// TLS to the store. Nothing need be set: write `tls: {}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RateLimitStoreTls {
    /// The certificates (PEM) that vouch for it, if not those that everybody believes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<SecretRef>,
}
