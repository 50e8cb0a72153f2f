//! Pods, the database and a node die while people work.

use std::time::Duration;

use cluster_tests::{Clinic, Cluster, Traffic, eventually};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::DeleteParams;
use serde_json::json;

/// A pod that is gone leaves the rotation, and another takes its place.
const HEALED_IN: Duration = Duration::from_mins(2);
/// How long requests may fail for after a crash: until the node's proxy and the gateway know that an endpoint is gone.
const OUTAGE_MAX: Duration = Duration::from_secs(5);
/// The same for the loss of a node, which this cluster notices in 20 seconds.
const NODE_OUTAGE_MAX: Duration = Duration::from_secs(45);

#[tokio::test]
async fn pods_that_end_take_no_request_with_them_and_one_that_crashes_few() {
    let two = json!({"services": {"patient": {"replicas": 2}, "auth": {"replicas": 2}}, "gateway": {"replicas": 2}});
    let clinic = Clinic::new("kill").await.small().with(two).ready().await;
    let admin = clinic.admin().await;

    // As a drain of a node ends them.
    let traffic = Traffic::start(&admin, "/api/patients");
    for part in ["patient-service", "auth-service", "api-gateway"] {
        end_one(&clinic, part, None).await;
        clinic.settled().await;
        healed(&clinic, part).await;
    }
    let _ = traffic.stop_unharmed();

    for part in ["patient-service", "api-gateway"] {
        let traffic = Traffic::start(&admin, "/api/patients");
        end_one(&clinic, part, Some(0)).await;
        healed(&clinic, part).await;
        tokio::time::sleep(OUTAGE_MAX).await;
        let seen = traffic.stop();
        let (first, last) = (seen.failed.first(), seen.failed.last());
        let outage = first.zip(last).map_or(Duration::ZERO, |(first, last)| last.0.saturating_sub(first.0));
        println!(
            "{part} crashed: {} answered, {} failed within {outage:?}",
            seen.answered,
            seen.failed.len()
        );
        assert!(outage <= OUTAGE_MAX, "{:?}", seen.failed);
    }

    // The database has one pod. Its end is an outage; it leaves nothing behind.
    clinic.kill("postgres").await;
    healed(&clinic, "postgres").await;
    eventually("an answer", HEALED_IN, async || {
        match admin.call("GET", "/api/patients", None).await.status {
            200 => Ok(()),
            other => Err(other),
        }
    })
    .await;
    clinic.settled().await;
}

#[tokio::test]
async fn a_node_that_is_lost_costs_seconds() {
    let anywhere = json!({"scheduling": {"tolerations": [{"key": "doomed", "operator": "Exists"}]}});
    let clinic = Clinic::new("node").await.small().with(anywhere).ready().await;
    let admin = clinic.admin().await;
    // What comes now is spread over both; the database stays on the first. Other tests keep off the second.
    Cluster::get().start_node(2, "doomed");
    let limits = json!({"perClient": {"requestsPerSecond": 100_000, "burst": 100_000}, "perUser": {"requestsPerSecond": 100_000, "burst": 100_000}});
    let two = json!({"services": {"patient": {"replicas": 2}, "auth": {"replicas": 2}}, "gateway": {"replicas": 2, "rateLimits": limits}});
    clinic.edit(json!({"spec": two})).await;
    clinic.settled().await;
    for part in ["patient-service", "api-gateway"] {
        let nodes: Vec<_> = clinic.pods(part).await.iter().map(node).collect();
        assert!(nodes.contains(&"node2".to_owned()), "{part} runs on {nodes:?}");
    }

    let traffic = Traffic::start(&admin, "/api/patients");
    // So that it dies with requests that it has taken and not answered.
    let sign_ins = Traffic::sign_ins(&clinic.anybody().await, &clinic.admin_password().await);
    tokio::time::sleep(Duration::from_secs(1)).await;
    Cluster::get().kill_node(2);
    eventually("two pods of each on the first node", HEALED_IN, async || {
        for part in ["patient-service", "auth-service", "api-gateway"] {
            let pods = clinic.pods(part).await;
            let ready = pods.iter().filter(|pod| node(pod) == "node1" && is_ready(pod)).count();
            if ready < 2 {
                return Err(format!("{part}: {ready}"));
            }
        }
        Ok(())
    })
    .await;
    tokio::time::sleep(OUTAGE_MAX).await;
    let signed_in = sign_ins.stop();
    let seen = traffic.stop();
    let (first, last) = (seen.failed.first(), seen.failed.last());
    let outage = first.zip(last).map_or(Duration::ZERO, |(first, last)| last.0.saturating_sub(first.0));
    println!("{} signed in; not: {:?}", signed_in.answered, signed_in.failed);
    println!(
        "{} answered, the longest in {:?}; failed within {outage:?}: {:?}",
        seen.answered, seen.longest, seen.failed
    );
    assert!(seen.answered > 0 && outage <= NODE_OUTAGE_MAX, "{:?}", seen.failed);
    let mut failed = seen.failed.iter().chain(&signed_in.failed);
    let waited = failed.find(|(_, why)| why.starts_with("504"));
    assert!(waited.is_none(), "the gateway waited for the lost node to the end: {waited:?}");
    // As its administrator would, so that what ran there can go.
    Cluster::get().kubectl(&["delete", "node", "node2"]);
    clinic.settled().await;
}

async fn end_one(clinic: &Clinic, part: &str, grace: Option<u32>) {
    let pod = clinic.pods(part).await.remove(0);
    let params = DeleteParams { grace_period_seconds: grace, ..DeleteParams::default() };
    clinic.api::<Pod>().delete(&pod.name_any(), &params).await.unwrap();
}

/// As many ready pods as before, and none on its way out.
async fn healed(clinic: &Clinic, part: &str) {
    let wanted = if part == "postgres" { 1 } else { 2 };
    eventually(&format!("{wanted} pods of {part}"), HEALED_IN, async || {
        let pods = clinic.pods(part).await;
        if pods.len() == wanted && pods.iter().all(is_ready) { Ok(()) } else { Err(pods.len()) }
    })
    .await;
}

fn node(pod: &Pod) -> String {
    pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).unwrap_or_default()
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    pod.metadata.deletion_timestamp.is_none()
        && conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}
