//! Why a pod has not got its volume: its `PersistentVolumeClaim` says that it waits, and Events say for what.

use k8s_openapi::api::core::v1::{Event, PersistentVolumeClaim, Pod};
use k8s_openapi::jiff::SignedDuration;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use stack::Stack;
use stack::condition::reason;

use crate::validate::Problem;

/// What is said of a claim that waits for its pod, as most classes have it: that is no reason for the pod to wait.
const FOR_ITS_POD: [&str; 2] = ["WaitForFirstConsumer", "WaitForPodScheduled"];
/// What is said of a claim whose volume is being made.
const UNDER_WAY: [&str; 2] = ["Provisioning", "ExternalProvisioning"];
/// A volume is made in less, where somebody is there to make it.
const MADE_WITHIN: SignedDuration = SignedDuration::from_mins(1);

/// Why the first claim of a pod that is not bound is not. Without an Event that is known only if the pod has been tried.
pub(super) async fn pending(
    client: &Client,
    stack: &Stack,
    part: &str,
    pod: &Pod,
    is_unschedulable: bool,
) -> Option<Problem> {
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), &stack.namespace);
    for name in claimed(pod) {
        let Some(claim) = claims.get_opt(name).await.ok()? else {
            let message = format!("{part}: there is no PersistentVolumeClaim {name}");
            return Some(Problem { reason: reason::VOLUME_PENDING, message });
        };
        let phase = claim.status.as_ref().and_then(|status| status.phase.as_deref());
        if phase == Some("Bound") {
            continue;
        }
        let event = latest(client, stack, "PersistentVolumeClaim", name).await;
        if event.is_none() && !is_unschedulable {
            continue;
        }
        if let Some(problem) = of_claim(part, &claim, event.as_ref()) {
            return Some(problem);
        }
    }
    None
}

fn claimed(pod: &Pod) -> impl Iterator<Item = &str> {
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    volumes.filter_map(|volume| Some(volume.persistent_volume_claim.as_ref()?.claim_name.as_str()))
}

fn of_claim(part: &str, claim: &PersistentVolumeClaim, event: Option<&Event>) -> Option<Problem> {
    let why = event.and_then(|event| event.reason.as_deref());
    if why.is_some_and(|why| FOR_ITS_POD.contains(&why) || (UNDER_WAY.contains(&why) && is_recent(event))) {
        return None;
    }
    let class = claim.spec.as_ref().and_then(|spec| spec.storage_class_name.as_deref());
    let class = class.filter(|class| !class.is_empty()).map_or_else(
        || "names no StorageClass, and the cluster has no default one".to_owned(),
        |class| format!("is of the StorageClass {class}"),
    );
    let words = event.and_then(|event| event.message.as_deref()).unwrap_or("nobody has made its volume yet");
    let message = format!(
        "{part}: the PersistentVolumeClaim {} {class}: {words}; `kubectl get storageclass` lists those that are there",
        claim.name_any()
    );
    Some(Problem { reason: reason::VOLUME_PENDING, message })
}

/// Whether it has not been said for long.
fn is_recent(event: Option<&Event>) -> bool {
    let first = event.and_then(|event| event.first_timestamp.as_ref()).map(|time| time.0);
    let last = event.and_then(super::when);
    first.zip(last).is_none_or(|(first, last)| last.duration_since(first) < MADE_WITHIN)
}

/// Why a pod that is on its node does not begin: a volume that is not attached, or a Secret that is not there.
pub(super) async fn not_mounted(client: &Client, stack: &Stack, part: &str, pod: &Pod) -> Option<Problem> {
    let event = latest(client, stack, "Pod", &pod.name_any()).await?;
    let reason = match event.reason.as_deref()? {
        "FailedAttachVolume" => reason::VOLUME_PENDING,
        "FailedMount" | "FailedCreatePodSandBox" => reason::PODS_UNAVAILABLE,
        _ => return None,
    };
    Some(Problem { reason, message: format!("{part}: {}", event.message.unwrap_or_default().trim()) })
}

/// The last Event about an object.
async fn latest(client: &Client, stack: &Stack, kind: &str, name: &str) -> Option<Event> {
    let api: Api<Event> = Api::namespaced(client.clone(), &stack.namespace);
    let about = format!("involvedObject.kind={kind},involvedObject.name={name}");
    let events = api.list(&ListParams::default().fields(&about).limit(super::EVENTS)).await.ok()?;
    events.items.into_iter().max_by_key(super::when)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn said(class: Value, event: Option<(&str, &str)>) -> Option<Problem> {
        let claim = json!({"metadata": {"name": "clinic-postgres"}, "spec": {"storageClassName": class}, "status": {"phase": "Pending"}});
        let claim = serde_json::from_value(claim).expect("a claim");
        let event = event.map(|(reason, message)| {
            let event = json!({"metadata": {}, "involvedObject": {}, "reason": reason, "message": message});
            serde_json::from_value::<Event>(event).expect("an event")
        });
        of_claim("postgres", &claim, event.as_ref())
    }

    #[test]
    fn a_claim_of_a_class_that_there_is_not_is_told_with_the_clusters_words() {
        let event = ("ProvisioningFailed", "storageclass.storage.k8s.io \"fast\" not found");
        let problem = said(json!("fast"), Some(event)).expect("a problem");
        assert_eq!(problem.reason, "VolumePending");
        for words in ["clinic-postgres", "StorageClass fast", event.1] {
            assert!(problem.message.contains(words), "{}", problem.message);
        }
    }

    #[test]
    fn a_cluster_without_a_default_class_is_told_of() {
        let problem = said(Value::Null, None).expect("a problem");
        assert!(problem.message.contains("no default one"), "{}", problem.message);
    }

    #[test]
    fn a_claim_that_waits_for_its_pod_is_not_what_the_pod_waits_for() {
        assert_eq!(said(json!("standard"), Some(("WaitForFirstConsumer", "waiting"))), None);
    }

    #[test]
    fn a_volume_that_is_being_made_is_given_a_minute() {
        let claim = json!({"metadata": {"name": "c"}, "spec": {"storageClassName": "s"}, "status": {"phase": "Pending"}});
        let claim = serde_json::from_value(claim).expect("a claim");
        let said = |last: &str| {
            let event = json!({"metadata": {}, "involvedObject": {}, "reason": "ExternalProvisioning", "message": "waiting for x",
                "firstTimestamp": "2026-11-23T10:00:00Z", "lastTimestamp": last});
            of_claim("postgres", &claim, Some(&serde_json::from_value(event).expect("an event")))
        };
        assert_eq!(said("2026-11-23T10:00:59Z"), None);
        assert!(said("2026-11-23T10:01:00Z").is_some());
    }

    #[test]
    fn the_claims_of_a_pod_are_those_that_it_mounts() {
        let pod = json!({"spec": {"containers": [], "volumes": [
            {"name": "tmp", "emptyDir": {}}, {"name": "data", "persistentVolumeClaim": {"claimName": "clinic-postgres"}}
        ]}});
        let pod: Pod = serde_json::from_value(pod).expect("a pod");
        assert_eq!(claimed(&pod).collect::<Vec<_>>(), ["clinic-postgres"]);
    }
}
