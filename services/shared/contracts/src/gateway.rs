//! What the gateway answers itself.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api;

api! {
    service gateway, tag "Gateway", client GatewayClient;

    /// Retrieve API gateway status and metrics.
    gateway_status: GatewayStatus = Get "/api/gateway",
        signed_in, answers 200 GatewayReport;
}

/// How the gateway is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayReport {
    /// `Running`, or `Draining` while it stops.
    pub status: String,
    /// Totals since it started.
    pub metrics: GatewayMetrics,
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
