//! [`View`]: a stack as `status` shows it. Its JSON is an interface: members are added, never renamed.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::ResourceExt;
use serde::Serialize;
use settings::{GatewayConfig, ServiceName};
use stack::names;
use stack::spec::{Condition, ConditionStatus, HealthcareStack};

use super::fetch::Facts;
use crate::age::instant;

/// How many events are shown: the last ones.
const EVENTS_MAX: usize = 10;

/// A stack.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct View {
    pub(super) name: String,
    pub(super) namespace: String,
    /// Whether the operator says so of the resource as it is now, and not of one before it.
    pub(super) ready: bool,
    /// Whether the operator has seen the newest change.
    pub(super) observed: bool,
    pub(super) paused: bool,
    pub(super) deleting: bool,
    pub(super) version: Option<String>,
    pub(super) gateway_url: Option<String>,
    pub(super) parts: Vec<Part>,
    pub(super) routes: Vec<Routes>,
    pub(super) conditions: Vec<Condition>,
    pub(super) events: Vec<Happening>,
}

/// The gateway, a service, or the database.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) desired: i32,
    pub(super) ready: i32,
    /// Pods of the newest template. Fewer than desired: a rollout is under way.
    pub(super) updated: i32,
    pub(super) image: Option<String>,
    pub(super) pods: Vec<PodView>,
}

impl Part {
    pub(super) const fn is_ready(&self) -> bool {
        self.ready >= self.desired && self.updated >= self.desired
    }
}

/// A pod.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PodView {
    pub(super) name: String,
    pub(super) ready: bool,
    /// `Running`, or why not: `ImagePullBackOff`, `CrashLoopBackOff`, …
    pub(super) state: String,
    pub(super) restarts: i32,
    pub(super) node: Option<String>,
    pub(super) started: Option<DateTime<Utc>>,
}

/// The operations under a path that go to one service.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Routes {
    pub(super) path: String,
    pub(super) service: String,
    pub(super) operations: usize,
}

/// An event.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Happening {
    pub(super) last: Option<DateTime<Utc>>,
    pub(super) warning: bool,
    pub(super) count: i32,
    pub(super) about: String,
    pub(super) reason: String,
    pub(super) message: String,
}

pub(super) fn of(facts: &Facts) -> View {
    let stack = &facts.stack;
    let status = stack.status.clone().unwrap_or_default();
    let observed = status.observed_generation >= stack.metadata.generation;
    let says_ready =
        |condition: &Condition| condition.r#type == "Ready" && condition.status == ConditionStatus::True;
    View {
        name: stack.name_any(),
        namespace: stack.namespace().unwrap_or_default(),
        ready: observed && status.conditions.iter().any(says_ready),
        observed,
        paused: stack.spec.paused,
        deleting: stack.metadata.deletion_timestamp.is_some(),
        version: status.version,
        gateway_url: status.gateway_url,
        parts: parts(facts, stack),
        routes: facts.gateway.as_ref().map(routes).unwrap_or_default(),
        conditions: status.conditions,
        events: events(&facts.events),
    }
}

/// The gateway first, then the services as the documentation lists them, then the database.
fn parts(facts: &Facts, stack: &HealthcareStack) -> Vec<Part> {
    let deployments = facts.deployments.iter().map(|object| {
        let spec = object.spec.as_ref();
        let status = object.status.clone().unwrap_or_default();
        let counts = (spec.and_then(|spec| spec.replicas), status.ready_replicas, status.updated_replicas);
        (object.name_any(), counts, spec.map(|spec| &spec.template))
    });
    let stateful_sets = facts.stateful_sets.iter().map(|object| {
        let spec = object.spec.as_ref();
        let status = object.status.clone().unwrap_or_default();
        let counts = (spec.and_then(|spec| spec.replicas), status.ready_replicas, status.updated_replicas);
        (object.name_any(), counts, spec.map(|spec| &spec.template))
    });
    let mut there: BTreeMap<String, Part> = deployments
        .chain(stateful_sets)
        .map(|(name, (desired, ready, updated), template)| {
            let pods = template.and_then(|template| template.spec.as_ref());
            let image = pods.and_then(|pods| pods.containers.first()?.image.clone());
            let part = Part {
                name: name.clone(),
                desired: desired.unwrap_or(1),
                ready: ready.unwrap_or(0),
                updated: updated.unwrap_or(0),
                image,
                pods: Vec::new(),
            };
            (name, part)
        })
        .collect();
    let order = [names::API_GATEWAY].into_iter().chain(ServiceName::ALL.into_iter().map(ServiceName::as_str));
    order
        .chain([names::POSTGRES])
        .filter_map(|part| {
            let found = there.remove(&names::object(&stack.name_any(), part))?;
            Some(Part { name: part.to_owned(), pods: pods(&facts.pods, part), ..found })
        })
        .collect()
}

fn pods(all: &[Pod], part: &str) -> Vec<PodView> {
    let is_of_part = |pod: &&Pod| pod.labels().get("app.kubernetes.io/name").is_some_and(|name| name == part);
    let mut pods: Vec<_> = all.iter().filter(is_of_part).map(pod).collect();
    pods.sort_by(|a, b| a.name.cmp(&b.name));
    pods
}

fn pod(pod: &Pod) -> PodView {
    let status = pod.status.clone().unwrap_or_default();
    let containers = status.container_statuses.unwrap_or_default();
    let waits = containers.iter().find_map(|container| {
        let state = container.state.as_ref()?;
        let waiting = state.waiting.as_ref().and_then(|waiting| waiting.reason.clone());
        waiting.or_else(|| state.terminated.as_ref()?.reason.clone())
    });
    let conditions = status.conditions.unwrap_or_default();
    let unschedulable =
        conditions.iter().find(|condition| condition.type_ == "PodScheduled" && condition.status == "False");
    let state = if pod.metadata.deletion_timestamp.is_some() {
        Some("Terminating".to_owned())
    } else {
        waits.or(status.reason).or_else(|| unschedulable?.reason.clone()).or(status.phase)
    };
    PodView {
        name: pod.name_any(),
        ready: conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True"),
        state: state.unwrap_or_else(|| "Unknown".to_owned()),
        restarts: containers.iter().map(|container| container.restart_count).sum(),
        node: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
        started: pod.metadata.creation_timestamp.as_ref().and_then(instant),
    }
}

/// A hundred operations, by the first two segments of their paths.
fn routes(gateway: &GatewayConfig) -> Vec<Routes> {
    let mut groups: BTreeMap<(String, &str), usize> = BTreeMap::new();
    for route in &gateway.routes {
        let path: Vec<_> = route.path.split('/').filter(|segment| !segment.is_empty()).take(2).collect();
        *groups.entry((format!("/{}", path.join("/")), &route.service)).or_default() += 1;
    }
    let into_routes = |((path, service), operations): ((String, &str), usize)| Routes {
        path,
        service: service.to_owned(),
        operations,
    };
    groups.into_iter().map(into_routes).collect()
}

fn events(events: &[Event]) -> Vec<Happening> {
    let mut happenings: Vec<_> = events.iter().map(happening).collect();
    happenings.sort_by_key(|event| event.last);
    happenings.split_off(happenings.len().saturating_sub(EVENTS_MAX))
}

fn happening(event: &Event) -> Happening {
    let series = event.series.as_ref();
    let micro = series.and_then(|series| series.last_observed_time.as_ref()).or(event.event_time.as_ref());
    let exact = micro.and_then(|time| DateTime::from_timestamp(time.0.as_second(), 0));
    let object = &event.involved_object;
    Happening {
        last: event.last_timestamp.as_ref().and_then(instant).or(exact),
        warning: event.type_.as_deref() == Some("Warning"),
        count: series.and_then(|series| series.count).or(event.count).unwrap_or(1),
        about: format!(
            "{} {}",
            object.kind.as_deref().unwrap_or_default(),
            object.name.as_deref().unwrap_or_default()
        ),
        reason: event.reason.clone().unwrap_or_default(),
        message: event.message.clone().unwrap_or_default(),
    }
}
