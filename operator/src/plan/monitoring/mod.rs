//! What watches the stack, for who has Prometheus and Grafana: what is collected, what raises an alarm, what is shown.

mod alerts;
mod dashboard;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};
use stack::names;

use super::{Context, labels, pod};
use crate::object::Object;

/// The Prometheus operator's objects, where it is installed, and the dashboard; unless the stack wants none.
pub(super) fn plan(context: &Context<'_>) -> Vec<Object> {
    if !context.stack.monitoring.enabled {
        return Vec::new();
    }
    let has = context.capabilities;
    let monitor = has.pod_monitor.then(|| {
        let spec = pod_monitor(context);
        of_prometheus_operator(context, names::METRICS, "PodMonitor", "podmonitors", &spec)
    });
    let rules = has.prometheus_rule.then(|| {
        let spec = alerts::rules(context);
        of_prometheus_operator(context, names::ALERTS, "PrometheusRule", "prometheusrules", &spec)
    });
    monitor.into_iter().chain(rules).chain([dashboard::config_map(context)]).collect()
}

/// Metadata with the labels that somebody's Prometheus or Grafana selects by. They take none of ours away.
fn metadata(context: &Context<'_>, part: &str) -> ObjectMeta {
    let mut metadata = context.owned(part, context.name(part));
    let mut labels = context.stack.monitoring.labels.clone();
    labels.extend(metadata.labels.take().unwrap_or_default());
    ObjectMeta { labels: Some(labels), ..metadata }
}

/// Each pod that has the admin port. A sample's `job` is the part, its `stack` the stack.
fn pod_monitor(context: &Context<'_>) -> Value {
    json!({
        "selector": { "matchLabels": { labels::STACK: names::label(&context.stack.name) } },
        "jobLabel": "app.kubernetes.io/name",
        "podMetricsEndpoints": [{
            "port": pod::ADMIN,
            "path": "/metrics",
            "interval": "15s",
            "relabelings": [
                {
                    "sourceLabels": ["__meta_kubernetes_pod_label_healthcarestack_dev_stack"],
                    "targetLabel": "stack",
                },
                // The Prometheus operator calls the port so, and what the gateway calls so would be renamed: `exported_endpoint`.
                { "action": "labeldrop", "regex": "endpoint" },
            ],
        }],
    })
}

/// The labels that all samples of this stack have, as `PromQL` selects by them.
fn selector(context: &Context<'_>) -> String {
    let labels = names::sample_labels(&context.stack.namespace, &context.stack.name);
    labels.iter().map(|(name, value)| format!(r#"{name}="{value}""#)).collect::<Vec<_>>().join(",")
}

fn of_prometheus_operator(
    context: &Context<'_>,
    part: &str,
    kind: &str,
    plural: &str,
    spec: &Value,
) -> Object {
    let kind = GroupVersionKind::gvk("monitoring.coreos.com", "v1", kind);
    let body = json!({ "metadata": metadata(context, part), "spec": spec });
    Object::foreign(ApiResource::from_gvk_with_plural(&kind, plural), context.name(part), body)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;
    use std::{fs, io};

    use crate::plan::tests::{full, with};

    use super::*;

    fn read(folder: &Path, code: &mut String) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                read(&path, code)?;
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                code.push_str(&fs::read_to_string(&path)?);
            }
        }
        Ok(())
    }

    /// `healthcare_gateway_requests_total` → `gateway_requests`.
    fn metrics(text: &str) -> BTreeSet<&str> {
        let words = text.split(|char: char| !char.is_ascii_alphanumeric() && char != '_');
        words
            .filter_map(|word| word.strip_prefix("healthcare_"))
            .map(|name| {
                ["_total", "_bucket", "_count", "_sum"]
                    .iter()
                    .fold(name, |name, end| name.trim_end_matches(end))
            })
            .collect()
    }

    #[test]
    fn only_metrics_that_the_code_exports_are_asked_for() {
        let mut code = String::new();
        read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../services"), &mut code).unwrap();
        let stack = full();
        let asked: String =
            with(&stack, |context| plan(context).iter().map(|object| object.body.to_string()).collect());
        let asked = metrics(&asked);
        assert!(asked.len() > 4, "{asked:?}");
        for name in asked {
            assert!(code.contains(&format!("\"{name}\"")), "nothing exports healthcare_{name}");
        }
    }
}
