//! `spec.observability`: logs, metrics and traces.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use settings::{LogFormat, SecretRef, TracingHeader};

use super::forms;

/// Logs, metrics and traces. Metrics are always there, on port 9464.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ObservabilitySpec {
    /// `error`, `warn`, `info`, `debug` or `trace`, or a filter such as `info,gateway=debug`.
    #[schemars(length(min = 1, max = 256), regex(pattern = forms::LOG_LEVEL))]
    pub log_level: String,
    /// Shape of log lines. A stack in one process at a terminal writes text in any case.
    pub log_format: LogFormat,
    /// How the Prometheus operator is told to collect the stack's metrics, if the cluster has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monitoring: Option<Monitoring>,
    /// The Prometheus that collects the stack's metrics, so that `GET /api/gateway` answers for all replicas together. Left out, or while
    /// it does not answer: each gateway tells of itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<Prometheus>,
    /// Where traces go. Left out: none are made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracing: Option<Tracing>,
}

impl Default for ObservabilitySpec {
    fn default() -> Self {
        Self {
            log_level: "info".to_owned(),
            log_format: LogFormat::default(),
            monitoring: None,
            prometheus: None,
            tracing: None,
        }
    }
}

/// How the Prometheus operator is told to collect the stack's metrics, and Grafana to show them. Where the cluster knows these kinds, there
/// is a `PodMonitor` and a `PrometheusRule`; and always a `ConfigMap` with a dashboard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Monitoring {
    /// Whether there are such objects.
    pub enabled: bool,
    /// Labels that they carry beside the stack's own, such as the `release` that a Prometheus selects by.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16, "additionalProperties" = { "type": "string", "maxLength": 63 }))]
    pub labels: BTreeMap<String, String>,
}

impl Default for Monitoring {
    fn default() -> Self {
        Self { enabled: true, labels: BTreeMap::new() }
    }
}

/// The Prometheus that collects the stack's metrics.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Prometheus {
    /// Its address, such as `http://prometheus.monitoring:9090`. It must give the stack's samples the labels `namespace` and `stack`, as the
    /// `PodMonitor` has it do.
    #[schemars(length(min = 1, max = 2048), regex(pattern = forms::URL))]
    pub url: String,
}

/// Where traces go: an OpenTelemetry collector, or whatever else takes OTLP over HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tracing {
    /// Its address, such as `http://collector.monitoring:4318`; `/v1/traces` is put behind it, if it does not stand there.
    #[schemars(length(min = 1, max = 2048), regex(pattern = forms::URL))]
    pub endpoint: String,
    /// Share of requests that are traced, percent. A request that a trusted proxy traces already is traced in any case, and one that it does
    /// not trace is not.
    #[serde(default = "Tracing::default_sample_percent")]
    #[schemars(range(min = 0, max = 100))]
    pub sample_percent: u32,
    /// Headers that it asks for, such as an API key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub headers: Vec<TracingHeader>,
    /// The certificates (PEM) that vouch for it, if not those that everybody believes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<SecretRef>,
}

impl Tracing {
    /// Every Secret that it names.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretRef> {
        self.headers.iter().map(|header| &header.value).chain(&self.ca)
    }

    const fn default_sample_percent() -> u32 {
        10
    }
}
