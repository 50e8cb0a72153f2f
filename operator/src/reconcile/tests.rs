//! What one reconcile asks of the API server, and what it leaves.

mod cluster;
mod traces;

use std::sync::{Arc, Mutex};

use kube::core::DeserializeGuard;
use serde_json::{Value, json};

use cluster::Cluster;

use super::*;
use crate::answers;
use crate::live::Seen;

const STACK: &str = "/apis/healthcarestack.dev/v1alpha1/namespaces/clinic/healthcarestacks/clinic";

fn guarded(more: &Value, policy: &str) -> Guarded {
    let mut resource = json!({
        "apiVersion": stack::API_VERSION, "kind": stack::KIND, "spec": {"deletionPolicy": policy},
        "metadata": {"name": "clinic", "namespace": "clinic", "uid": "u", "generation": 1, "resourceVersion": "1",
            "finalizers": [delete::FINALIZER]},
    });
    for (name, value) in more.as_object().unwrap() {
        resource["metadata"][name] = value.clone();
    }
    DeserializeGuard(Ok(serde_json::from_value(resource).unwrap()))
}

/// An API server whose namespace is on its way out: nothing can be made there. Notes what it is asked.
fn ending() -> (kube::Client, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&asked);
    let metadata = |name: &str, more: Value| {
        let mut object = json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": {"name": name}});
        object["metadata"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        (200, object)
    };
    let client = answers::client(move |method, path| {
        notes.lock().unwrap().push(format!("{method} {path}"));
        match (method, path) {
            ("GET", "/api/v1/namespaces/clinic") => {
                metadata("clinic", json!({"deletionTimestamp": "2026-11-23T10:00:00Z"}))
            }
            ("GET", STACK) => {
                metadata("clinic", json!({"resourceVersion": "2", "finalizers": [delete::FINALIZER]}))
            }
            ("PATCH", STACK) => (200, json!({"metadata": {"name": "clinic"}, "spec": {}})),
            ("GET", _) => answers::list("Secret", &[]),
            _ => (
                403,
                json!({
                    "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "code": 403, "message": "terminating",
                    "details": {"causes": [{"reason": "NamespaceTerminating", "message": "", "field": "metadata.namespace"}]},
                }),
            ),
        }
    });
    (client, asked)
}

#[tokio::test]
async fn a_stack_that_goes_with_its_namespace_waits_for_nothing() {
    for policy in ["Delete", "Backup"] {
        let (client, asked) = ending();
        let operator = Operator::new(client);
        let stack = guarded(&json!({"deletionTimestamp": "2026-11-23T10:00:00Z"}), policy);
        reconcile(&operator, &stack, &mut Memory::default()).await.unwrap();
        let expected =
            ["GET /api/v1/namespaces/clinic".to_owned(), format!("GET {STACK}"), format!("PATCH {STACK}")];
        assert_eq!(*asked.lock().unwrap(), expected, "{policy}");
    }
}

/// Its objects may go before it does, and the operator's rights too.
#[tokio::test]
async fn a_stack_whose_namespace_ends_is_let_go_before_it_is_its_turn() {
    let (client, asked) = ending();
    let operator = Operator::new(client);
    let (stack, mut memory) = (guarded(&json!({}), "Delete"), Memory::default());
    reconcile(&operator, &stack, &mut memory).await.unwrap();
    assert_eq!(asked.lock().unwrap().last().unwrap(), &format!("PATCH {STACK}"));
    let count = asked.lock().unwrap().len();
    reconcile(&operator, &stack, &mut memory).await.unwrap();
    assert_eq!(asked.lock().unwrap().len(), count, "and then it is left alone");
}

/// A stack of which nothing is held when it is deleted, in a generation, at a version.
fn at(generation: i64, version: &str, annotations: &Value) -> Guarded {
    let metadata = json!({"generation": generation, "finalizers": [], "annotations": annotations});
    let DeserializeGuard(Ok(mut stack)) = guarded(&metadata, "Retain") else { unreachable!() };
    stack.spec.version = Some(version.to_owned());
    DeserializeGuard(Ok(stack))
}

/// As many reconciles as anything takes. Answers how they ended.
async fn often(operator: &Operator, stack: &Guarded, memory: &mut Memory) -> Vec<Result<Action, Error>> {
    let mut ended = Vec::new();
    for _ in 0..6 {
        ended.push(reconcile(operator, stack, memory).await);
    }
    ended
}

/// An object that an admission policy refuses, or that cannot be written for another reason, is no reason to forget a version.
#[tokio::test]
async fn what_was_healthy_and_what_failed_is_remembered_whatever_else_is_refused() {
    for code in [422, 500] {
        let (cluster, mut memory) = (Cluster::default(), Memory::default());
        let operator = Operator::new(cluster.client());
        cluster.kept().refused = vec![("/networkpolicies/", code, u32::MAX)];
        let ended = often(&operator, &at(1, "0.1.0", &json!({})), &mut memory).await;
        assert!(ended.iter().all(Result::is_err), "{code}: {ended:?}");
        assert_eq!(cluster.kept().status["lastHealthyVersion"], "0.1.0", "{code}");
        cluster.kept().broken = Some("0.2.0");
        // Whoever edits the spec has it tried once more, and once only.
        for generation in [2, 3] {
            let stack = at(generation, "0.2.0", &json!({}));
            cluster.kept().deployed.clear();
            often(&operator, &stack, &mut memory).await;
            let status = cluster.kept().status.clone();
            assert_eq!(status["failedVersion"]["version"], "0.2.0", "{code}: {status}");
            assert_eq!(status["failedVersion"]["generation"], generation, "{code}: {status}");
            assert_eq!(status["lastHealthyVersion"], "0.1.0", "{code}");
            let deployed = std::mem::take(&mut cluster.kept().deployed);
            assert!(deployed.iter().any(|tag| tag == "0.2.0"), "{code}: {deployed:?}");
            // A process that knows nothing but the status goes on from there.
            memory = Memory { status: serde_json::from_value(status).unwrap(), ..Memory::default() };
            often(&operator, &stack, &mut memory).await;
            let deployed = cluster.kept().deployed.clone();
            assert!(deployed.iter().all(|tag| tag == "0.1.0"), "{code}: {deployed:?}");
        }
    }
}

/// Where the rotations of the stack's Secrets stand.
fn rotations(cluster: &Cluster) -> Vec<String> {
    let kept = cluster.kept();
    let stage = |object: &Value| {
        object["metadata"]["annotations"]["healthcarestack.dev/rotation"].as_str().map(str::to_owned)
    };
    let mut stages: Vec<_> = kept.objects.values().filter_map(stage).collect();
    stages.dedup();
    stages
}

#[tokio::test]
async fn a_rotation_waits_for_pods_after_an_error_too() {
    let (cluster, mut memory) = (Cluster::default(), Memory::default());
    let operator = Operator::new(cluster.client());
    often(&operator, &at(1, "0.1.0", &json!({})), &mut memory).await;
    let rotating = at(1, "0.1.0", &json!({"healthcarestack.dev/rotate-identities": "now"}));
    cluster.kept().refused = vec![("/clinic/status", 500, 1)];
    assert!(reconcile(&operator, &rotating, &mut memory).await.is_err());
    assert_eq!(rotations(&cluster), ["published"]);
    // Only now is it seen that every pod has taken it up.
    reconcile(&operator, &rotating, &mut memory).await.unwrap();
    assert_eq!(rotations(&cluster), ["published"]);
    reconcile(&operator, &rotating, &mut memory).await.unwrap();
    assert_eq!(rotations(&cluster), ["in-use"]);
}

/// Watches tell of a deletion when they like. Until then the Job that was deleted is not the one that is to come.
#[tokio::test]
async fn a_migration_that_is_done_anew_is_not_judged_by_the_one_before() {
    let (cluster, mut memory) = (Cluster::default(), Memory::default());
    let operator = Operator::new(cluster.client());
    often(&operator, &at(1, "0.1.0", &json!({})), &mut memory).await;
    cluster.kept().failing = Some("0.2.0");
    often(&operator, &at(2, "0.2.0", &json!({})), &mut memory).await;
    assert_eq!(cluster.kept().status["failedVersion"]["generation"], 2);
    cluster.kept().failing = None;
    let stack = at(3, "0.2.0", &json!({}));
    reconcile(&operator, &stack, &mut memory).await.unwrap();
    reconcile(&operator, &stack, &mut memory).await.unwrap();
    assert_eq!(cluster.kept().status["failedVersion"], Value::Null);
    let id = crate::stacks::id(&stack);
    let gone = |(key, seen): (Key, Seen)| seen.deleting.then_some((key, seen.version));
    let gone: Vec<_> = operator.live.of_stack(&id).into_iter().filter_map(gone).collect();
    assert!(!gone.is_empty());
    for (key, version) in gone {
        operator.live.drop_object(None, &id, &key, version);
    }
    often(&operator, &stack, &mut memory).await;
    assert_eq!(cluster.kept().status["lastHealthyVersion"], "0.2.0");
}

/// What is there would be taken for missing, and made again in another version than it has.
#[tokio::test]
async fn a_stack_whose_objects_may_not_be_listed_is_left_as_it_is() {
    let (cluster, mut memory) = (Cluster::default(), Memory::default());
    let operator = Operator::new(cluster.client());
    let stack = at(1, "0.1.0", &json!({}));
    let watched = |group, kind| (Kind::id(group, kind).unwrap(), Some("clinic".to_owned()));
    for it in [watched("apps", "Deployment"), watched("monitoring.coreos.com", "PodMonitor")] {
        operator.lists.expect(it.clone());
        operator.lists.refuse(&it);
    }
    reconcile(&operator, &stack, &mut memory).await.unwrap();
    let ready = cluster.kept().status["conditions"][0].clone();
    assert_eq!((&ready["type"], &ready["status"]), (&json!("Ready"), &json!("False")));
    assert!(ready["message"].as_str().unwrap().contains("may not list deployments here"), "{ready}");
    assert_eq!(cluster.kept().deployed.len(), 0);
    assert!(operator.lists.end(&watched("apps", "Deployment")));
    reconcile(&operator, &stack, &mut memory).await.unwrap();
    assert!(!cluster.kept().deployed.is_empty());
}
