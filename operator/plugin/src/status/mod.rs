//! `status`: how a stack is, as a tree or as JSON.

mod fetch;
mod tree;
mod view;

use std::io::Write;

use clap::ValueEnum;
use contracts::ambient::Clock;

use crate::Answer;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::style::Style;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The stack's name
    name: String,
    /// Every pod, not only those of parts that are not ready
    #[arg(long)]
    pods: bool,
    /// How it is written
    #[arg(short, long, value_enum, default_value_t = Output::Tree)]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people
    Tree,
    /// For programs
    Json,
}

pub(crate) async fn run(cluster: &Cluster, options: &Options) -> Result<Answer, Error> {
    let facts = Box::pin(fetch::facts(cluster, &options.name)).await?;
    let view = view::of(&facts);
    let text = match options.output {
        Output::Tree => tree::render(&view, Clock::system().now(), options.pods, Style::of_stdout()),
        Output::Json => format!("{}\n", serde_json::to_string_pretty(&view)?),
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(view.ready.into())
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::{Value, json};
    use stack::{Placement, Stack, plan_gateway};

    use super::fetch::Facts;
    use super::*;

    const RESOURCE: &str = r#"{
        "apiVersion": "healthcarestack.dev/v1alpha1", "kind": "HealthcareStack",
        "metadata": { "name": "clinic", "namespace": "health", "generation": 4 },
        "spec": {},
        "status": {
            "observedGeneration": 4, "version": "0.1.0", "gatewayUrl": "https://clinic.example.org",
            "conditions": [
                { "type": "Ready", "status": "False", "reason": "ServicesNotReady", "message": "auth-service has 1 of 2 pods",
                  "lastTransitionTime": "2026-11-24T11:55:00Z" },
                { "type": "Progressing", "status": "True", "reason": "RollingOut", "message": "", "lastTransitionTime": "2026-11-24T11:55:00Z" },
                { "type": "Degraded", "status": "False", "reason": "AsPlanned", "message": "", "lastTransitionTime": "2026-11-23T12:00:00Z" }
            ]
        }
    }"#;

    fn now() -> chrono::DateTime<chrono::Utc> {
        DateTime::parse_from_rfc3339("2026-11-24T12:00:00Z").expect("a time").to_utc()
    }

    fn parsed<T: serde::de::DeserializeOwned>(value: Value) -> T {
        serde_json::from_value(value).expect("an object of the API")
    }

    fn workload(part: &str, desired: i32, ready: i32, updated: i32) -> Value {
        json!({
            "metadata": { "name": format!("clinic-{part}") },
            "spec": {
                "replicas": desired, "selector": {}, "serviceName": "",
                "template": { "spec": { "containers": [{ "name": part, "image": format!("registry:5000/{part}:0.1.0") }] } },
            },
            "status": { "replicas": desired, "readyReplicas": ready, "updatedReplicas": updated },
        })
    }

    fn pod(part: &str, suffix: &str, ready: bool, state: Value, restarts: i32) -> Value {
        json!({
            "metadata": {
                "name": format!("clinic-{part}-{suffix}"), "creationTimestamp": "2026-11-24T11:58:30Z",
                "labels": { "app.kubernetes.io/name": part },
            },
            "spec": { "nodeName": "node1", "containers": [] },
            "status": {
                "phase": "Running",
                "conditions": [{ "type": "Ready", "status": if ready { "True" } else { "False" } }],
                "containerStatuses": [{ "name": part, "image": "", "imageID": "", "ready": ready, "restartCount": restarts, "state": state }],
            },
        })
    }

    fn facts() -> Facts {
        let stack = Stack::from_yaml(RESOURCE).expect("a stack");
        Facts {
            stack: serde_json::from_str(RESOURCE).expect("a resource"),
            deployments: vec![
                parsed(workload("patient-service", 1, 1, 1)),
                parsed(workload("auth-service", 2, 1, 1)),
                parsed(workload("api-gateway", 2, 2, 2)),
            ],
            stateful_sets: vec![parsed(workload("postgres", 1, 1, 1))],
            pods: vec![
                parsed(pod("patient-service", "a", true, json!({ "running": {} }), 0)),
                parsed(pod(
                    "auth-service",
                    "new",
                    false,
                    json!({ "waiting": { "reason": "CrashLoopBackOff" } }),
                    3,
                )),
                parsed(pod("auth-service", "old", true, json!({ "running": {} }), 1)),
            ],
            gateway: Some(plan_gateway(&stack, &Placement::Kubernetes)),
            events: vec![parsed(json!({
                "metadata": {}, "type": "Warning", "reason": "BackOff", "count": 4, "lastTimestamp": "2026-11-24T11:59:40Z",
                "message": "Back-off restarting failed container\n  auth-service",
                "involvedObject": { "kind": "Pod", "name": "clinic-auth-service-new" },
            }))],
        }
    }

    #[test]
    fn what_is_not_ready_shows_its_pods() {
        insta::assert_snapshot!(tree::render(&view::of(&facts()), now(), false, Style::plain()));
    }

    #[test]
    fn every_pod_is_shown_on_request() {
        let text = tree::render(&view::of(&facts()), now(), true, Style::plain());
        assert!(text.contains("clinic-patient-service-a  Running"), "{text}");
    }

    #[test]
    fn programs_get_json() {
        let mut facts = facts();
        facts.gateway = None;
        insta::assert_snapshot!(serde_json::to_string_pretty(&view::of(&facts)).expect("JSON"));
    }

    #[test]
    fn what_the_operator_said_of_an_older_spec_is_not_readiness() {
        let mut facts = facts();
        let status = facts.stack.status.as_mut().expect("a status");
        status.conditions[0].status = stack::spec::ConditionStatus::True;
        assert!(view::of(&facts).ready);
        facts.stack.metadata.generation = Some(5);
        let view = view::of(&facts);
        assert!(!view.ready);
        assert!(tree::render(&view, now(), false, Style::plain()).contains("has not seen the last change"));
    }

    #[test]
    fn a_stack_that_nobody_looked_at_yet_has_a_tree_too() {
        let mut facts = facts();
        (facts.stack.status, facts.deployments, facts.stateful_sets, facts.gateway) =
            (None, Vec::new(), Vec::new(), None);
        (facts.pods, facts.events) = (Vec::new(), Vec::new());
        insta::assert_snapshot!(tree::render(&view::of(&facts), now(), false, Style::plain()));
    }
}
