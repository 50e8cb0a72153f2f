//! What is applied, and what is left alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::json;

use super::*;
use crate::answers;

fn key(kind: &str) -> Key {
    let group = if kind == "Job" { "batch" } else { "apps" };
    (Kind::id(group, kind).expect("known"), "clinic-x".into())
}

fn seen(fingerprint: u64, applied: Option<&str>, deleting: bool) -> Seen {
    Seen {
        version: 1,
        fingerprint,
        applied: applied.map(Into::into),
        owner: None,
        deleting,
        state: crate::live::State::Nothing,
    }
}

fn decide(kind: &str, seen: Option<Seen>, done: Option<(&str, u64)>) -> Step {
    let key = key(kind);
    let mut memory = Memory::default();
    if let Some((digest, fingerprint)) = done {
        memory.objects.insert(key.clone(), Done { digest: digest.into(), fingerprint });
    }
    step(&key, "d", &seen.map(|seen| (key.clone(), seen)).into_iter().collect(), &memory)
}

#[test]
fn what_is_as_it_should_be_is_left_alone() {
    assert_eq!(decide("Deployment", Some(seen(7, None, false)), Some(("d", 7))), Step::Leave);
}

#[test]
fn after_a_restart_what_nobody_touched_is_left_alone() {
    assert_eq!(decide("Deployment", Some(seen(7, Some("d"), false)), None), Step::Adopt);
    assert_eq!(decide("Deployment", Some(seen(7, Some("e"), false)), None), Step::Change);
    assert_eq!(decide("Deployment", Some(seen(7, None, false)), None), Step::Change);
}

#[test]
fn what_somebody_changed_or_deleted_is_repaired() {
    assert_eq!(decide("Deployment", Some(seen(8, None, false)), Some(("d", 7))), Step::Repair);
    assert_eq!(decide("Deployment", None, Some(("d", 7))), Step::Repair);
}

#[test]
fn a_changed_plan_is_no_drift() {
    assert_eq!(decide("Deployment", Some(seen(8, None, false)), Some(("e", 7))), Step::Change);
    assert_eq!(decide("Deployment", None, None), Step::Make);
}

#[test]
fn what_is_on_its_way_out_is_waited_for() {
    assert_eq!(decide("Deployment", Some(seen(8, None, true)), Some(("e", 7))), Step::Leave);
}

/// Somebody deletes it between our write and its answer, and the watch is faster than the answer.
#[tokio::test]
async fn what_is_deleted_while_it_is_written_is_made_again() {
    let (live, metrics) = (Live::default(), Metrics::new());
    let stack = StackId { namespace: "clinic".to_owned(), label: "clinic".to_owned() };
    let object = config_map();
    let key: Key = (Kind::id("", "ConfigMap").expect("known"), "clinic-x".into());
    let writes = Arc::new(AtomicU64::new(0));
    let client = {
        let (live, stack, writes) = (live.clone(), stack.clone(), Arc::clone(&writes));
        answers::client(move |method, _| {
            if method == "GET" {
                return answers::not_found();
            }
            let version = 10 * (1 + writes.fetch_add(1, Ordering::SeqCst));
            if version == 10 {
                live.keep(&stack, key.clone(), Seen { version, ..seen(1, None, false) });
                live.drop_object(None, &stack, &key, version + 1);
            }
            (200, json!({"metadata": {"name": "clinic-x", "resourceVersion": version.to_string()}}))
        })
    };
    let place = Place { client: &client, live: &live, stack: &stack, uid: "u", metrics: &metrics };
    let mut memory = Memory::default();
    for (time, there) in [(1, 0), (2, 1), (2, 1)] {
        assert!(apply(place, &mut memory, std::slice::from_ref(&object)).await.errors.is_empty());
        assert_eq!((writes.load(Ordering::SeqCst), live.of_stack(&stack).len()), (time, there));
    }
}

#[test]
fn a_job_that_is_there_stays_as_it_is() {
    assert_eq!(decide("Job", Some(seen(8, None, false)), Some(("e", 7))), Step::Leave);
    assert_eq!(decide("Job", None, None), Step::Make);
}

fn config_map() -> Object {
    Object::of(&ConfigMap {
        metadata: ObjectMeta { name: Some("clinic-x".to_owned()), ..ObjectMeta::default() },
        ..ConfigMap::default()
    })
}

/// Applies a `ConfigMap` that no watch shows and that is there with this metadata. Answers whether it was written, and what came of it.
async fn applied_over(metadata: Value) -> (bool, Outcome) {
    let (live, metrics) = (Live::default(), Metrics::new());
    let stack = StackId { namespace: "clinic".to_owned(), label: "clinic".to_owned() };
    let written = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&written);
    let client = answers::client(move |method, _| {
        if method == "GET" {
            return answers::metadata(metadata.clone());
        }
        count.fetch_add(1, Ordering::SeqCst);
        (200, json!({"metadata": {"name": "clinic-x", "resourceVersion": "2"}}))
    });
    let place = Place { client: &client, live: &live, stack: &stack, uid: "u", metrics: &metrics };
    let outcome = apply(place, &mut Memory::default(), &[config_map()]).await;
    (written.load(Ordering::SeqCst) > 0, outcome)
}

fn labelled(stack: &str) -> Value {
    json!({"app.kubernetes.io/managed-by": MANAGER, "healthcarestack.dev/stack": stack})
}

/// As a server-side apply of the operator leaves it.
fn applied_by_us() -> Value {
    json!([{"manager": MANAGER, "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {}}])
}

/// Else it would have the stack's labels and go with the stack.
#[tokio::test]
async fn what_somebody_else_has_made_is_not_written_to() {
    let owner = json!([{"apiVersion": "v1", "kind": "HealthcareStack", "name": "clinic", "uid": "another"}]);
    for metadata in [
        json!({"name": "clinic-x"}),
        json!({"name": "clinic-x", "ownerReferences": owner}),
        json!({"name": "clinic-x", "labels": {"healthcarestack.dev/stack": "clinic"}}),
        json!({"name": "clinic-x", "labels": labelled("clinic-2"), "managedFields": applied_by_us()}),
    ] {
        let (is_written, outcome) = applied_over(metadata.clone()).await;
        assert!(!is_written, "{metadata}");
        assert!(matches!(&outcome.errors[..], [Error::NameTaken(_)]), "{metadata}: {:?}", outcome.errors);
    }
}

/// A volume of a stack of the same name before, say.
#[tokio::test]
async fn what_is_the_stacks_and_no_watch_shows_is_taken_up() {
    let owner = json!([{"apiVersion": "v1", "kind": "HealthcareStack", "name": "clinic", "uid": "u"}]);
    for metadata in [
        json!({"name": "clinic-x", "ownerReferences": owner}),
        json!({"name": "clinic-x", "labels": labelled("clinic")}),
        json!({"name": "clinic-x", "managedFields": applied_by_us()}),
    ] {
        let (is_written, outcome) = applied_over(metadata.clone()).await;
        assert!(is_written && outcome.errors.is_empty(), "{metadata}: {:?}", outcome.errors);
    }
}

/// Its pods' management cannot be changed: the API server would refuse all of it.
#[tokio::test]
async fn a_stateful_set_of_before_keeps_what_cannot_be_changed() {
    let mut full = crate::plan::tests::full();
    full.database = stack::Database::Managed(stack::spec::ManagedDatabase::default());
    let mut planned = crate::plan::tests::with(&full, crate::plan::plan);
    planned.retain(|object| object.resource.kind == "StatefulSet");
    assert_eq!(planned[0].body["spec"]["podManagementPolicy"], "Parallel");
    let key: Key = (Kind::id("apps", "StatefulSet").expect("known"), planned[0].name.as_str().into());
    for there in ["OrderedReady", "Parallel"] {
        let (live, metrics) = (Live::default(), Metrics::new());
        let stack = StackId { namespace: "clinic".to_owned(), label: "full".to_owned() };
        live.keep(&stack, key.clone(), seen(1, None, false));
        let bodies = Arc::new(std::sync::Mutex::new(Vec::new()));
        let notes = Arc::clone(&bodies);
        let client = answers::reading(move |method, _, body| {
            if method == "PATCH" {
                notes.lock().expect("notes").push(body.pointer("/spec/podManagementPolicy").cloned());
            }
            let spec =
                json!({"podManagementPolicy": there, "selector": {}, "serviceName": "s", "template": {}});
            (200, json!({"metadata": {"name": "full-postgres", "resourceVersion": "2"}, "spec": spec}))
        });
        let place = Place { client: &client, live: &live, stack: &stack, uid: "u", metrics: &metrics };
        let outcome = apply(place, &mut Memory::default(), &planned).await;
        assert!(outcome.errors.is_empty(), "{:?}", outcome.errors);
        assert_eq!(*bodies.lock().expect("notes"), [Some(json!(there))]);
    }
}
