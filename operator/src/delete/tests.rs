//! What a deletion asks of the API server, and in which order.

use std::sync::{Arc, Mutex};

use kube::core::DeserializeGuard;
use serde_json::Value;

use super::*;
use crate::answers;
use crate::controller::Operator;
use crate::live::{Key, Seen, StackId, State};
use crate::reconcile::reconcile;
use crate::stacks::Guarded;

const PATH: &str = "/apis/healthcarestack.dev/v1alpha1/namespaces/clinic/healthcarestacks/clinic";

/// A namespace with one stack, which is being deleted. Notes what is written and deleted there.
#[derive(Clone, Default)]
struct Server {
    written: Arc<Mutex<Vec<(String, Value)>>>,
    /// What is there, by the end of its path.
    there: Arc<Mutex<Vec<(&'static str, Value)>>>,
    pods: Arc<Mutex<Vec<Value>>>,
    events: Arc<Mutex<Vec<Value>>>,
}

impl Server {
    fn client(&self) -> kube::Client {
        let server = self.clone();
        answers::reading(move |method, path, body| server.answer(method, path, body))
    }

    fn answer(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        if method != "GET" {
            // Events of its own are told beside.
            if method != "POST" {
                self.written.lock().unwrap().push((format!("{method} {path}"), body.clone()));
            }
            let name = path.rsplit('/').next();
            return (
                200,
                json!({"metadata": {"name": name, "uid": "new", "resourceVersion": "9"}, "spec": {}}),
            );
        }
        match path.rsplit('/').next() {
            _ if path == "/api/v1/namespaces/clinic" => answers::metadata(json!({"name": "clinic"})),
            Some("secrets") => answers::list("Secret", &[]),
            Some("pods") => answers::list("Pod", &self.pods.lock().unwrap()),
            Some("events") => answers::list("Event", &self.events.lock().unwrap()),
            _ => {
                let there = self.there.lock().unwrap();
                let found = there.iter().find(|(end, _)| path.ends_with(end));
                found.map_or_else(answers::not_found, |(_, metadata)| answers::metadata(metadata.clone()))
            }
        }
    }

    /// What was written and deleted since the last look; of statuses, nothing.
    fn done(&self) -> Vec<(String, Value)> {
        let mut written = self.written.lock().unwrap();
        written.retain(|(what, _)| *what != format!("PATCH {PATH}/status"));
        std::mem::take(&mut *written)
    }

    /// What the status says that was written last: the reason, and the words.
    fn said(&self) -> (String, String) {
        let written = self.written.lock().unwrap();
        let status = written.iter().rev().find(|(what, _)| *what == format!("PATCH {PATH}/status"));
        let (_, status) = status.expect("a status");
        let conditions = status["status"]["conditions"].as_array().expect("conditions");
        let ready = conditions.iter().find(|condition| condition["type"] == "Ready").expect("Ready");
        (ready["reason"].as_str().unwrap().to_owned(), ready["message"].as_str().unwrap().to_owned())
    }
}

fn names_of(done: &[(String, Value)]) -> Vec<String> {
    done.iter().map(|(what, _)| what.replace("/namespaces/clinic", "")).collect()
}

fn deleted(spec: &Value) -> Guarded {
    DeserializeGuard(Ok(serde_json::from_value(json!({
        "apiVersion": stack::API_VERSION, "kind": stack::KIND, "spec": spec,
        "metadata": {"name": "clinic", "namespace": "clinic", "uid": "u", "generation": 1, "resourceVersion": "1",
            "finalizers": [FINALIZER], "deletionTimestamp": "2026-11-23T10:00:00Z"},
    }))
    .unwrap()))
}

fn with_backup() -> Guarded {
    deleted(
        &json!({"deletionPolicy": "Backup", "database": {"managed": {}, "backup": {"volume": {"size": "1Gi"}}}}),
    )
}

fn id() -> StackId {
    StackId { namespace: "clinic".to_owned(), label: "clinic".to_owned() }
}

fn key(group: &str, kind: &str, name: &str) -> Key {
    (Kind::id(group, kind).expect("known"), name.into())
}

/// The watches show it, as the stack's own.
fn show(operator: &Operator, key: &Key, version: u64, deleting: bool) {
    let state = State::Workload(Box::default());
    let seen = Seen { version, fingerprint: 1, applied: None, owner: Some("u".into()), deleting, state };
    operator.live.keep(&id(), key.clone(), seen);
}

/// What a database is known by.
fn show_database(operator: &Operator) {
    show(operator, &key("", "Secret", "clinic-database-reader"), 1, false);
    show(operator, &key("", "PersistentVolumeClaim", "clinic-postgres"), 1, false);
    show(operator, &key("apps", "StatefulSet", "clinic-postgres"), 1, false);
}

/// A stack may be refused because somebody has such a name, and then be deleted.
#[tokio::test]
async fn what_is_not_the_stacks_stays_when_it_is_deleted() {
    let server = Server::default();
    let ours =
        json!({"app.kubernetes.io/managed-by": "healthcare-operator", "healthcarestack.dev/stack": "clinic"});
    let theirs = json!({"app.kubernetes.io/managed-by": "healthcare-operator", "healthcarestack.dev/stack": "clinic-2"});
    *server.there.lock().unwrap() = vec![
        ("secrets/clinic-kek", json!({"name": "clinic-kek", "uid": "a"})),
        ("secrets/clinic-first-admin", json!({"name": "clinic-first-admin", "uid": "b", "labels": theirs})),
        ("secrets/clinic-signing-keys", json!({"name": "clinic-signing-keys", "uid": "c", "labels": ours})),
        (
            "persistentvolumeclaims/clinic-postgres",
            json!({"name": "clinic-postgres", "uid": "d", "labels": ours}),
        ),
    ];
    let operator = Operator::new(server.client());
    let stack = deleted(&json!({"deletionPolicy": "Delete"}));
    reconcile(&operator, &stack, &mut Memory::default()).await.unwrap();
    let done = server.done();
    assert_eq!(
        names_of(&done),
        [
            "DELETE /api/v1/secrets/clinic-signing-keys".to_owned(),
            "DELETE /api/v1/persistentvolumeclaims/clinic-postgres".to_owned(),
            format!("PATCH {}", PATH.replace("/namespaces/clinic", "")),
        ]
    );
    for ((_, body), uid) in done.iter().zip(["c", "d"]) {
        assert_eq!(body["preconditions"]["uid"], uid, "{body}");
    }
}

/// Whoever was answered 201 finds it in the backup.
#[tokio::test]
async fn the_last_backup_is_taken_when_nobody_writes_any_more() {
    let server = Server::default();
    let (operator, mut memory) = (Operator::new(server.client()), Memory::default());
    show_database(&operator);
    let scaler = key("autoscaling", "HorizontalPodAutoscaler", "clinic-auth-service");
    let deployment = key("apps", "Deployment", "clinic-auth-service");
    show(&operator, &scaler, 1, false);
    show(&operator, &deployment, 1, false);

    reconcile(&operator, &with_backup(), &mut memory).await.unwrap();
    let (_, message) = server.said();
    assert!(message.contains("clinic-auth-service"), "{message}");
    let done = server.done();
    assert_eq!(
        names_of(&done),
        [
            "DELETE /apis/autoscaling/v2/horizontalpodautoscalers/clinic-auth-service",
            "DELETE /apis/apps/v1/deployments/clinic-auth-service",
        ]
    );
    assert!(done.iter().all(|(_, body)| body["propagationPolicy"] == "Foreground"), "{done:?}");

    operator.live.drop_object(None, &id(), &scaler, 2);
    show(&operator, &deployment, 2, true);
    reconcile(&operator, &with_backup(), &mut memory).await.unwrap();
    assert_eq!(names_of(&server.done()), [""; 0]);

    // The pods of a part that was switched off just before have no Deployment any more.
    operator.live.drop_object(None, &id(), &deployment, 3);
    *server.pods.lock().unwrap() = vec![json!({"metadata": {"name": "clinic-patient-service-7d4"}})];
    reconcile(&operator, &with_backup(), &mut memory).await.unwrap();
    let (reason, message) = server.said();
    assert_eq!(reason, reason::DELETING);
    assert!(message.contains("clinic-patient-service-7d4"), "{message}");
    assert_eq!(names_of(&server.done()), [""; 0]);

    server.pods.lock().unwrap().clear();
    reconcile(&operator, &with_backup(), &mut memory).await.unwrap();
    let done = names_of(&server.done());
    assert!(
        done.iter().any(|what| what.starts_with("PATCH /apis/batch/v1/jobs/clinic-backup-last-")),
        "{done:?}"
    );
    // What the Job's pod runs as and on is there, or it could not begin.
    assert!(done.contains(&"PATCH /api/v1/serviceaccounts/clinic-postgres".to_owned()), "{done:?}");
    assert!(done.iter().all(|what| !what.starts_with("DELETE")), "{done:?}");
}

#[tokio::test]
async fn a_stack_whose_database_never_was_there_waits_for_no_backup() {
    let server = Server::default();
    let operator = Operator::new(server.client());
    show(&operator, &key("apps", "Deployment", "clinic-auth-service"), 1, false);
    reconcile(&operator, &with_backup(), &mut Memory::default()).await.unwrap();
    let done = server.done();
    assert_eq!(names_of(&done), [format!("PATCH {}", PATH.replace("/namespaces/clinic", ""))]);
    assert_eq!(done[0].1["metadata"]["finalizers"], json!([]));
}

#[tokio::test]
async fn why_no_last_backup_is_taken_is_told() {
    let server = Server::default();
    let (operator, mut memory) = (Operator::new(server.client()), Memory::default());
    show_database(&operator);
    reconcile(&operator, &with_backup(), &mut memory).await.unwrap();
    assert!(server.said().1.contains("is being taken"), "{:?}", server.said());
    let done = server.done();
    let job = done.iter().find(|(what, _)| what.contains("/jobs/")).expect("a Job");
    let job = job.0.rsplit('/').next().unwrap();
    *server.events.lock().unwrap() = vec![json!({
        "metadata": {}, "involvedObject": {"name": job}, "reason": "FailedCreate", "message": "exceeded quota: pods",
        "lastTimestamp": "2026-11-23T10:00:00Z",
    })];
    reconcile(&operator, &with_backup(), &mut memory).await.unwrap();
    let (reason, message) = server.said();
    assert_eq!(reason, reason::QUOTA_EXCEEDED);
    assert!(message.contains("exceeded quota: pods") && message.contains("last backup"), "{message}");
}
