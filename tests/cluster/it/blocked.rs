//! What only the operator can know to be wrong, because it stands in the cluster and not in the resource: it ends in `Ready=False` with a
//! reason, and what runs is left as it is. When it is put right, so is the stack.

use std::time::Duration;

use cluster_tests::{Clinic, REGISTRY, Traffic};
use serde_json::{Value, json};
use stack::condition::{kind, reason};
use stack::spec::ConditionStatus;

/// Time to notice, and to ask pods why they do not come up.
const SOON: Duration = Duration::from_mins(1);

/// Makes a mistake, and sees that it is told, by a message that has these words, and does no harm.
async fn is_told(clinic: &Clinic, mistake: Value, reason: &str, words: &str) {
    let running = clinic.running().await;
    clinic.edit(mistake).await;
    let condition = clinic.says(kind::READY, reason, SOON).await;
    assert_eq!(condition.status, ConditionStatus::False);
    assert!(condition.message.contains(words), "{}", condition.message);
    assert_eq!(condition.observed_generation, clinic.resource().await.metadata.generation);
    assert_eq!(clinic.running().await, running, "{reason} did harm");
}

async fn put_right(clinic: &Clinic, patch: Value) {
    clinic.edit(patch).await;
    clinic.settled().await;
}

fn patient(spec: Value) -> Value {
    json!({"spec": {"services": {"patient": spec}}})
}

fn gateway(spec: Value) -> Value {
    json!({"spec": {"gateway": spec}})
}

#[tokio::test]
async fn a_mistake_that_only_the_operator_can_know_is_told_and_harms_nothing() {
    let clinic = Clinic::new("blocked").await.small().ready().await;
    let traffic = Traffic::start(&clinic.admin().await, "/api/patients");

    let env = json!({"env": [{"name": "TOKEN", "secret": {"secret": "vault", "key": "token"}}]});
    is_told(&clinic, patient(env), reason::SECRET_MISSING, "spec.services.patient.env[0]").await;
    let secret = |key: &str| {
        format!("{{apiVersion: v1, kind: Secret, metadata: {{name: vault}}, stringData: {{{key}: x}}}}")
    };
    clinic.namespace().apply(&secret("other"));
    let condition = clinic.says(kind::READY, reason::SECRET_KEY_MISSING, SOON).await;
    assert!(condition.message.contains("token"), "{}", condition.message);
    // Put right in the Secret, and not in the resource: that is noticed too.
    clinic.namespace().apply(&secret("token"));
    clinic.settled().await;

    let ingress = json!({"ingress": {"host": "clinic.example.org", "className": "nowhere"}});
    is_told(&clinic, gateway(ingress), reason::INGRESS_CLASS_MISSING, "nowhere").await;
    put_right(&clinic, gateway(json!({"ingress": null}))).await;

    let quota = "{apiVersion: v1, kind: ResourceQuota, metadata: {name: tight}, spec: {hard: {pods: \"1\"}}}";
    clinic.namespace().apply(quota);
    let env = json!({"env": [{"name": "TEAM", "value": "front-desk"}]});
    is_told(&clinic, patient(env), reason::QUOTA_EXCEEDED, "tight").await;
    clinic.namespace().kubectl(&["delete", "resourcequota", "tight"]);
    clinic.settled().await;

    traffic.stop_unharmed();
}

#[tokio::test]
async fn a_first_version_that_there_is_not_says_which_image_is_missing() {
    let clinic = Clinic::new("unpullable").await.small().with(json!({"version": "0.9.9"})).apply();
    let condition = clinic.says(kind::READY, reason::IMAGE_UNAVAILABLE, Duration::from_mins(2)).await;
    assert!(condition.message.contains(":0.9.9"), "{}", condition.message);
    put_right(&clinic, json!({"spec": {"version": cluster_tests::VERSION}})).await;
}

#[tokio::test]
async fn a_database_that_refuses_is_told_and_is_nobody_elses_trouble() {
    let clinic = Clinic::new("refusing").await.small().ready().await;
    let server = clinic.object("postgres");
    let certificates: k8s_openapi::api::core::v1::Secret =
        clinic.api().get(&clinic.object("database-tls")).await.unwrap();
    let authority = String::from_utf8(certificates.data.unwrap()["ca.crt"].0.clone()).unwrap();
    let url = format!(
        "postgresql://intruder:guess@{server}.{}:5432/postgres?sslmode=verify-full",
        clinic.namespace().name
    );
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "elsewhere"},
        "stringData": {"url": url, "ca.crt": authority},
    });
    clinic.namespace().apply(&secret.to_string());
    let external = json!({"database": {"managed": null, "external": {"url": {"secret": "elsewhere", "key": "url"}, "image": format!("{REGISTRY}/postgres:15")}}});
    let refused = clinic.operator.stack("refused").small().with(external).apply();
    let condition = refused.says(kind::READY, reason::DATABASE_REFUSES, Duration::from_mins(2)).await;
    assert!(condition.message.contains("intruder"), "{}", condition.message);
    assert_eq!(clinic.condition(kind::READY).await.unwrap().status, ConditionStatus::True);
}
