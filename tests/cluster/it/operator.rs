//! The operator's own life: a leader that is cut off without a word, and who takes over.

use std::time::{Duration, Instant};

use cluster_tests::{CutOff, Operator, eventually};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;

/// A Lease runs out after 15 s and is looked at every 2 s; here other tests run beside.
const TAKEN_OVER_IN: Duration = Duration::from_secs(30);
/// A leader gives up after 10 s without a renewal, and is started again.
const ENDED_IN: Duration = Duration::from_secs(40);
const SOON: Duration = Duration::from_secs(10);
const LABEL: &str = "app.kubernetes.io/part-of";

fn restarts(pod: &Pod) -> i32 {
    let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
    statuses.into_iter().flatten().map(|status| status.restart_count).sum()
}

/// Who leads, by the Lease: the pod's name is how its identity begins.
async fn leader(operator: &Operator, leases: &Api<Lease>) -> Pod {
    eventually("a leader", SOON, async || {
        let lease = leases.get("healthcare-operator").await.map_err(|error| error.to_string())?;
        let holder = lease.spec.and_then(|spec| spec.holder_identity).unwrap_or_default();
        let pods = operator.pods().await;
        pods.into_iter().find(|pod| holder.starts_with(&pod.name_any())).ok_or(holder)
    })
    .await
}

#[tokio::test]
async fn a_leader_whose_connections_go_silent_ends_and_another_leads() {
    let operator = Operator::install_with("cut-off", &["--set=replicas=2"]).await;
    let clinic = operator.stack("clinic").small().ready().await;
    let first = leader(&operator, &clinic.api()).await;
    let address = first.status.as_ref().and_then(|status| status.pod_ip.clone()).unwrap();

    let cut = CutOff::of_pod(&address);
    let begun = Instant::now();
    let second = eventually("another leader", TAKEN_OVER_IN, async || {
        let now = leader(&operator, &clinic.api()).await;
        if now.name_any() == first.name_any() { Err("the old one's Lease stands") } else { Ok(now) }
    })
    .await;
    println!("another one leads after {:?}", begun.elapsed());

    // It works, while the first one cannot say a word.
    let services: Api<Service> = clinic.api();
    let name = clinic.object("patient-service");
    let patch = json!({"metadata": {"labels": {LABEL: "somebody"}}});
    services.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    eventually("the repair", SOON, async || {
        let labels = services.get(&name).await.map_err(|error| error.to_string())?.labels().clone();
        if labels[LABEL] == "somebody" { Err("still somebody's".to_owned()) } else { Ok(()) }
    })
    .await;

    // The process that led has ended rather than wait for its connections, and said why.
    let pods: Api<Pod> = clinic.api();
    eventually("the end of the first leader", ENDED_IN, async || {
        let now = pods.get(&first.name_any()).await.map_err(|error| error.to_string())?;
        if restarts(&now) > restarts(&first) { Ok(()) } else { Err("it still runs".to_owned()) }
    })
    .await;
    let log = clinic.namespace().kubectl(&["logs", "--previous", &first.name_any()]);
    assert!(log.contains("the lease healthcare-operator is lost"), "{log}");

    // Back among the living it stands by.
    drop(cut);
    operator.ready().await;
    assert_eq!(leader(&operator, &clinic.api()).await.name_any(), second.name_any());
    assert_eq!(operator.metric("healthcare_leads").await, 1, "replicas that say that they lead");
}
