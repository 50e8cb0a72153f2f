//! What is kept of objects, and what is news.

use super::seen::applied;
use super::workload::tag;
use super::*;
use crate::MANAGER;
use crate::apply::APPLIED;
use crate::kinds::Kind;
use crate::thin::Thin;
use serde_json::json;

fn deployment(version: &str, generation: i64, more: serde_json::Value) -> Thin {
    let mut value = json!({
        "metadata": {
            "name": "clinic-patient-service", "uid": "1", "resourceVersion": version, "generation": generation,
            "labels": {"app.kubernetes.io/name": "patient-service"}
        },
        "spec": {"replicas": 2, "template": {"spec": {"containers": [{"image": "r:5000/patient-service:0.1.0", "env": []}]}}},
        "status": {"observedGeneration": generation, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2}
    });
    merge(&mut value, more);
    serde_json::from_value(value).expect("a deployment")
}

fn merge(into: &mut serde_json::Value, from: serde_json::Value) {
    match (into, from) {
        (serde_json::Value::Object(into), serde_json::Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(serde_json::Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

fn seen(thin: &Thin) -> Seen {
    of_kind("apps", "Deployment", thin)
}

fn of_kind(group: &str, kind: &str, thin: &Thin) -> Seen {
    Seen::of_thin(thin, Kind::id(group, kind).expect("known").kind())
}

fn id() -> StackId {
    StackId { namespace: "clinic".to_owned(), label: "clinic".to_owned() }
}

fn key() -> Key {
    (KindId::of("Deployment"), "clinic-patient-service".into())
}

impl KindId {
    fn of(kind: &str) -> Self {
        crate::kinds::Kind::id("apps", kind).expect("known")
    }
}

#[test]
fn a_status_that_moves_is_no_change_of_the_object() {
    let before = seen(&deployment("1", 1, json!({})));
    let after = seen(&deployment("2", 1, json!({"status": {"readyReplicas": 1}})));
    assert_eq!(before.fingerprint, after.fingerprint);
    assert_ne!(before.state, after.state);
}

#[test]
fn a_volume_that_is_bound_has_not_been_changed_and_one_that_is_made_larger_has() {
    let claim = |more| of_kind("", "PersistentVolumeClaim", &deployment("1", 1, more)).fingerprint;
    let sized = |size| json!({"spec": {"resources": {"requests": {"storage": size}}}});
    let mut bound = sized("1Gi");
    bound["metadata"] = json!({"resourceVersion": "2", "annotations": {
        "pv.kubernetes.io/bind-completed": "yes",
        "volume.kubernetes.io/selected-node": "node1",
        "volume.beta.kubernetes.io/storage-provisioner": "local-path",
    }});
    assert_eq!(claim(bound), claim(sized("1Gi")));
    assert_ne!(claim(sized("2Gi")), claim(sized("1Gi")));
}

/// The API server counts no changes of a Service, and its status moves.
#[test]
fn a_service_that_is_given_an_address_has_not_been_changed_and_one_that_leads_elsewhere_has() {
    let service = |spec: serde_json::Value, status: serde_json::Value| {
        let object =
            json!({"metadata": {"uid": "1", "resourceVersion": "1"}, "spec": spec, "status": status});
        of_kind("", "Service", &serde_json::from_value(object).expect("a service"))
    };
    let spec = |member: &str, value: serde_json::Value| {
        let mut spec = json!({"type": "LoadBalancer", "selector": {"a": "b"}, "externalTrafficPolicy": "Local",
            "ports": [{"port": 8080, "nodePort": 30080}], "clusterIP": "10.0.0.1"});
        spec[member] = value;
        spec
    };
    let before = service(spec("clusterIP", json!("10.0.0.1")), json!({}));
    let given = json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}});
    let after = service(spec("clusterIP", json!("10.0.0.1")), given);
    assert_eq!(before.fingerprint, after.fingerprint);
    assert_ne!(before.state, after.state);
    for (member, value) in [
        ("type", json!("ClusterIP")),
        ("selector", json!({"a": "c"})),
        ("ports", json!([])),
        ("externalTrafficPolicy", json!("Cluster")),
    ] {
        assert_ne!(before.fingerprint, service(spec(member, value), json!({})).fingerprint, "{member}");
    }
}

#[test]
fn a_changed_spec_label_or_annotation_is_a_change() {
    let before = seen(&deployment("1", 1, json!({})));
    for more in [
        json!({"metadata": {"generation": 2}}),
        json!({"metadata": {"labels": {"app.kubernetes.io/name": "x"}}}),
        json!({"metadata": {"annotations": {"a": "b"}}}),
        json!({"metadata": {"uid": "2"}}),
    ] {
        assert_ne!(before.fingerprint, seen(&deployment("2", 1, more.clone())).fingerprint, "{more}");
    }
}

#[test]
fn an_older_sight_never_replaces_a_newer_one() {
    let live = Live::default();
    let newer = seen(&deployment("10", 2, json!({})));
    assert_eq!(live.keep(&id(), key(), newer.clone()), News::Changed);
    assert_eq!(live.keep(&id(), key(), seen(&deployment("9", 1, json!({})))), News::Nothing);
    assert_eq!(live.of_stack(&id())[&key()], newer);
}

#[test]
fn what_a_list_does_not_have_is_gone() {
    let live = Live::default();
    live.keep(&id(), key(), seen(&deployment("1", 1, json!({}))));
    assert!(live.keep_only(key().0, Some("elsewhere"), &[].into()).is_empty());
    assert_eq!(live.keep_only(key().0, None, &[].into()), [id()]);
    assert!(live.of_stack(&id()).is_empty());
}

#[test]
fn what_the_watch_has_dropped_is_not_put_back_by_the_answer_to_an_earlier_write() {
    for namespace in [None, Some("clinic")] {
        let live = Live::default();
        let began = live.begin();
        // Made, and deleted by somebody, before the answer to the making was read.
        live.keep(&id(), key(), seen(&deployment("10", 1, json!({}))));
        assert_eq!(live.drop_object(namespace, &id(), &key(), 11), News::Changed);
        live.answer(&id(), key(), seen(&deployment("10", 1, json!({}))), began);
        assert!(live.of_stack(&id()).is_empty(), "of a watch of {namespace:?}");
        // And what is made after that is there.
        live.answer(&id(), key(), seen(&deployment("12", 1, json!({}))), live.begin());
        assert_eq!(live.of_stack(&id()).len(), 1);
    }
}

#[test]
fn a_deletion_elsewhere_or_of_another_kind_tells_nothing() {
    let live = Live::default();
    let began = live.begin();
    live.drop_object(Some("elsewhere"), &id(), &key(), 20);
    live.drop_object(None, &id(), &(Kind::id("batch", "Job").expect("known"), "x".into()), 20);
    live.answer(&id(), key(), seen(&deployment("10", 1, json!({}))), began);
    assert_eq!(live.of_stack(&id()).len(), 1);
}

#[test]
fn what_a_list_no_longer_has_is_not_put_back_by_the_answer_to_an_earlier_write() {
    let live = Live::default();
    live.keep(&id(), key(), seen(&deployment("9", 1, json!({}))));
    let began = live.begin();
    live.keep_only(key().0, None, &[].into());
    live.answer(&id(), key(), seen(&deployment("10", 1, json!({}))), began);
    assert!(live.of_stack(&id()).is_empty());
    live.answer(&id(), key(), seen(&deployment("10", 1, json!({}))), live.begin());
    assert_eq!(live.of_stack(&id()).len(), 1, "what is made after the list is there");
}

#[test]
fn what_was_not_there_is_dropped_unless_it_was_seen_since() {
    let live = Live::default();
    live.keep(&id(), key(), seen(&deployment("12", 1, json!({}))));
    assert_eq!(live.drop_known(&id(), &key(), 11), News::Nothing);
    assert_eq!(live.of_stack(&id()).len(), 1);
    assert_eq!(live.drop_known(&id(), &key(), 12), News::Changed);
    assert!(live.of_stack(&id()).is_empty());
}

#[test]
fn a_rollout_is_over_when_every_pod_is_new_and_available() {
    let over = |more| Workload::of(&deployment("1", 2, more)).is_rolled_out();
    assert!(over(json!({})));
    assert!(!over(json!({"status": {"observedGeneration": 1}})));
    assert!(!over(json!({"status": {"replicas": 3}})), "an old pod is left");
    assert!(!over(json!({"status": {"availableReplicas": 1}})));
    assert!(!over(json!({"status": {"updatedReplicas": 1}})));
}

#[test]
fn a_deployment_that_gets_no_further_has_failed() {
    let condition = |status, reason| json!({"status": {"conditions": [{"type": "Progressing", "status": status, "reason": reason, "message": "m"}]}});
    assert_eq!(
        Workload::of(&deployment("1", 1, condition("False", "ProgressDeadlineExceeded"))).failed.as_deref(),
        Some("m")
    );
    assert_eq!(Workload::of(&deployment("1", 1, condition("True", "NewReplicaSetAvailable"))).failed, None);
}

#[test]
fn the_tag_is_what_follows_the_last_colon() {
    assert_eq!(tag("r:5000/a:0.1.0"), Some("0.1.0"));
    assert_eq!(tag("r:5000/a"), None);
    assert_eq!(tag("a:0.1.0@sha256:00"), Some("0.1.0"));
}

#[test]
fn a_digest_counts_only_if_nobody_wrote_afterwards() {
    let with = |other: serde_json::Value| {
        let ours = json!({"manager": MANAGER, "operation": "Apply", "time": "2026-11-23T10:00:05Z"});
        applied(
            &deployment(
                "1",
                1,
                json!({"metadata": {
                    "annotations": {APPLIED: "d"}, "managedFields": [ours, other]
                }}),
            )
            .metadata,
        )
    };
    let edit = |time: &str| json!({"manager": "kubectl-edit", "operation": "Update", "time": time});
    assert_eq!(with(edit("2026-11-23T10:00:04Z")).as_deref(), Some("d"));
    assert_eq!(with(edit("2026-11-23T10:00:05Z")), None);
    assert_eq!(with(edit("2026-11-23T10:00:06Z")), None);
    let status = json!({"manager": "k", "operation": "Update", "subresource": "status", "time": "2026-11-23T10:00:06Z"});
    assert_eq!(with(status).as_deref(), Some("d"));
}

#[test]
fn what_was_deleted_is_on_its_way_out_until_another_is_in_its_place() {
    let (live, stack) =
        (Live::default(), StackId { namespace: "clinic".to_owned(), label: "clinic".to_owned() });
    let key: Key = (Kind::id("apps", "Deployment").expect("known"), "clinic-patient-service".into());
    let is_deleting = || live.of_stack(&stack)[&key].deleting;
    let deleted = seen(&deployment("10", 1, json!({})));
    live.keep(&stack, key.clone(), deleted.clone());
    live.mark_deleting(&stack, &key, &deleted);
    assert!(is_deleting());
    // The watch lags behind: this was before the deletion.
    live.keep(&stack, key.clone(), seen(&deployment("11", 1, json!({"status": {"readyReplicas": 1}}))));
    assert!(is_deleting());
    live.keep(&stack, key.clone(), seen(&deployment("12", 1, json!({"metadata": {"uid": "2"}}))));
    assert!(!is_deleting());
    // Who is told late of the deletion means the one before.
    live.mark_deleting(&stack, &key, &deleted);
    assert!(!is_deleting());
}
