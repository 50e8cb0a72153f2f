//! [`GatewayConfig`]: everything the gateway is told, one immutable snapshot at a time.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Address, Balancing, Cors, Observability, Prometheus, RateLimitStore, RateLimits, ServiceName, Upstream,
    stale,
};

/// The gateway's whole configuration. A change is a new one, swapped in atomically.
///
/// What to make of a member that is not known is for the reader to say: a person who writes a file has misspelt something, an
/// operator that writes one may be newer than the gateway that reads it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayConfig {
    /// Every operation that may pass, one entry a method and path. What is not here is 404.
    pub routes: Vec<Route>,
    /// Where each service answers.
    pub upstreams: BTreeMap<String, Upstream>,
    /// The zone that the gateway is in. Endpoints for this zone are preferred while there are enough of them. Absent: all are alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// How tokens are checked.
    pub auth: GatewayAuth,
    /// Limits for routes that set none of their own, which count together.
    pub rate_limits: RateLimits,
    /// Where gateways that share the limits count together. Absent: each has a fair share of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit_store: Option<RateLimitStore>,
    /// How many gateways share the limits.
    #[serde(default = "defaults::replicas")]
    pub replicas: u32,
    /// The gateway's own Service on Kubernetes, whose pods are counted instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peers: Option<Address>,
    /// Addresses (CIDR) whose `X-Forwarded-For` is believed. Empty: nobody's.
    #[serde(default)]
    pub trusted_proxies: Vec<String>,
    /// Pages of other origins that may call the API from a browser. Absent: none may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cors: Option<Cors>,
    /// Largest request body let through, bytes.
    pub body_bytes_max: u64,
    /// A line per request in the log.
    pub access_log: bool,
    /// Who counts for all gateways together, as `GET /api/gateway` tells it. Absent: each tells of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<Prometheus>,
    /// The log of a gateway in a process of its own.
    #[serde(default)]
    pub observability: Observability,
}

/// One operation: a method on a path template, where it goes and on what terms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path template, such as `/api/patients/{patientId}`; a last segment `{*rest}` takes all that follows.
    pub path: String,
    /// A key of [`GatewayConfig::upstreams`], or `gateway` for what the gateway answers itself.
    pub service: String,
    /// Who may pass.
    pub access: RouteAccess,
    /// From the request's first byte to the answer's last header, milliseconds.
    pub timeout_ms: u64,
    /// When a failed attempt is made again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<Retries>,
    /// When an endpoint is given a rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub circuit_breaker: Option<Breaker>,
    /// What is answered when the service cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Fallback>,
    /// When a read that is slow is made a second time, elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hedge: Option<Hedge>,
    /// Limits of this route alone, in place of the gateway's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limits: Option<RateLimits>,
    /// Routes with limits of their own that have the same name here count together. Absent: by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limits_as: Option<String>,
    /// Only requests that have all of these. Of the routes with one method and path the one that asks for most is taken, and for what none of
    /// those takes the one that asks for none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<HeaderMatch>,
    /// The path that the service is asked for, if it is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rewrite: Option<Rewrite>,
    /// Largest request body of this route, bytes, in place of the gateway's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_bytes_max: Option<u64>,
    /// How an endpoint is picked for this route, in place of the upstream's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balancing: Option<Balancing>,
    /// Another version of the service, which takes a part of the requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
    /// Who goes first when the service has more to do than it can.
    #[serde(default, skip_serializing_if = "Priority::is_normal")]
    pub priority: Priority,
    /// At most so many requests of this route at once; what comes above it is 503. Absent: as many as the service takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency_max: Option<u32>,
    /// Routes with a bound of their own that have the same name here share it. Absent: by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency_as: Option<String>,
}

impl Route {
    /// A route on the gateway's own terms, that repeats nothing and gives nobody a rest.
    pub fn new(method: Method, path: &str, service: &str, access: RouteAccess, timeout_ms: u64) -> Self {
        Self {
            method,
            path: path.to_owned(),
            service: service.to_owned(),
            access,
            timeout_ms,
            retries: None,
            circuit_breaker: None,
            fallback: None,
            hedge: None,
            rate_limits: None,
            rate_limits_as: None,
            headers: Vec::new(),
            rewrite: None,
            body_bytes_max: None,
            balancing: None,
            canary: None,
            priority: Priority::default(),
            concurrency_max: None,
            concurrency_as: None,
        }
    }
}

/// A header that a request must have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeaderMatch {
    /// Its name, in whatever case.
    pub name: String,
    /// Its value, to the letter. Absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// The beginning of a path replaced by another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rewrite {
    /// Whole segments with which the route's path begins, such as `/api/v1`; none of them an id.
    pub prefix: String,
    /// What stands there instead, such as `/api`; empty: nothing.
    pub with: String,
}

/// Another version of a service. Who is sent there is sent there always: it goes by the user, or where nobody is signed in by the client's
/// address, and with a larger share some more are. Taken away, all are back at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Canary {
    /// A key of [`GatewayConfig::upstreams`]. While it has no endpoint that is well, nobody is sent there.
    pub upstream: String,
    /// Its share of the users, percent, to hundredths.
    pub percent: f64,
}

/// Who goes first when a service has more to do than it can.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Priority {
    /// What can be done in an hour as well: refused first.
    Low,
    /// What somebody waits for who can come again.
    #[default]
    Normal,
    /// What work at a patient needs.
    High,
    /// What somebody reads at a patient's bed: refused last.
    Critical,
}

impl Priority {
    /// All of them, from the first to be refused to the last.
    pub const ALL: [Self; 4] = [Self::Low, Self::Normal, Self::High, Self::Critical];

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
    fn is_normal(&self) -> bool {
        *self == Self::Normal
    }
}

/// HTTP methods a route can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// GET, and HEAD with it.
    Get,
    /// POST
    Post,
    /// PUT
    Put,
    /// PATCH
    Patch,
    /// DELETE
    Delete,
}

impl Method {
    /// As it stands in a request line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// Who may pass a route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RouteAccess {
    /// Anybody, without a token.
    Public,
    /// Whoever holds a valid token with all of these permissions (`patients:read`, …); empty: any valid token.
    Permissions(Vec<String>),
}

/// How tokens are checked at the gateway.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayAuth {
    /// The `iss` a token must carry.
    pub issuer: String,
    /// The `aud` a token must carry.
    pub audience: String,
    /// The upstream that serves `/.well-known/jwks.json` and `/internal/revocations`.
    pub service: ServiceName,
    /// When who was logged out was not heard for so long, people's changes are refused, seconds. A gateway without an identity of its own asks
    /// nobody, and refuses nothing.
    #[serde(default = "stale::seconds", skip_serializing_if = "stale::is_usual")]
    pub revocations_stale_seconds: u32,
}

impl GatewayAuth {
    /// When who was logged out was not heard for so long, people's changes are refused.
    pub fn revocations_stale_after(&self) -> Duration {
        Duration::from_secs(u64::from(self.revocations_stale_seconds))
    }
}

/// Attempts after the first.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Retries {
    /// How many further attempts at most. Only idempotent methods are repeated.
    #[schemars(range(min = 0, max = 5))]
    pub attempts: u32,
    /// Back-off before the first repetition, milliseconds; doubles each time, with full jitter.
    #[serde(default = "defaults::base_backoff_ms")]
    #[schemars(range(min = 1, max = 10_000))]
    pub base_backoff_ms: u64,
    /// The longest back-off, milliseconds.
    #[serde(default = "defaults::max_backoff_ms")]
    #[schemars(range(min = 1, max = 60_000))]
    pub max_backoff_ms: u64,
    /// Repetitions may be at most this share of requests, percent, over the last ten seconds (plus a floor of ten a second).
    #[serde(default = "defaults::budget_percent")]
    #[schemars(range(min = 0, max = 100))]
    pub budget_percent: u32,
    /// A read's attempt that has no answer after this long, milliseconds, is given up as failed where another may still be made; the last has all
    /// the time that is left, and so has every attempt at a write. Absent: each has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 300_000))]
    pub per_try_ms: Option<u64>,
}

/// When a read that is slow is made a second time, at another endpoint. Whichever answers first is taken, and the other is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Hedge {
    /// A read that has no answer after this long, milliseconds.
    #[schemars(range(min = 1, max = 60_000))]
    pub after_ms: u64,
    /// Second attempts may be at most this share of the route's requests, percent, over the last ten seconds.
    #[serde(default = "defaults::hedge_percent_max")]
    #[schemars(range(min = 1, max = 100))]
    pub percent_max: u32,
}

/// When an endpoint is given a rest.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Breaker {
    /// Opens when at least this share of calls in the window failed or were slow, percent.
    #[serde(default = "defaults::failure_rate_percent")]
    #[schemars(range(min = 1, max = 100))]
    pub failure_rate_percent: u32,
    /// The window, in calls.
    #[serde(default = "defaults::window_calls")]
    #[schemars(range(min = 1, max = 10_000))]
    pub window_calls: u32,
    /// No decision by their share before this many calls.
    #[serde(default = "defaults::min_calls")]
    #[schemars(range(min = 1, max = 10_000))]
    pub min_calls: u32,
    /// Opens too when so many calls in a row failed or were slow; 0: never.
    #[serde(default, skip_serializing_if = "is_nought")]
    #[schemars(range(min = 0, max = 10_000))]
    pub consecutive_failures: u32,
    /// A call longer than this counts as failed, milliseconds.
    #[serde(default = "defaults::slow_call_ms")]
    #[schemars(range(min = 1, max = 600_000))]
    pub slow_call_ms: u64,
    /// How long it stays open before it probes, milliseconds.
    #[serde(default = "defaults::open_ms")]
    #[schemars(range(min = 10, max = 600_000))]
    pub open_ms: u64,
    /// Probes let through while half open.
    #[serde(default = "defaults::half_open_calls")]
    #[schemars(range(min = 1, max = 100))]
    pub half_open_calls: u32,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            failure_rate_percent: defaults::failure_rate_percent(),
            window_calls: defaults::window_calls(),
            min_calls: defaults::min_calls(),
            consecutive_failures: 0,
            slow_call_ms: defaults::slow_call_ms(),
            open_ms: defaults::open_ms(),
            half_open_calls: defaults::half_open_calls(),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
const fn is_nought(number: &u32) -> bool {
    *number == 0
}

mod defaults {
    //! What a stack gets that says nothing.
    pub(super) const fn replicas() -> u32 {
        1
    }
    pub(super) const fn base_backoff_ms() -> u64 {
        50
    }
    pub(super) const fn max_backoff_ms() -> u64 {
        1_000
    }
    pub(super) const fn budget_percent() -> u32 {
        20
    }
    pub(super) const fn hedge_percent_max() -> u32 {
        10
    }
    pub(super) const fn static_status() -> u16 {
        200
    }
    pub(super) fn content_type() -> String {
        "application/json".to_owned()
    }
    pub(super) const fn failure_rate_percent() -> u32 {
        50
    }
    pub(super) const fn window_calls() -> u32 {
        100
    }
    pub(super) const fn min_calls() -> u32 {
        20
    }
    pub(super) const fn slow_call_ms() -> u64 {
        5_000
    }
    pub(super) const fn open_ms() -> u64 {
        5_000
    }
    pub(super) const fn half_open_calls() -> u32 {
        3
    }
}

/// What a caller gets when the service cannot answer: nobody is reached, all rest, no answer comes in time, or it is 502, 503 or 504.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Fallback {
    /// 503 with `Retry-After`, as a problem document.
    Unavailable,
    /// The last good answer of a GET to the same caller, marked stale with its age; else 503. Never for patients and medical records.
    #[serde(rename_all = "camelCase")]
    StaleRead {
        /// Older than this is not served, seconds. 300 at most for what tells of a person's care: appointments, bills, messages.
        #[schemars(range(min = 1, max = 3600))]
        max_age_seconds: u32,
    },
    /// Always the same answer to a GET. Never for what tells of a person's health: nothing must look like "none known".
    Static(StaticAnswer),
}

/// An answer that is written down beforehand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StaticAnswer {
    /// The status.
    #[serde(default = "defaults::static_status")]
    #[schemars(range(min = 200, max = 599))]
    pub status: u16,
    /// What the body is.
    #[serde(default = "defaults::content_type")]
    #[schemars(length(min = 3, max = 128))]
    pub content_type: String,
    /// The body, as it is sent: JSON, unless `contentType` says otherwise.
    #[schemars(length(max = 16384))]
    pub body: String,
    /// Further headers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
}
