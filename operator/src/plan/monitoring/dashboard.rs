//! The Grafana dashboard, in a `ConfigMap` that Grafana's sidecar finds by its label.

use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::{Value, json};
use stack::names;

use super::selector;
use crate::digest::digest;
use crate::object::Object;
use crate::plan::Context;

/// What Grafana's own chart looks for.
const FOUND_BY: (&str, &str) = ("grafana_dashboard", "1");
/// A row of panels: Grafana's grid is 24 wide.
const PANELS_PER_ROW: usize = 2;
const PANEL_WIDTH: usize = 12;
const PANEL_HEIGHT: usize = 8;

pub(super) fn config_map(context: &Context<'_>) -> Object {
    let mut metadata = super::metadata(context, names::DASHBOARD);
    metadata.labels.get_or_insert_default().insert(FOUND_BY.0.to_owned(), FOUND_BY.1.to_owned());
    // Files of all stacks lie in one folder there.
    let file = format!("{}-{}.json", context.stack.namespace, context.name(names::DASHBOARD));
    Object::of(&ConfigMap {
        metadata,
        data: Some([(file, dashboard(context).to_string())].into()),
        ..ConfigMap::default()
    })
}

fn dashboard(context: &Context<'_>) -> Value {
    let stack = &context.stack;
    let panels: Vec<_> = panels(context).iter().enumerate().map(|(index, panel)| panel.json(index)).collect();
    json!({
        // At most 40 characters, and one for each stack.
        "uid": digest(format!("{}/{}", stack.namespace, stack.name).as_bytes()),
        "title": format!("Healthcare: {} / {}", stack.namespace, stack.name),
        "tags": ["healthcare-stack"],
        "timezone": "browser",
        "refresh": "30s",
        "time": { "from": "now-3h", "to": "now" },
        "schemaVersion": 39,
        "templating": { "list": [
            { "name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus" },
        ] },
        "panels": panels,
    })
}

struct Panel {
    title: &'static str,
    unit: &'static str,
    /// In `PromQL`, and what each of its series is called.
    series: Vec<(String, &'static str)>,
}

impl Panel {
    fn json(&self, index: usize) -> Value {
        let source = json!({ "type": "prometheus", "uid": "${datasource}" });
        let targets: Vec<_> = self
            .series
            .iter()
            .zip('A'..='Z')
            .map(|((expr, legend), letter)| {
                json!({ "refId": letter, "expr": expr, "legendFormat": legend, "datasource": source })
            })
            .collect();
        json!({
            "id": index + 1,
            "type": "timeseries",
            "title": self.title,
            "datasource": source,
            "gridPos": {
                "x": index % PANELS_PER_ROW * PANEL_WIDTH,
                "y": index / PANELS_PER_ROW * PANEL_HEIGHT,
                "w": PANEL_WIDTH,
                "h": PANEL_HEIGHT,
            },
            "fieldConfig": { "defaults": { "unit": self.unit, "min": 0 }, "overrides": [] },
            "targets": targets,
        })
    }
}

/// Queries for this stack.
struct Queries {
    /// Its labels.
    of: String,
}

impl Queries {
    fn quantile(&self, quantile: &str, by: &str, metric: &str) -> String {
        let of = &self.of;
        format!(
            "histogram_quantile({quantile}, sum by ({by}) (rate({metric}_bucket{{{of}}}[$__rate_interval])))"
        )
    }

    fn rate(&self, by: &str, metric: &str) -> String {
        format!("sum by ({by}) (rate({metric}{{{}}}[$__rate_interval]))", self.of)
    }

    fn sum(&self, by: &str, metric: &str) -> String {
        format!("sum by ({by}) ({metric}{{{}}})", self.of)
    }

    /// How many pods have their breaker towards a service so.
    fn callers(&self, state: u8) -> String {
        format!("count by (target) (healthcare_client_breaker_state{{{}}} == {state})", self.of)
    }

    /// Each once, however many gateways see it.
    fn endpoints(&self, metric: &str, state: u8) -> String {
        let of = &self.of;
        format!(
            "count by (upstream) (max by (upstream, endpoint) (healthcare_gateway_{metric}{{{of}}}) == {state})"
        )
    }
}

const fn panel(title: &'static str, unit: &'static str, series: Vec<(String, &'static str)>) -> Panel {
    Panel { title, unit, series }
}

fn panels(context: &Context<'_>) -> Vec<Panel> {
    let ask = Queries { of: selector(context) };
    [of_gateway(&ask), of_services(&ask), of_calls(&ask), of_health(&ask)].into_iter().flatten().collect()
}

/// What the gateway has to do, and what becomes of it.
fn of_gateway(ask: &Queries) -> Vec<Panel> {
    let of = &ask.of;
    vec![
        panel(
            "Requests",
            "reqps",
            vec![(ask.rate("status", "healthcare_gateway_requests_total"), "{{status}}")],
        ),
        panel(
            "Time to answer",
            "s",
            vec![
                (ask.quantile("0.5", "le", "healthcare_gateway_request_seconds"), "half within"),
                (ask.quantile("0.99", "le", "healthcare_gateway_request_seconds"), "99 % within"),
            ],
        ),
        panel(
            "Requests under way",
            "short",
            vec![
                (format!("sum(healthcare_gateway_requests_in_flight{{{of}}})"), "at the gateway"),
                (ask.sum("upstream", "healthcare_gateway_endpoint_in_flight"), "{{upstream}}"),
            ],
        ),
        panel(
            "Refused, repeated, given up",
            "reqps",
            vec![
                (ask.rate("by", "healthcare_gateway_rate_limited_total"), "over the limit of the {{by}}"),
                (ask.rate("stack", "healthcare_gateway_retries_total"), "repeated"),
                (ask.rate("stack", "healthcare_gateway_aborted_total"), "given up by the client"),
            ],
        ),
        panel(
            "Refused since a service has no room",
            "reqps",
            vec![(
                ask.rate("upstream, priority", "healthcare_gateway_shed_total"),
                "{{upstream}}, {{priority}}",
            )],
        ),
        panel(
            "Room at services, and what of it is taken",
            "short",
            vec![
                (ask.sum("upstream", "healthcare_gateway_concurrency_limit"), "{{upstream}}: room"),
                (ask.sum("upstream", "healthcare_gateway_upstream_in_flight"), "{{upstream}}: taken"),
            ],
        ),
    ]
}

/// What each service has to do.
fn of_services(ask: &Queries) -> Vec<Panel> {
    let of = &ask.of;
    vec![
        panel(
            "Requests by service",
            "reqps",
            vec![(ask.rate("service", "healthcare_requests_total"), "{{service}}")],
        ),
        panel(
            "99 % of each service's answers within",
            "s",
            vec![(ask.quantile("0.99", "le, service", "healthcare_request_seconds"), "{{service}}")],
        ),
        panel(
            "Errors by service",
            "reqps",
            vec![(
                format!(
                    r#"sum by (service) (rate(healthcare_requests_total{{{of},status="5xx"}}[$__rate_interval]))"#
                ),
                "{{service}}",
            )],
        ),
    ]
}

/// What services ask each other, and what becomes of it.
fn of_calls(ask: &Queries) -> Vec<Panel> {
    let of = &ask.of;
    vec![
        panel(
            "Calls between services",
            "reqps",
            vec![(ask.rate("service, target", "healthcare_client_calls_total"), "{{service}} to {{target}}")],
        ),
        panel(
            "Calls between services without a good answer",
            "reqps",
            vec![(
                format!(
                    r#"sum by (service, target, outcome) (rate(healthcare_client_calls_total{{{of},outcome!="answered"}}[$__rate_interval]))"#
                ),
                "{{service}} to {{target}}: {{outcome}}",
            )],
        ),
        panel(
            "Repetitions between services",
            "reqps",
            vec![(
                ask.rate("service, target, outcome", "healthcare_client_retries_total"),
                "{{service}} to {{target}}: {{outcome}}",
            )],
        ),
        panel(
            "Circuit breakers between services that are not closed",
            "short",
            vec![
                (ask.callers(1), "towards {{target}} half open"),
                (ask.callers(2), "towards {{target}} open"),
            ],
        ),
    ]
}

/// Who is well.
fn of_health(ask: &Queries) -> Vec<Panel> {
    vec![
        panel(
            "Endpoints, as the gateway that sees each worst sees it",
            "short",
            vec![
                (ask.endpoints("endpoint_state", 0), "{{upstream}} well"),
                (ask.endpoints("endpoint_state", 1), "{{upstream}} joining"),
                (ask.endpoints("endpoint_state", 2), "{{upstream}} set aside"),
                (ask.endpoints("endpoint_state", 3), "{{upstream}} does not say that it is well"),
            ],
        ),
        panel(
            "Circuit breakers that are not closed",
            "short",
            vec![
                (ask.endpoints("breaker_state", 1), "{{upstream}} half open"),
                (ask.endpoints("breaker_state", 2), "{{upstream}} open"),
            ],
        ),
        panel("Pods that answer", "short", vec![(ask.sum("job", "up"), "{{job}}")]),
    ]
}
