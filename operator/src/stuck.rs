//! Why pods do not come up: asked of the pods themselves, and only when something has been waited for.

use k8s_openapi::api::core::v1::{ContainerStatus, Event, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::ListParams;
use kube::{Api, Client};
use stack::condition::reason;
use stack::{Stack, names};

use crate::facts::{Sight, deployment, is_migration};
use crate::plan::labels;
use crate::validate::Problem;

/// Pods looked at, of the first part that is not well.
const PODS: u32 = 5;

/// Why the pods of the first part that is not available are not. `None` if they say nothing.
pub async fn pods(
    client: &Client,
    stack: &Stack,
    parts: impl Iterator<Item = &str>,
    sight: &Sight,
) -> Option<Problem> {
    let mut ill =
        parts.filter(|part| deployment(stack, part, sight).is_some_and(|seen| !seen.is_rolled_out()));
    let part = ill.next()?;
    let selector: Vec<_> = labels::selector(&stack.name, part)
        .into_iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let api: Api<Pod> = Api::namespaced(client.clone(), &stack.namespace);
    let pods = api.list(&ListParams::default().labels(&selector.join(",")).limit(PODS)).await.ok()?;
    pods.items.iter().find_map(|pod| of_pod(part, pod))
}

fn of_pod(part: &str, pod: &Pod) -> Option<Problem> {
    let status = pod.status.as_ref()?;
    let containers = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
    containers.into_iter().find_map(|container| of_container(part, container)).or_else(|| {
        let unscheduled = status
            .conditions
            .iter()
            .flatten()
            .find(|condition| condition.type_ == "PodScheduled" && condition.status == "False")?;
        let message = unscheduled.message.clone().unwrap_or_default();
        Some(Problem { reason: reason::UNSCHEDULABLE, message: format!("{part}: {message}") })
    })
}

fn of_container(part: &str, container: &ContainerStatus) -> Option<Problem> {
    let waiting = container.state.as_ref()?.waiting.as_ref()?;
    let why = waiting.reason.as_deref()?;
    let words = waiting.message.as_deref().unwrap_or_default();
    match why {
        "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull" => Some(Problem {
            reason: reason::IMAGE_UNAVAILABLE,
            message: format!(
                "{part}: the image {} cannot be pulled: {words}; check spec.version, spec.image and the registry",
                container.image
            ),
        }),
        "CrashLoopBackOff" | "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
            let ended = container.last_state.as_ref().and_then(|state| state.terminated.as_ref());
            let last = ended.map_or_else(
                || words.trim().to_owned(),
                |ended| match ended.message.as_deref().map(str::trim) {
                    Some(said) if !said.is_empty() => said.to_owned(),
                    _ => format!("it ended with exit code {}; its log says more", ended.exit_code),
                },
            );
            Some(Problem { reason: reason::PODS_UNAVAILABLE, message: format!("{part}: {why}: {last}") })
        }
        _ => None,
    }
}

/// Why these Jobs do not come to their end: what keeps a pod from starting, or what the last one said that failed.
pub async fn jobs(client: &Client, stack: &Stack, jobs: &[&str]) -> Option<Problem> {
    let selector =
        format!("{}={},{JOB_NAME} in ({})", labels::STACK, names::label(&stack.name), jobs.join(","));
    let api: Api<Pod> = Api::namespaced(client.clone(), &stack.namespace);
    let pods = api.list(&ListParams::default().labels(&selector)).await.ok()?.items;
    let stuck = pods.iter().find_map(|pod| of_pod(part(pod), pod));
    stuck.or_else(|| {
        pods.iter().filter_map(failure).max_by_key(|(when, _)| when.clone()).map(|(_, problem)| problem)
    })
}

/// When and why a pod failed.
fn failure(pod: &Pod) -> Option<(Option<Time>, Problem)> {
    let status = pod.status.as_ref()?;
    let containers = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
    let ended = containers.into_iter().filter_map(|container| container.state.as_ref()?.terminated.as_ref());
    let failed = ended.filter(|ended| ended.exit_code != 0).max_by_key(|ended| ended.finished_at.clone())?;
    let reason = match part(pod) {
        names::RESTORE => reason::RESTORE_FAILED,
        part if is_migration(part) => reason::MIGRATION_FAILED,
        _ => reason::DATABASE_REFUSES,
    };
    let words = failed.message.clone().unwrap_or_else(|| format!("exit code {}", failed.exit_code));
    let message = format!("{}: {}", part(pod), words.trim());
    Some((failed.finished_at.clone(), Problem { reason, message }))
}

fn part(pod: &Pod) -> &str {
    let labels = pod.metadata.labels.as_ref();
    labels.and_then(|labels| labels.get("app.kubernetes.io/name")).map(String::as_str).unwrap_or_default()
}

/// Why pods of these objects are not even made: a quota, an admission policy. Only Events tell.
pub async fn not_made(client: &Client, stack: &Stack, makers: &[String]) -> Option<Problem> {
    let api: Api<Event> = Api::namespaced(client.clone(), &stack.namespace);
    let failed = ListParams::default().fields("reason=FailedCreate").limit(EVENTS);
    let events = api.list(&failed).await.ok()?;
    let ours = events.items.into_iter().filter(|event| {
        let name = event.involved_object.name.as_deref().unwrap_or_default();
        // A Deployment's pods are made by its ReplicaSet, which is called after it.
        makers.iter().any(|maker| {
            name.strip_prefix(maker.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        })
    });
    let latest = ours.max_by_key(|event| event.last_timestamp.clone())?;
    let message = latest.message.unwrap_or_default();
    let reason =
        if message.contains("exceeded quota") { reason::QUOTA_EXCEEDED } else { reason::APPLY_REFUSED };
    let maker = latest.involved_object.name.unwrap_or_default();
    Some(Problem { reason, message: format!("no pod can be made for {maker}: {message}") })
}

/// Events looked at.
const EVENTS: u32 = 200;
const JOB_NAME: &str = "batch.kubernetes.io/job-name";

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_image_that_cannot_be_pulled_is_named() {
        let pod: Pod = serde_json::from_value(json!({"status": {"containerStatuses": [{
            "name": "a", "image": "r/a:0.9.9", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}
        }]}}))
        .expect("a pod");
        let problem = of_pod("patient-service", &pod).expect("a problem");
        assert_eq!(problem.reason, "ImageUnavailable");
        assert!(problem.message.contains("r/a:0.9.9"), "{}", problem.message);
    }
}
