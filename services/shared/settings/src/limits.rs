//! How often: limits, and where gateways count together.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::SecretRef;

/// Sustained rate and burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RateLimit {
    /// Sustained, requests a second.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub requests_per_second: u32,
    /// How many may come at once.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub burst: u32,
}

/// Limits by who asks, each beside the others. Absent: no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RateLimits {
    /// Per client address; of IPv6 per /64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_client: Option<RateLimit>,
    /// Per signed-in user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_user: Option<RateLimit>,
    /// Per value of a header in which calling programs name themselves, such as an API key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_key: Option<KeyLimit>,
    /// All callers together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<RateLimit>,
}

/// A limit for each value of a header. Whoever sends none is not limited by it, and nobody checks who may send which: it is a word between
/// friends, and never in the place of the other limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyLimit {
    /// The header, such as `X-API-Key`. What it says is kept as a digest alone, and in no log.
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?$"))]
    pub header: String,
    /// Sustained, requests a second.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub requests_per_second: u32,
    /// How many may come at once.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub burst: u32,
}

impl KeyLimit {
    /// Without the header.
    pub const fn limit(&self) -> RateLimit {
        RateLimit { requests_per_second: self.requests_per_second, burst: self.burst }
    }
}

/// A Redis or Valkey server where gateways count together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RateLimitStore {
    /// Its name or address.
    pub host: String,
    /// Its port.
    #[serde(default = "RateLimitStore::default_port")]
    pub port: u16,
    /// TLS, if it speaks that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<StoreTls>,
    /// Whom to sign in as. Absent: the server's default user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The password; read again for each connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretRef>,
    /// The database's number.
    #[serde(default)]
    pub database: u16,
    /// A request waits so long for the store, milliseconds; then it is counted here alone.
    #[serde(default = "RateLimitStore::default_timeout_ms")]
    pub timeout_ms: u64,
    /// What every key begins with: gateways that count together have the same, others another.
    #[serde(default = "RateLimitStore::default_prefix")]
    pub prefix: String,
}

impl RateLimitStore {
    /// Redis' own.
    pub const fn default_port() -> u16 {
        6379
    }
    /// Several times what a server nearby takes.
    pub const fn default_timeout_ms() -> u64 {
        5
    }
    fn default_prefix() -> String {
        "healthcare".to_owned()
    }
}

/// TLS to the store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoreTls {
    /// The certificates (PEM) that vouch for it. Absent: those that everybody believes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<SecretRef>,
}
