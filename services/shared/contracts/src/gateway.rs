//! What the gateway answers itself.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api;

api! {
    service gateway, tag "Gateway", client GatewayClient;

    /// Retrieve API gateway status and metrics. Whoever may `gateway:read` sees details: routes, latency, endpoints.
    gateway_status: GatewayStatus = Get "/api/gateway",
        signed_in, answers 200 GatewayReport, unaudited;
}

/// How the gateway is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayReport {
    /// `Running`, or `Draining` while it stops: of the gateway that answers.
    pub status: String,
    /// Totals.
    pub metrics: GatewayMetrics,
    /// Whose totals they are.
    pub source: CountedBy,
    /// How many gateways are counted that run now.
    pub replicas: u32,
    /// For those with `gateway:read`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<GatewayDetails>,
}

/// Totals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayMetrics {
    /// Requests answered.
    pub requests: u64,
    /// Those answered with 5xx, or ended by the gateway itself.
    pub errors: u64,
}

/// Who counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum CountedBy {
    /// The gateway that answers: itself alone, since it started.
    Gateway,
    /// The Prometheus that collects from all gateways: all that ran within the last seven days, each since it started.
    Prometheus,
}

/// What is told to those who run the gateway.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayDetails {
    /// Latencies are those of the last so many seconds. Absent: since the gateway started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_over_seconds: Option<u32>,
    /// Of all requests. Absent: there were none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
    /// Those that were asked for, counted by the gateways that run now.
    pub routes: Vec<RouteReport>,
    /// Where the gateways send requests.
    pub endpoints: Vec<EndpointReport>,
}

/// One operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RouteReport {
    /// Its method; `-` for what no route took.
    pub method: String,
    /// Its path's template; `-` for what no route took.
    pub route: String,
    /// Requests answered.
    pub requests: u64,
    /// Those answered with 5xx.
    pub errors: u64,
    /// Absent: there were none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
}

/// From a request's head to its answer's last byte, as far as the histogram's buckets tell.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Latency {
    /// Half of the requests took no longer, milliseconds.
    pub p50_ms: f64,
    /// 99 of a hundred took no longer, milliseconds.
    pub p99_ms: f64,
}

/// One endpoint of a service, as the gateway sees it that sees it worst.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndpointReport {
    /// The service.
    pub service: String,
    /// Its address.
    pub endpoint: String,
    /// How it is.
    pub state: EndpointState,
    /// Its circuit breaker.
    pub breaker: BreakerState,
    /// Requests under way there, of all gateways.
    pub in_flight: u64,
}

/// How an endpoint is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum EndpointState {
    /// It takes its share.
    Well,
    /// It came back, and its share grows.
    Joining,
    /// Set aside after failures.
    Ejected,
    /// It does not say that it is well.
    Down,
}

/// What a circuit breaker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum BreakerState {
    /// All may pass.
    Closed,
    /// A few may, to see how it is.
    HalfOpen,
    /// Nobody may.
    Open,
}
