//! Keys and passwords change under traffic: no request fails, and a token from before is good until it ends.

use std::time::Duration;

use cluster_tests::{Clinic, Traffic, eventually};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt};
use serde_json::json;

/// Each of its three steps replaces pods.
const IN_TIME: Duration = Duration::from_mins(4);
const STAGE: &str = "healthcarestack.dev/rotation";

#[tokio::test]
async fn keys_and_passwords_are_replaced_under_traffic() {
    let clinic = Clinic::new("rotation").await.small().with(json!({"gateway": {"replicas": 2}})).ready().await;
    // Signed in before, and never again.
    let admin = clinic.admin().await;
    let secrets: Api<Secret> = clinic.api();
    let read = async |part: &str| secrets.get(&clinic.object(part)).await.unwrap();
    let parts = ["signing-keys", "patient-service-identity", "database-patient-service"];
    let kept = ["kek", "first-admin", "postgres"];
    let mut before = Vec::new();
    for part in parts.iter().chain(&kept) {
        before.push(read(part).await.data);
    }
    let postgres = clinic.pods("postgres").await;
    let traffic = Traffic::start(&admin, "/api/patients");

    let asked = json!({
        "healthcarestack.dev/rotate-signing-keys": "once",
        "healthcarestack.dev/rotate-identities": "once",
        "healthcarestack.dev/rotate-database-roles": "once",
    });
    clinic.edit(json!({"metadata": {"annotations": asked}})).await;
    // The first two wait for what was signed with the old keys to end; of passwords nothing is left.
    for (part, wanted) in parts.iter().zip(["retiring", "retiring", ""]) {
        eventually(&format!("rotation of {part}"), IN_TIME, async || {
            let secret = read(part).await;
            let stage = secret.annotations().get(STAGE).cloned().unwrap_or_default();
            let is_asked = secret.annotations().get("healthcarestack.dev/rotated").is_some();
            let is_there = if wanted.is_empty() { stage.is_empty() } else { stage.starts_with(wanted) };
            if is_asked && is_there { Ok(()) } else { Err(format!("{stage:?}\n{}", clinic.story())) }
        })
        .await;
    }
    clinic.settled().await;
    let seen = traffic.stop_unharmed();
    println!("{} answered, the longest in {:?}", seen.answered, seen.longest);

    let _ = admin.call("GET", "/api/patients", None).await.expect(200);
    let _ = clinic.admin().await.call("GET", "/api/patients", None).await.expect(200);
    for (part, before) in parts.iter().chain(&kept).zip(before) {
        assert_eq!(read(part).await.data == before, kept.contains(part), "{part}");
    }
    let names = |pods: &[k8s_openapi::api::core::v1::Pod]| -> Vec<_> {
        pods.iter().map(ResourceExt::name_any).collect()
    };
    assert_eq!(names(&clinic.pods("postgres").await), names(&postgres), "the database restarted");
}
