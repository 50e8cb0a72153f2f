//! `spec.observability`: logs, metrics and traces.

use super::forms;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use settings::LogFormat;

/// Logs, metrics and traces. Metrics are always there, on port 9464.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ObservabilitySpec {
    /// `error`, `warn`, `info`, `debug` or `trace`, or a filter such as `info,gateway=debug`.
    #[schemars(length(min = 1, max = 256))]
    pub log_level: String,
    /// Shape of log lines. A stack in one process at a terminal writes text in any case.
    pub log_format: LogFormat,
    /// The Prometheus that collects the stack's metrics: `GET /api/gateway` then answers for all replicas together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<Prometheus>,
    /// Where traces go. Left out: nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracing: Option<Tracing>,
}

impl Default for ObservabilitySpec {
    fn default() -> Self {
        Self {
            log_level: "info".to_owned(),
            log_format: LogFormat::default(),
            prometheus: None,
            tracing: None,
        }
    }
}

/// The Prometheus that collects the stack's metrics.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Prometheus {
    /// Its address, such as `http://prometheus.monitoring:9090`.
    #[schemars(length(min = 1, max = 2048), regex(pattern = forms::URL))]
    pub url: String,
}

/// Where traces go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tracing {
    /// An OpenTelemetry collector that takes OTLP over HTTP, such as `http://collector.monitoring:4318`.
    #[schemars(length(min = 1, max = 2048), regex(pattern = forms::URL))]
    pub endpoint: String,
    /// Share of requests that are traced, percent.
    #[serde(default = "Tracing::default_sample_percent")]
    #[schemars(range(min = 0, max = 100))]
    pub sample_percent: u32,
}

impl Tracing {
    const fn default_sample_percent() -> u32 {
        10
    }
}
