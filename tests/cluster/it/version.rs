//! Another version under traffic: migrations, then services, then the gateway. One that does not come up is given up for the last healthy
//! one, which goes on answering all along.

use std::time::Duration;

use cluster_tests::{Clinic, Cluster, REGISTRY, Traffic, eventually};
use serde_json::json;
use stack::condition::{kind, reason};
use stack::spec::ConditionStatus;

const NEXT: &str = "0.1.1";
/// A version of which the gateway is missing.
const PARTIAL: &str = "0.1.2";
/// A version that nobody has made.
const NOWHERE: &str = "9.9.9";
/// A pod that is not ready after two minutes is given up.
const GIVEN_UP: Duration = Duration::from_mins(4);
const SOON: Duration = Duration::from_mins(3);

/// Whether every pod of services and gateway runs this version.
fn all_run(clinic: &Clinic, version: &str) -> Result<(), String> {
    let deployments = ["get", "deployments", "--selector=healthcarestack.dev/stack=clinic"];
    let images = "--output=jsonpath={.items[*].spec.template.spec.containers[*].image}";
    let images = clinic.namespace().kubectl(&[&deployments[..], &[images]].concat());
    let all = images.split(' ').all(|image| image.ends_with(&format!(":{version}")));
    if all && images.split(' ').count() == 3 { Ok(()) } else { Err(images) }
}

#[tokio::test]
async fn a_version_comes_up_under_traffic_and_one_that_does_not_is_given_up() {
    let clinic = Clinic::new("version").await.small().ready().await;
    let images = [
        ("auth-service", NEXT),
        ("patient-service", NEXT),
        ("api-gateway", NEXT),
        ("auth-service", PARTIAL),
        ("patient-service", PARTIAL),
    ];
    for (image, tag) in images {
        Cluster::get().import_as(image, &format!("{REGISTRY}/{image}:{tag}"));
    }
    let traffic = Traffic::start(&clinic.admin().await, "/api/patients");

    clinic.edit(json!({"spec": {"version": NEXT}})).await;
    clinic.settled().await;
    all_run(&clinic, NEXT).unwrap();

    // Of a version that cannot even migrate, no pod runs.
    let running = clinic.running().await;
    clinic.edit(json!({"spec": {"version": NOWHERE}})).await;
    let condition = clinic.says(kind::DEGRADED, reason::IMAGE_UNAVAILABLE, SOON).await;
    assert!(condition.message.contains(NOWHERE), "{}", condition.message);
    assert_eq!(clinic.running().await, running);

    // One that gets as far as the gateway is taken back as a whole, and not tried again for as long as nobody changes anything.
    clinic.edit(json!({"spec": {"version": PARTIAL}})).await;
    let condition = clinic.says(kind::DEGRADED, reason::ROLLED_BACK, GIVEN_UP).await;
    assert_eq!(condition.status, ConditionStatus::True);
    assert!(condition.message.contains(PARTIAL), "{}", condition.message);
    eventually("the version before", SOON, async || all_run(&clinic, NEXT)).await;
    eventually("pods of that version alone", SOON, async || {
        let pods = clinic.running().await;
        if pods.len() == running.len() { Ok(()) } else { Err(format!("{pods:?}")) }
    })
    .await;
    let settled = clinic.running().await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(clinic.running().await, settled, "{}", clinic.story());
    let events = clinic.namespace().kubectl(&["get", "events", "--output=jsonpath={.items[*].reason}"]);
    assert!(events.contains(reason::ROLLED_BACK), "{events}");

    clinic.edit(json!({"spec": {"version": NEXT}})).await;
    clinic.settled().await;
    traffic.stop_unharmed();
}
