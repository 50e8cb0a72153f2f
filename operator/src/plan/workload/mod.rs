//! Deployments: the seven services and the gateway. How a new version comes up without one request lost.

mod gateway;
mod service;

use http_kit::stop::{DRAIN, LINGER};
use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment};
use k8s_openapi::api::core::v1::{Container, PodTemplateSpec, TopologySpreadConstraint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use stack::Scale;
use stack::spec::{Probe, Probes};

use super::{Context, labels, pod};
use crate::object::Object;

pub(super) use service::{mounts as service_mounts, with_engine};

/// A part that is told to end answers for some seconds more, until everybody has heard of it, and then finishes what it has begun: it
/// needs no hook for that, but time, and some to spare.
const GRACE_SECONDS: u64 = LINGER.as_secs() + DRAIN.as_secs() + 15;
/// A pod that falls over at once was never available.
const MIN_READY_SECONDS: i32 = 1;
/// How long a rollout may stand still, at least, before it counts as failed.
const DEADLINE_SECONDS_MIN: u32 = 120;
/// Beyond what the startup probe allows: to be scheduled, and to pull the image.
const PULL_SECONDS: u32 = 60;
/// Old `ReplicaSets` that are kept: what runs, and what ran before it.
const REVISIONS: i32 = 2;

/// A Deployment for each part whose turn has come.
pub(super) fn plan(context: &Context<'_>) -> Vec<Object> {
    let services =
        context.tags.services.iter().flat_map(|tag| {
            context.stack.enabled().filter_map(|name| service::deployment(context, name, tag))
        });
    let gateway = context.tags.gateway.iter().map(|tag| gateway::deployment(context, tag));
    services.chain(gateway).map(|deployment| Object::of(&deployment)).collect()
}

/// A Deployment of `template` that loses no request when it changes.
fn deployment(
    context: &Context<'_>,
    part: &str,
    tag: &str,
    scale: Scale,
    probes: &Probes,
    mut template: PodTemplateSpec,
) -> Deployment {
    let selector = LabelSelector {
        match_labels: Some(labels::selector(&context.stack.name, part)),
        ..LabelSelector::default()
    };
    if let Some(pod) = &mut template.spec {
        pod.termination_grace_period_seconds = i64::try_from(GRACE_SECONDS).ok();
        pod.topology_spread_constraints = Some(spread(&selector));
    }
    let mut metadata = context.owned(part, context.name(part));
    for metadata in [Some(&mut metadata), template.metadata.as_mut()].into_iter().flatten() {
        let labels = metadata.labels.get_or_insert_default();
        labels.insert(labels::VERSION.to_owned(), labels::version(tag));
    }
    Deployment {
        metadata,
        spec: Some(DeploymentSpec {
            replicas: match scale {
                Scale::Fixed(replicas) => i32::try_from(replicas).ok(),
                Scale::Auto(_) => None,
            },
            selector,
            strategy: Some(DeploymentStrategy {
                type_: Some("RollingUpdate".to_owned()),
                rolling_update: Some(RollingUpdateDeployment {
                    max_unavailable: Some(IntOrString::Int(0)),
                    max_surge: Some(IntOrString::String("25%".to_owned())),
                }),
            }),
            min_ready_seconds: Some(MIN_READY_SECONDS),
            progress_deadline_seconds: Some(progress_deadline(&probes.startup)),
            revision_history_limit: Some(REVISIONS),
            template,
            ..DeploymentSpec::default()
        }),
        ..Deployment::default()
    }
}

/// A rollout has not failed while a pod may still be starting.
fn progress_deadline(startup: &Probe) -> i32 {
    let asked = startup.period.secs().saturating_mul(startup.failure_threshold);
    let allowed = startup.initial_delay.secs().saturating_add(asked);
    i32::try_from(allowed.saturating_add(PULL_SECONDS).max(DEADLINE_SECONDS_MIN)).unwrap_or(i32::MAX)
}

/// Over zones and nodes, as far as there are several.
fn spread(selector: &LabelSelector) -> Vec<TopologySpreadConstraint> {
    ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
        .map(|topology| TopologySpreadConstraint {
            topology_key: topology.to_owned(),
            max_skew: 1,
            when_unsatisfiable: "ScheduleAnyway".to_owned(),
            label_selector: Some(selector.clone()),
            // The pods of a rollout are spread among themselves, not around those that they replace.
            match_label_keys: Some(vec!["pod-template-hash".to_owned()]),
            ..TopologySpreadConstraint::default()
        })
        .into()
}

/// When the container counts as started, ready and alive.
fn watched(container: Container, probes: &Probes) -> Container {
    Container {
        startup_probe: Some(pod::http_probe(&probes.startup, "/livez")),
        readiness_probe: Some(pod::http_probe(&probes.readiness, "/readyz")),
        liveness_probe: Some(pod::http_probe(&probes.liveness, "/livez")),
        ..container
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stack::spec::Span;

    #[test]
    fn a_rollout_is_given_as_long_as_its_pods_may_take_to_start() {
        assert_eq!(progress_deadline(&Probes::default().startup), 120);
        let patient = Probe {
            initial_delay: Span::from_secs(30),
            period: Span::from_secs(10),
            timeout: Span::from_secs(2),
            failure_threshold: 60,
        };
        assert_eq!(progress_deadline(&patient), 30 + 600 + 60);
    }
}
