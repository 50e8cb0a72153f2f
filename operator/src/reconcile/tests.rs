//! What one reconcile asks of the API server, and what it leaves.

use std::sync::{Arc, Mutex};

use kube::core::DeserializeGuard;
use serde_json::{Value, json};

use super::*;
use crate::answers;

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
