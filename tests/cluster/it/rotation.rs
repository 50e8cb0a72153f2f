//! Keys, identities, database logins and the database's certificate change while everything runs, and a Secret of the user's that changes
//! reaches the pods that read it.

use std::collections::BTreeMap;
use std::time::Duration;

use cluster_tests::{Clinic, Traffic, eventually};
use k8s_openapi::api::core::v1::Secret;
use serde_json::json;
use stack::names;

/// Each step waits for a rollout of what reads the key.
const ROTATED_IN: Duration = Duration::from_mins(4);

#[tokio::test]
async fn keys_logins_and_certificates_change_without_a_failed_request() {
    let two = json!({"services": {"patient": {"replicas": 2}, "auth": {"replicas": 2}}, "gateway": {"replicas": 2}});
    let clinic = Clinic::new("rotation").await.small().with(two).ready().await;
    let admin = clinic.admin().await;
    let before = secrets(&clinic).await;
    let traffic = Traffic::start(&admin, "/api/patients");

    let kinds = ["--kind=signing-keys", "--kind=identities", "--kind=database-roles"];
    let told = clinic.namespace().healthcare(&[&["rotate-keys", "clinic"], &kinds[..]].concat()).expect(0);
    assert!(
        told.out.starts_with("Asked for new signing-keys, identities, database-roles.\n"),
        "{}",
        told.out
    );
    let rotated = ["signing-keys", "patient-service-identity", "api-gateway-identity", "database-patient"];
    eventually("new keys in use", ROTATED_IN, async || {
        let now = secrets(&clinic).await;
        let waiting: Vec<_> = rotated
            .iter()
            .filter(|part| {
                stage(&now[&clinic.object(part)]).is_some_and(|stage| !stage.starts_with("retiring"))
            })
            .collect();
        let same: Vec<_> = rotated
            .iter()
            .filter(|part| present(&now[&clinic.object(part)]) == present(&before[&clinic.object(part)]))
            .collect();
        if waiting.is_empty() && same.is_empty() {
            Ok(())
        } else {
            Err(format!("{waiting:?} are under way, {same:?} are as before\n{}", clinic.story()))
        }
    })
    .await;
    clinic.settled().await;

    let seen = traffic.stop_unharmed();
    println!("{} requests, the longest {:?}", seen.answered, seen.longest);
    // Whoever was signed in still is; whoever signs in now has a token of the new key.
    let _ = admin.call("GET", "/api/patients", None).await.expect(200);
    let later = clinic.admin().await;
    let _ = later.call("GET", "/api/patients", None).await.expect(200);
    assert_ne!(key_id(admin.token().unwrap()), key_id(later.token().unwrap()));
    // What nobody asked for stays as it is.
    let after = secrets(&clinic).await;
    for part in [names::KEK, names::FIRST_ADMIN, "postgres"] {
        assert_eq!(before[&clinic.object(part)].data, after[&clinic.object(part)].data, "{part}");
    }
}

#[tokio::test]
async fn a_secret_of_the_users_that_changes_reaches_the_pods_that_read_it_and_no_others() {
    let operator = cluster_tests::Operator::install("smtp").await;
    let password = |text: &str| {
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "smtp"}, "stringData": {"password": text}}).to_string()
    };
    operator.namespace.apply(&password("first"));
    let mail = json!({
        "services": {"notification": {"enabled": true}},
        "integrations": {"mail": {"host": "smtp.example.org", "port": 587, "tls": "StartTls", "from": "clinic@example.org",
            "username": "clinic", "password": {"secret": "smtp", "key": "password"}}},
    });
    let clinic = operator.stack("clinic").small().with(mail).ready().await;
    let before = clinic.running().await;

    operator.namespace.apply(&password("second"));
    let is_notification = |(name, _): &(String, i32)| name.contains("notification-service");
    eventually("another pod of the notification service alone", Duration::from_mins(1), async || {
        let now = clinic.running().await;
        let (new, same): (Vec<_>, Vec<_>) = now.iter().partition(|pod| is_notification(pod));
        let others: Vec<_> = before.iter().filter(|pod| !is_notification(pod)).collect();
        assert_eq!(same, others, "others were replaced, too");
        if new.len() == 1 && !before.contains(new[0]) { Ok(()) } else { Err(format!("{new:?}")) }
    })
    .await;
    clinic.settled().await;
}

async fn secrets(clinic: &Clinic) -> BTreeMap<String, Secret> {
    let list = clinic.api::<Secret>().list(&kube::api::ListParams::default()).await.unwrap();
    list.items.into_iter().map(|secret| (secret.metadata.name.clone().unwrap(), secret)).collect()
}

/// Where its rotation stands, if one is under way.
fn stage(secret: &Secret) -> Option<&String> {
    secret.metadata.annotations.as_ref()?.get("healthcarestack.dev/rotation")
}

/// What pods read of it: the rest belongs to the rotation.
fn present(secret: &Secret) -> BTreeMap<&String, &Vec<u8>> {
    let data = secret.data.iter().flatten();
    data.filter(|(key, _)| !key.starts_with("next-") && !key.starts_with("previous-"))
        .map(|(key, value)| (key, &value.0))
        .collect()
}

/// The head of a token, which names the key that signed it.
fn key_id(token: &str) -> &str {
    token.split('.').next().unwrap()
}
