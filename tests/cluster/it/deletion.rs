//! What goes with a stack and what stays: by `deletionPolicy`, and never anything of another stack whose name begins alike.

use std::time::Duration;

use cluster_tests::{Clinic, Cluster, Operator, eventually};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Secret};
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use serde_json::json;

const PATIENT: &str = r#"{"name": "Maria Beispiel", "dob": "1980-02-29",
    "contactInfo": {"phone": "+4930123456", "email": "maria@example.org"},
    "medicalHistory": {"allergies": ["Penicillin"], "chronicConditions": []}}"#;
const GONE_IN: Duration = Duration::from_mins(1);

/// The names of a stack's Secrets and volumes.
pub(crate) async fn remains(clinic: &Clinic) -> Vec<String> {
    let ours = ListParams::default().labels(&format!("healthcarestack.dev/stack={}", clinic.name));
    let (secrets, claims): (Api<Secret>, Api<PersistentVolumeClaim>) = (clinic.api(), clinic.api());
    let mut names: Vec<_> = secrets.list(&ours).await.unwrap().iter().map(ResourceExt::name_any).collect();
    names.extend(claims.list(&ours).await.unwrap().iter().map(ResourceExt::name_any));
    names.sort();
    names
}

/// Deletes the stack, and waits until only this is left.
async fn leaves(clinic: &Clinic, parts: &[&str]) {
    clinic.namespace().kubectl(&["delete", "healthcarestack", &clinic.name, "--timeout=60s"]);
    let mut wanted: Vec<_> = parts.iter().map(|part| clinic.object(part)).collect();
    wanted.sort();
    eventually(&format!("only {wanted:?}"), GONE_IN, async || {
        let pods = clinic.running().await;
        let now = remains(clinic).await;
        if pods.is_empty() && now == wanted { Ok(()) } else { Err(format!("{pods:?} {now:?}")) }
    })
    .await;
}

#[tokio::test]
async fn a_stack_that_is_deleted_leaves_what_its_policy_says_and_others_alone() {
    let operator = Operator::install("deletion").await;
    let draft = |name: &str| operator.stack(name).small();
    let (first, other) = (draft("a").apply(), draft("a-b").apply());
    first.settled().await;
    other.settled().await;
    let beside = other.running().await;
    let admin = first.admin().await;
    let registered = admin.call("POST", "/api/patients", Some(PATIENT)).await.expect(201).json();
    let path = format!("/api/patients/{}", registered["patientId"].as_str().unwrap());

    // `Retain` is the default: who makes the stack again has everything back.
    leaves(&first, &["first-admin", "kek", "signing-keys", "postgres"]).await;
    let again = draft("a").ready().await;
    let answer = again.admin().await.call("GET", &path, None).await.expect(200).json();
    assert_eq!(answer["name"], "Maria Beispiel");

    again.edit(json!({"spec": {"deletionPolicy": "Delete"}})).await;
    again.settled().await;
    leaves(&again, &[]).await;
    assert_eq!(other.running().await, beside, "{}", other.story());
    let _ = other.admin().await.call("GET", "/api/patients", None).await.expect(200);

    // While it is still coming up.
    let begun = draft("begun").with(json!({"deletionPolicy": "Delete"})).apply();
    eventually("its first pods", GONE_IN, async || {
        if begun.running().await.is_empty() { Err("none") } else { Ok(()) }
    })
    .await;
    leaves(&begun, &[]).await;

    // Nobody is there any more who could see to anything: under `Retain` nothing waits for it.
    Cluster::get().helm(&["uninstall", "healthcare-operator", "--namespace=deletion", "--wait"]);
    leaves(&other, &["first-admin", "kek", "signing-keys", "postgres"]).await;
}
