//! The alerting rules, by Prometheus' own tool: each speaks up when what it watches for has happened, and only then.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use operator::plan::{Capabilities, Context, Kek, Tags, plan};
use operator::secrets::checksums;
use serde_json::{Value, json};
use settings::{GATEWAY_NAME, ServiceName};
use stack::Stack;

const STACK: &str = "
apiVersion: healthcarestack.dev/v1alpha1
kind: HealthcareStack
metadata: {name: clinic, namespace: east}
spec:
  database: {managed: {}}
";
const OF: &str = r#"namespace="east",stack="clinic""#;

/// What a cluster with the Prometheus operator gets: rules, and the dashboard's queries.
fn planned() -> (Value, Vec<String>) {
    let stack = Stack::from_yaml(STACK).unwrap();
    let checksums = checksums([]);
    let objects = plan(&Context {
        stack: &stack,
        owner: OwnerReference::default(),
        tags: Tags::default(),
        capabilities: Capabilities { prometheus_rule: true, ..Capabilities::default() },
        checksums: &checksums,
        kek: &Kek::default(),
        operator_image: None,
    });
    let find = |kind: &str, name: &str| {
        let is_it =
            |object: &&operator::object::Object| object.resource.kind == kind && object.name.ends_with(name);
        objects.iter().find(is_it).unwrap_or_else(|| panic!("no {kind} {name}")).body.clone()
    };
    let dashboard = find("ConfigMap", "dashboard")["data"].as_object().unwrap().values().next().cloned();
    let dashboard: Value = serde_json::from_str(dashboard.unwrap().as_str().unwrap()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().unwrap());
    let queries = targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect();
    (find("PrometheusRule", "")["spec"].clone(), queries)
}

/// A metric, its labels beside the stack's, and its values.
type Series = (&'static str, &'static str, &'static str);

/// What happens, minute by minute (`0+60x20`: one more a second), and when somebody is told of it.
struct Case {
    alert: &'static str,
    /// Metric, its labels beside the stack's, its values.
    series: Vec<Series>,
    /// Minutes from the beginning at which nobody is told, and at which somebody is.
    quiet: u32,
    told: u32,
    /// The alert's labels beside those that all have.
    labels: Value,
}

fn case(alert: &'static str, series: &[Series], quiet: u32, told: u32, labels: Value) -> Case {
    Case { alert, series: series.to_vec(), quiet, told, labels }
}

fn cases_of_the_gateway() -> Vec<Case> {
    vec![
        case(
            "HealthcarePartDown",
            &[("up", r#"job="patient-service""#, "1x5 0x20")],
            6,
            10,
            json!({"job": "patient-service"}),
        ),
        case(
            "HealthcareErrorRate",
            &[
                ("healthcare_gateway_requests_total", r#"status="2xx""#, "0+970x40"),
                ("healthcare_gateway_requests_total", r#"status="5xx""#, "0+10x10 100+30x30"),
            ],
            10,
            25,
            json!({}),
        ),
        case(
            "HealthcareLatency",
            &[
                ("healthcare_gateway_request_seconds_bucket", r#"le="1.0""#, "0+100x10 1000+90x40"),
                ("healthcare_gateway_request_seconds_bucket", r#"le="2.0""#, "0+100x50"),
                ("healthcare_gateway_request_seconds_bucket", r#"le="+Inf""#, "0+100x50"),
            ],
            10,
            40,
            json!({}),
        ),
        case(
            "HealthcareOverloaded",
            &[
                (
                    "healthcare_gateway_shed_total",
                    r#"upstream="patient-service",priority="critical""#,
                    "0x5 0+60x20",
                ),
                // What can wait is refused all the time.
                ("healthcare_gateway_shed_total", r#"upstream="billing-service",priority="low""#, "0+60x25"),
            ],
            6,
            12,
            json!({"upstream": "patient-service"}),
        ),
        case(
            "HealthcareBreakerOpen",
            &[(
                "healthcare_gateway_breaker_state",
                r#"upstream="patient-service",endpoint="10.0.0.1:8082""#,
                "0x5 2x20",
            )],
            6,
            10,
            json!({"upstream": "patient-service", "endpoint": "10.0.0.1:8082"}),
        ),
        case(
            "HealthcareConfigurationRefused",
            &[("healthcare_gateway_configurations_total", r#"outcome="refused""#, "_x20 1x5")],
            19,
            22,
            json!({}),
        ),
        case(
            "HealthcareLimitStoreAway",
            &[
                (
                    "healthcare_gateway_limit_store_fallbacks_total",
                    r#"service="api-gateway""#,
                    "0 1 1 1 1 2 2 2 2 3 3 3+60x20",
                ),
                (
                    "healthcare_gateway_limit_store_checks_total",
                    r#"service="api-gateway",outcome="answered""#,
                    "0+600x10 6000x20",
                ),
            ],
            13,
            20,
            json!({}),
        ),
        case(
            "HealthcareWatchStale",
            &[("healthcare_gateway_watch_age_seconds", r#"kind="EndpointSlice""#, "1x5 130x10")],
            5,
            10,
            json!({"kind": "EndpointSlice"}),
        ),
    ]
}

fn cases_of_services() -> Vec<Case> {
    vec![
        case(
            "HealthcareServiceErrors",
            &[
                ("healthcare_requests_total", r#"service="billing-service",status="2xx""#, "0+900x40"),
                (
                    "healthcare_requests_total",
                    r#"service="billing-service",status="5xx""#,
                    "0+10x10 100+100x30",
                ),
            ],
            10,
            25,
            json!({"service": "billing-service"}),
        ),
        case(
            "HealthcareCallsFail",
            &[
                (
                    "healthcare_client_calls_total",
                    r#"service="billing-service",target="patient-service",outcome="answered""#,
                    "0+900x40",
                ),
                // Whoever asked did not wait: that is nobody's fault here.
                (
                    "healthcare_client_calls_total",
                    r#"service="billing-service",target="patient-service",outcome="cancelled""#,
                    "0+600x40",
                ),
                (
                    "healthcare_client_calls_total",
                    r#"service="billing-service",target="patient-service",outcome="failed""#,
                    "0+10x10 100+90x30",
                ),
                (
                    "healthcare_client_calls_total",
                    r#"service="billing-service",target="patient-service",outcome="open""#,
                    "0x10 0+60x30",
                ),
            ],
            10,
            25,
            json!({"service": "billing-service", "target": "patient-service"}),
        ),
        case(
            "HealthcareRevocationsStale",
            &[("healthcare_revocations_age_seconds", r#"service="billing-service""#, "1x5 130x10")],
            5,
            10,
            json!({"service": "billing-service"}),
        ),
        case(
            "HealthcarePanic",
            &[("healthcare_panics_total", r#"service="billing-service""#, "0x10 1x20")],
            10,
            14,
            json!({"service": "billing-service"}),
        ),
    ]
}

/// The rule as somebody is told of it, with its templates filled in.
fn told(rule: &Value, labels: &Value) -> Value {
    let mut annotations = rule["annotations"].to_string();
    for (label, value) in labels.as_object().unwrap() {
        annotations = annotations.replace(&format!("{{{{ $labels.{label} }}}}"), value.as_str().unwrap());
    }
    assert!(!annotations.contains("{{"), "{annotations}");
    let annotations: Value = serde_json::from_str(&annotations).unwrap();
    let mut all = rule["labels"].clone();
    all.as_object_mut().unwrap().extend(labels.as_object().unwrap().clone());
    json!({"exp_labels": all, "exp_annotations": annotations})
}

fn test(rules: &Value, case: &Case) -> Value {
    let rules = rules["groups"][0]["rules"].as_array().unwrap();
    let rule = rules.iter().find(|rule| rule["alert"] == case.alert).unwrap();
    let mut series: Vec<_> = case
        .series
        .iter()
        .map(|(metric, labels, values)| json!({"series": format!("{metric}{{{OF},{labels}}}"), "values": values}))
        .collect();
    // Whoever is not in this case is well.
    let parts = ServiceName::ALL.iter().map(|service| service.as_str()).chain([GATEWAY_NAME]);
    series.extend(
        parts
            .filter(|part| case.labels["job"] != *part)
            .map(|part| json!({"series": format!(r#"up{{{OF},job="{part}"}}"#), "values": "1x60"})),
    );
    let at = |minutes: u32, told: &[Value]| json!({"eval_time": format!("{minutes}m"), "alertname": case.alert, "exp_alerts": told});
    json!({
        "name": case.alert,
        "interval": "1m",
        "input_series": series,
        "alert_rule_test": [at(case.quiet, &[]), at(case.told, &[told(rule, &case.labels)])],
    })
}

fn promtool(arguments: &[&str]) -> String {
    let output = Command::new("promtool").args(arguments).output();
    let output = output.expect("promtool: install Debian package prometheus");
    let said =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "promtool {arguments:?}: {said}");
    said
}

#[test]
fn each_alert_is_told_when_it_is_so_and_not_before() {
    let (rules, _) = planned();
    let alerts: BTreeSet<_> = rules["groups"][0]["rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| rule["alert"].as_str().unwrap())
        .collect();
    let cases: Vec<_> = cases_of_the_gateway().into_iter().chain(cases_of_services()).collect();
    assert_eq!(alerts, cases.iter().map(|case| case.alert).collect(), "one case for each alert");

    let folder = tempfile::tempdir().unwrap();
    let (file, tests) = (folder.path().join("rules.yaml"), folder.path().join("tests.yaml"));
    fs::write(&file, rules.to_string()).unwrap();
    let _ = promtool(&["check", "rules", "--lint-fatal", file.to_str().unwrap()]);
    let tests_of: Vec<_> = cases.iter().map(|case| test(&rules, case)).collect();
    let all = json!({"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": tests_of});
    fs::write(&tests, all.to_string()).unwrap();
    let _ = promtool(&["test", "rules", tests.to_str().unwrap()]);
}

/// A query that does not parse shows an empty panel, and nobody knows why.
#[test]
fn the_queries_of_the_dashboard_are_promql() {
    let (_, queries) = planned();
    assert!(queries.len() > 8, "{queries:?}");
    let rules: Vec<_> = queries
        .iter()
        .enumerate()
        // Grafana puts a duration there.
        .map(|(index, query)| json!({"record": format!("panel:{index}"), "expr": query.replace("$__rate_interval", "1m")}))
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("queries.yaml");
    fs::write(&file, json!({"groups": [{"name": "dashboard", "rules": rules}]}).to_string()).unwrap();
    let _ = promtool(&["check", "rules", file.to_str().unwrap()]);
}
