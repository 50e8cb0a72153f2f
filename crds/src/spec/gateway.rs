//! `spec.gateway`: routes and the policies that hold on them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use settings::{Balancing, Protocol, RateLimit, RateLimits};

use super::{
    Autoscaling, ConcurrencySpec, CorsSpec, GatewayService, GatewayTls, IngressSpec, RateLimitStoreSpec,
    Resources, ServiceKey, Span, forms, rules,
};

/// What stands in front of the services: the only way in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = rules::gateway()))]
pub struct GatewaySpec {
    /// How many pods, 1 if not said. Not together with `autoscaling`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub replicas: Option<u32>,
    /// Lets the load decide how many pods there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<Autoscaling>,
    /// CPU and memory of each pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Policies, by path. Every documented operation has a route without any entry here: an entry changes how it is treated. For an
    /// operation the entry with the longest path that covers it counts, alone.
    #[schemars(
        length(max = 128),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["path"])
    )]
    pub routes: Vec<RouteSpec>,
    /// Limits wherever a route sets none of its own. `perClient` and `perUser` that are left out are 100 requests a second with bursts of 400;
    /// `perKey` and `total` are no limit then. `total` is of all requests that these limits hold for.
    pub rate_limits: RateLimits,
    /// Where the gateway's pods count together. Left out: each keeps a fair share of the limits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit_store: Option<RateLimitStoreSpec>,
    /// How much each service is given at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<ConcurrencySpec>,
    /// How an endpoint of a service is picked, where no route to it says otherwise. `RoundRobin`: in a circle. `LeastConnections`: the
    /// less busy of two random ones. `PeakEwma`: the faster and less busy of two random ones.
    pub load_balancing: Balancing,
    /// What the gateway speaks with services. `http1`: one request at a time on a connection, which costs the gateway least. `http2`: many on one
    /// connection, where connections are dear; a WebSocket and `Expect: 100-continue` go by HTTP/1.1 all the same.
    pub upstream_protocol: Protocol,
    /// Networks (CIDR, such as `10.0.0.0/8`) whose `X-Forwarded-For` is believed. None: the caller's own address counts.
    #[schemars(
        length(max = 32),
        inner(length(min = 1, max = 49)),
        extend("x-kubernetes-list-type" = "set", "x-kubernetes-validations" = rules::trusted_proxies())
    )]
    pub trusted_proxies: Vec<String>,
    /// Pages of other origins that may call the API from a browser. Left out: none may.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cors: Option<CorsSpec>,
    /// A line in the log for each request, without health data.
    pub access_log: bool,
    /// Its Service, port 8080.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<GatewayService>,
    /// How it is reached by a host name. Left out: only by its Service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingress: Option<IngressSpec>,
    /// TLS at the gateway itself. Left out: it speaks plain HTTP, and what stands before it ends TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<GatewayTls>,
}

/// For a limit that is not stated: a busy front desk does not notice it, a runaway script does.
pub(crate) const DEFAULT_RATE_LIMIT: RateLimit = RateLimit { requests_per_second: 100, burst: 400 };

impl Default for GatewaySpec {
    fn default() -> Self {
        Self {
            replicas: None,
            autoscaling: None,
            resources: None,
            routes: Vec::new(),
            rate_limits: RateLimits {
                per_client: Some(DEFAULT_RATE_LIMIT),
                per_user: Some(DEFAULT_RATE_LIMIT),
                per_key: None,
                total: None,
            },
            rate_limit_store: None,
            concurrency: None,
            load_balancing: Balancing::default(),
            upstream_protocol: Protocol::default(),
            trusted_proxies: Vec::new(),
            cors: None,
            access_log: true,
            service: None,
            ingress: None,
            tls: None,
        }
    }
}

/// How requests under a path are treated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::route()))]
pub struct RouteSpec {
    /// A path and all that is under it, such as `/api/patients`; ids as in the documentation, `/api/providers/{providerId}/slots`.
    #[schemars(length(min = 2, max = 200), regex(pattern = forms::PATH))]
    pub path: String,
    /// The service that answers there.
    pub service: ServiceKey,
    /// Whether a token is needed. Left out: as each operation says. `Required`: everywhere under the path. `None`: nowhere, which is
    /// refused if an operation there is not public: the stack can make it stricter, never looser.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<RouteAuth>,
    /// Permissions that a caller needs beside the operation's own, such as `records:read`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        inner(length(min = 1, max = 64)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub permissions: Vec<String>,
    /// From the request's first byte to the answer's last header: 10ms to 5m.
    #[serde(default = "RouteSpec::default_timeout")]
    #[schemars(extend("x-kubernetes-validations" = rules::between("10ms", "5m")))]
    pub timeout: Span,
    /// Attempts after the first, of what is safe to repeat. Left out: one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<RetriesSpec>,
    /// When an endpoint that fails is given a rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub circuit_breaker: Option<BreakerSpec>,
    /// What a caller gets when the service cannot answer. Left out: 503 with `Retry-After`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<FallbackSpec>,
    /// When a read that is slow is made a second time, at another pod of the service. Left out: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hedge: Option<HedgeSpec>,
    /// Limits of this route, which all operations that it covers count against together, and no other. `perClient`, `perUser` and `perKey` that
    /// are left out are as the gateway has them; `total`, of all callers together, is no limit then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limits: Option<RateLimits>,
    /// At most so many requests under way at once, for a pod of the gateway, of all operations that the route covers together; what comes above
    /// it is refused at once, with 503 and `Retry-After`. Left out: as many as the service takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub max_concurrent: Option<u32>,
    /// How an endpoint of the service is picked for what comes by this route. Left out: as the gateway has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_balancing: Option<Balancing>,
}

impl RouteSpec {
    pub(crate) const fn default_timeout() -> Span {
        Span::from_secs(10)
    }
}

/// Whether a token is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RouteAuth {
    /// Yes, even where the operation is public. Refused on what people sign in with.
    Required,
    /// No: says that every operation under the path is public, and is refused if one is not.
    None,
}

/// Attempts after the first, of methods that are safe to repeat (GET, PUT, DELETE).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = rules::retries()))]
pub struct RetriesSpec {
    /// How many at most; 0: none.
    #[schemars(range(min = 0, max = 5))]
    pub attempts: u32,
    /// Pause before the first, 1ms to 10s; it doubles each time, and a random part of it is waited.
    #[schemars(extend("x-kubernetes-validations" = rules::between("1ms", "10s")))]
    pub backoff: Span,
    /// The longest pause, 1ms to 60s.
    #[schemars(extend("x-kubernetes-validations" = rules::between("1ms", "60s")))]
    pub max_backoff: Span,
    /// Repetitions may be at most this share of all requests, percent.
    #[schemars(range(min = 0, max = 100))]
    pub budget_percent: u32,
    /// A read's attempt without an answer after this long, 1ms to 5m and at most the route's `timeout`, is given up where another may still be made;
    /// the last has all the time that is left, and so has every attempt at a write. Left out: each has.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = rules::between("1ms", "5m")))]
    pub per_try: Option<Span>,
}

/// A second attempt beside a slow read; whichever answers first is taken, and the other is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HedgeSpec {
    /// A read without an answer after this long: 1ms to 60s, and at most the route's `timeout`.
    #[schemars(extend("x-kubernetes-validations" = rules::between("1ms", "60s")))]
    pub after: Span,
    /// Second attempts may be at most this share of an operation's requests, percent.
    #[serde(default = "HedgeSpec::default_max_percent")]
    #[schemars(range(min = 1, max = 100))]
    pub max_percent: u32,
}

impl HedgeSpec {
    const fn default_max_percent() -> u32 {
        10
    }
}

impl Default for RetriesSpec {
    fn default() -> Self {
        Self {
            attempts: 1,
            backoff: Span::from_millis(50),
            max_backoff: Span::from_secs(1),
            budget_percent: 20,
            per_try: None,
        }
    }
}

/// When an endpoint that fails is given a rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = rules::breaker()))]
pub struct BreakerSpec {
    /// Opens when at least this share of the calls in the window failed or were slow, percent.
    #[schemars(range(min = 1, max = 100))]
    pub failure_rate_percent: u32,
    /// The window, in calls.
    #[schemars(range(min = 1, max = 10_000))]
    pub window_calls: u32,
    /// No decision by their share before this many calls; at most the window.
    #[schemars(range(min = 1, max = 10_000))]
    pub min_calls: u32,
    /// Opens too when so many calls in a row failed or were slow; 0: never. An endpoint that has others beside it is set aside after five
    /// failures in a row whatever stands here.
    #[schemars(range(min = 0, max = 10_000))]
    pub consecutive_failures: u32,
    /// A call that takes longer counts as failed: 1ms to 10m.
    #[schemars(extend("x-kubernetes-validations" = rules::between("1ms", "10m")))]
    pub slow_call: Span,
    /// How long it stays open before it lets a few calls try: 10ms to 10m.
    #[schemars(extend("x-kubernetes-validations" = rules::between("10ms", "10m")))]
    pub open_for: Span,
    /// How many calls may try at once.
    #[schemars(range(min = 1, max = 100))]
    pub half_open_calls: u32,
}

impl Default for BreakerSpec {
    fn default() -> Self {
        let default = settings::Breaker::default();
        Self {
            failure_rate_percent: default.failure_rate_percent,
            window_calls: default.window_calls,
            min_calls: default.min_calls,
            consecutive_failures: default.consecutive_failures,
            slow_call: Span::from_millis(default.slow_call_ms),
            open_for: Span::from_millis(default.open_ms),
            half_open_calls: default.half_open_calls,
        }
    }
}

/// What a caller gets when the service cannot answer: exactly one of these.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = rules::fallback()))]
pub struct FallbackSpec {
    /// 503 with `Retry-After`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unavailable: Option<Unavailable>,
    /// The last good answer of a GET to the same caller, marked stale and with its age; 503 for everything else. Refused for patients and medical
    /// records: an old allergy list looks like a current one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stale_read: Option<StaleRead>,
    /// Always the same answer to a GET, marked as such; 503 for everything else. Refused for patients, medical records, appointments, bills and
    /// messages: what is empty would look like none known.
    #[serde(rename = "static", skip_serializing_if = "Option::is_none")]
    pub static_answer: Option<StaticAnswerSpec>,
}

/// 503 with `Retry-After`. Nothing to set: write `unavailable: {}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unavailable {}

/// The last good answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StaleRead {
    /// Older than this is not served: 1s to 1h; 5m at most for appointments, bills and messages.
    #[schemars(extend("x-kubernetes-validations" = rules::between("1s", "1h")))]
    pub max_age: Span,
}

/// An answer that is written down beforehand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StaticAnswerSpec {
    /// The status.
    #[serde(default = "StaticAnswerSpec::default_status")]
    #[schemars(range(min = 200, max = 599))]
    pub status: u16,
    /// The body: JSON, as text.
    #[schemars(length(min = 1, max = 16384))]
    pub body: String,
}

impl StaticAnswerSpec {
    const fn default_status() -> u16 {
        200
    }
}
