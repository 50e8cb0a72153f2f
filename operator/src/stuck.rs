//! Why pods do not come up: asked of the pods themselves, and only when something has been waited for.

mod volume;

use k8s_openapi::api::core::v1::{ContainerStatus, Event, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::ListParams;
use kube::{Api, Client};
use stack::condition::reason;
use stack::{Database, Stack, names};

use crate::facts::{Sight, database, deployment, is_migration};
use crate::plan::labels;
use crate::rollout::Progress;
use crate::validate::Problem;

/// Pods looked at, of the first part that is not well.
const PODS: u32 = 5;

/// What does not come, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stuck {
    /// The part of the stack.
    pub part: String,
    /// Why.
    pub problem: Problem,
}

/// Why the pods of the first part that is not available are not. `None` if they say nothing.
pub async fn pods(
    client: &Client,
    stack: &Stack,
    parts: impl IntoIterator<Item = &str>,
    sight: &Sight,
) -> Option<Stuck> {
    let part = parts.into_iter().find(|part| is_ill(stack, part, sight))?;
    let api: Api<Pod> = Api::namespaced(client.clone(), &stack.namespace);
    let pods = api.list(&ListParams::default().labels(&selector(stack, part)).limit(PODS)).await.ok()?;
    first(client, stack, &pods.items, |_| part).await
}

fn is_ill(stack: &Stack, part: &str, sight: &Sight) -> bool {
    if part == names::POSTGRES {
        database(stack, sight) != Progress::Done
    } else {
        deployment(stack, part, sight).is_some_and(|seen| !seen.is_rolled_out())
    }
}

fn selector(stack: &Stack, part: &str) -> String {
    if part == names::POSTGRES && matches!(stack.database, Database::CloudNativePg(_)) {
        // Its pods are CloudNativePG's, not ours.
        return format!("cnpg.io/cluster={}", names::object(&stack.name, names::POSTGRES));
    }
    let labels = labels::selector(&stack.name, part);
    labels.into_iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

/// What the first of these pods says that says anything.
async fn first<'a>(
    client: &Client,
    stack: &Stack,
    pods: &'a [Pod],
    part: impl Fn(&'a Pod) -> &'a str,
) -> Option<Stuck> {
    for pod in pods {
        let part = part(pod);
        let problem = match of_pod(part, pod) {
            // A pod whose volume is not there has no node: what the volume waits for says more.
            said if is_without_node(pod) => {
                volume::pending(client, stack, part, pod, said.is_some()).await.or(said)
            }
            None if is_being_made(pod) => volume::not_mounted(client, stack, part, pod).await,
            said => said,
        };
        if let Some(problem) = problem {
            return Some(Stuck { part: part.to_owned(), problem });
        }
    }
    None
}

fn is_without_node(pod: &Pod) -> bool {
    pod.spec.as_ref().is_none_or(|spec| spec.node_name.is_none())
}

/// Its containers have not begun, and it says no more than that.
fn is_being_made(pod: &Pod) -> bool {
    let containers = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    containers.into_iter().any(|container| {
        let waiting = container.state.as_ref().and_then(|state| state.waiting.as_ref());
        waiting.is_some_and(|waiting| waiting.reason.as_deref() == Some("ContainerCreating"))
    })
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
pub async fn jobs(client: &Client, stack: &Stack, jobs: &[&str]) -> Option<Stuck> {
    if jobs.is_empty() {
        return None;
    }
    let pods = pods_of(client, stack, jobs).await?;
    said(client, stack, &pods).await
}

/// Why a Job that has begun does not come to its end: what its pods say, or why it has none.
pub async fn job(client: &Client, stack: &Stack, job: &str) -> Option<Stuck> {
    let pods = pods_of(client, stack, &[job]).await?;
    if pods.is_empty() {
        return not_made(client, stack, &[job.to_owned()]).await;
    }
    said(client, stack, &pods).await
}

async fn pods_of(client: &Client, stack: &Stack, jobs: &[&str]) -> Option<Vec<Pod>> {
    let selector =
        format!("{}={},{JOB_NAME} in ({})", labels::STACK, names::label(&stack.name), jobs.join(","));
    let api: Api<Pod> = Api::namespaced(client.clone(), &stack.namespace);
    Some(api.list(&ListParams::default().labels(&selector)).await.ok()?.items)
}

/// What keeps one of these pods from starting, or what the last one said that failed.
async fn said(client: &Client, stack: &Stack, pods: &[Pod]) -> Option<Stuck> {
    if let Some(stuck) = first(client, stack, pods, part).await {
        return Some(stuck);
    }
    let failed = pods.iter().filter_map(|pod| Some((pod, failure(pod)?)));
    let (pod, (_, problem)) = failed.max_by_key(|(_, (when, _))| when.clone())?;
    Some(Stuck { part: part(pod).to_owned(), problem })
}

/// When and why a pod failed.
fn failure(pod: &Pod) -> Option<(Option<Time>, Problem)> {
    let status = pod.status.as_ref()?;
    let containers = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
    let ended = containers.into_iter().filter_map(|container| container.state.as_ref()?.terminated.as_ref());
    let failed = ended.filter(|ended| ended.exit_code != 0).max_by_key(|ended| ended.finished_at.clone())?;
    let reason = match part(pod) {
        names::RESTORE => reason::RESTORE_FAILED,
        names::LAST_BACKUP => reason::BACKUP_FAILED,
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
pub async fn not_made(client: &Client, stack: &Stack, makers: &[String]) -> Option<Stuck> {
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
    let latest = ours.max_by_key(when)?;
    let message = latest.message.unwrap_or_default();
    let reason =
        if message.contains("exceeded quota") { reason::QUOTA_EXCEEDED } else { reason::APPLY_REFUSED };
    let maker = latest.involved_object.name.unwrap_or_default();
    let problem = Problem { reason, message: format!("no pod can be made for {maker}: {message}") };
    Some(Stuck { part: maker, problem })
}

/// When it happened last: not everybody who writes Events fills in the same members.
fn when(event: &Event) -> Option<k8s_openapi::jiff::Timestamp> {
    let moment = event.event_time.as_ref().map(|time| time.0);
    let last = event.last_timestamp.as_ref().map(|time| time.0).or(moment);
    last.or(event.metadata.creation_timestamp.as_ref().map(|time| time.0))
}

/// Events looked at.
const EVENTS: u32 = 200;
/// The label of a Job's pods.
pub const JOB_NAME: &str = "batch.kubernetes.io/job-name";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answers;
    use crate::kinds::Kind;
    use crate::live::{Seen, State, Workload};
    use serde_json::json;

    fn stack(spec: &str) -> Stack {
        let yaml = format!(
            "apiVersion: healthcarestack.dev/v1alpha1\nkind: HealthcareStack\nmetadata: {{name: clinic, namespace: clinic}}\nspec: {spec}"
        );
        Stack::from_yaml(&yaml).expect("a stack")
    }

    /// One workload, of which no pod is ready.
    fn sight(group: &str, kind: &str, part: &str) -> Sight {
        let state = State::Workload(Box::new(Workload { desired: 1, ..Workload::default() }));
        let seen = Seen { version: 1, fingerprint: 1, applied: None, owner: None, deleting: false, state };
        [((Kind::id(group, kind).expect("known"), names::object("clinic", part).into()), seen)].into()
    }

    #[tokio::test]
    async fn what_keeps_the_databases_pod_from_coming_up_is_asked_of_it_of_its_volume_and_of_events() {
        let client = answers::client(|_, path| match path.rsplit('/').next() {
            Some("pods") => answers::list(
                "Pod",
                &[json!({
                    "metadata": {"name": "clinic-postgres-0"},
                    "spec": {"containers": [], "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "clinic-postgres"}}]},
                    "status": {"conditions": [{"type": "PodScheduled", "status": "False", "message": "pod has unbound immediate PersistentVolumeClaims"}]},
                })],
            ),
            Some("clinic-postgres") => (
                200,
                json!({
                    "metadata": {"name": "clinic-postgres"}, "spec": {"storageClassName": "fast"}, "status": {"phase": "Pending"},
                }),
            ),
            Some("events") => answers::list(
                "Event",
                &[
                    json!({"metadata": {}, "involvedObject": {}, "reason": "Old", "message": "old", "lastTimestamp": "2026-11-23T10:00:00Z"}),
                    json!({"metadata": {}, "involvedObject": {}, "reason": "ProvisioningFailed", "message": "\"fast\" not found", "lastTimestamp": "2026-11-23T10:00:01Z"}),
                ],
            ),
            _ => answers::not_found(),
        });
        let sight = sight("apps", "StatefulSet", names::POSTGRES);
        let stuck = pods(&client, &stack("{}"), [names::POSTGRES], &sight).await.expect("a reason");
        assert_eq!((stuck.part.as_str(), stuck.problem.reason), (names::POSTGRES, "VolumePending"));
        assert!(stuck.problem.message.ends_with(
            "the PersistentVolumeClaim clinic-postgres is of the StorageClass fast: \"fast\" not found; `kubectl get storageclass` \
             lists those that are there"
        ), "{}", stuck.problem.message);
    }

    #[tokio::test]
    async fn a_database_that_answers_is_not_asked() {
        let client = answers::client(|_, path| panic!("{path} was asked for"));
        let external = stack("{database: {external: {url: {secret: s, key: k}}}}");
        assert_eq!(pods(&client, &external, [names::POSTGRES], &Sight::new()).await, None);
    }

    #[test]
    fn a_database_of_another_operator_has_pods_of_its_own_labels() {
        assert_eq!(
            selector(&stack("{database: {cloudNativePG: {instances: 1}}}"), names::POSTGRES),
            "cnpg.io/cluster=clinic-postgres"
        );
        assert!(selector(&stack("{}"), names::POSTGRES).contains("app.kubernetes.io/name=postgres"));
    }

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
