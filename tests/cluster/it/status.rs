//! What the status says of what the cluster has, or has not: volumes, addresses, images. It goes on by itself when that changes.

use std::time::Duration;

use cluster_tests::{Clinic, Cluster, Operator, REGISTRY, Traffic, eventually};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Service, ServiceAccount};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};
use stack::condition::{kind, reason};
use stack::names;
use stack::spec::ConditionStatus;

const SOON: Duration = Duration::from_mins(3);
/// Images are asked for again after five minutes at the latest.
const PULLED_IN: Duration = Duration::from_mins(7);
/// After a minute and a half that an image is missing, and some to notice.
const GIVEN_UP: Duration = Duration::from_mins(3);
/// Nobody has made it.
const NOWHERE: &str = "9.9.9";
/// Somebody makes it late.
const LATE: &str = "0.1.9";

#[tokio::test]
async fn a_volume_of_a_class_that_there_is_not_is_told_until_there_is_one() {
    let slow = json!({"database": {"managed": {"storage": {"size": "1Gi", "className": "status-slow"}}}});
    let clinic = Clinic::new("volume").await.small().with(slow).apply();
    for r#type in [kind::READY, kind::DATABASE_READY] {
        let condition = clinic.says(r#type, reason::VOLUME_PENDING, SOON).await;
        for words in [&clinic.object(names::POSTGRES), "status-slow", "not found"] {
            assert!(condition.message.contains(words), "{words}: {}", condition.message);
        }
    }
    let class = json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "status-slow"},
        "provisioner": "rancher.io/local-path", "volumeBindingMode": "WaitForFirstConsumer",
    });
    clinic.namespace().apply(&class.to_string());
    clinic.settled().await;
    Cluster::get().kubectl(&["delete", "storageclass", "status-slow"]);
}

/// As the controller of a load balancer does.
async fn give(clinic: &Clinic, addresses: Value) {
    let api: Api<Service> = clinic.api();
    let status = Patch::Merge(json!({"status": {"loadBalancer": {"ingress": addresses}}}));
    let gateway = clinic.object(names::API_GATEWAY);
    api.patch_status(&gateway, &PatchParams::default(), &status).await.unwrap();
}

#[tokio::test]
async fn a_gateway_is_ready_when_it_has_the_address_that_was_asked_for() {
    let clinic = Clinic::new("address").await.small().ready().await;
    let traffic = Traffic::start(&clinic.admin().await, "/api/patients");
    let running = clinic.running().await;
    clinic.edit(json!({"spec": {"gateway": {"service": {"type": "LoadBalancer"}}}})).await;
    for r#type in [kind::READY, kind::GATEWAY_READY] {
        let condition = clinic.says(r#type, reason::ADDRESS_PENDING, SOON).await;
        assert_eq!(condition.status, ConditionStatus::False);
    }

    let counts = async || {
        let count = async |name: &str| clinic.operator.metric(name).await;
        [count("healthcare_objects_written_total").await, count("healthcare_drift_repairs_total").await]
    };
    let before = counts().await;
    give(&clinic, json!([{"ip": "192.0.2.7"}])).await;
    clinic.settled().await;
    let status = clinic.resource().await.status.unwrap();
    assert_eq!(status.gateway_url.as_deref(), Some("http://192.0.2.7:8080"));
    give(&clinic, json!([])).await;
    clinic.says(kind::READY, reason::ADDRESS_PENDING, SOON).await;
    assert_eq!(counts().await, before, "a status that moves is no drift");

    clinic.edit(json!({"spec": {"gateway": {"service": null}}})).await;
    clinic.settled().await;
    assert_eq!(clinic.running().await, running);
    traffic.stop_unharmed();
}

#[tokio::test]
async fn an_account_that_somebody_deletes_takes_no_gateway_along() {
    let clinic = Clinic::new("account").await.small().ready().await;
    let admin = clinic.admin().await;
    let traffic = Traffic::start(&admin, "/api/patients");
    let before = clinic.running().await;
    let deployment: Deployment = clinic.api().get(&clinic.object(names::API_GATEWAY)).await.unwrap();
    assert_eq!(
        deployment.metadata.generation,
        Some(1),
        "it came up once, and nothing of it was changed since"
    );
    let accounts: Api<ServiceAccount> = clinic.api();
    accounts.delete(&clinic.object(names::API_GATEWAY), &DeleteParams::default()).await.unwrap();

    let is_gateway = |(name, _): &(String, i32)| name.contains(names::API_GATEWAY);
    eventually("another pod of the gateway alone", SOON, async || {
        let now = clinic.running().await;
        let (new, same): (Vec<_>, Vec<_>) = now.iter().partition(|pod| is_gateway(pod));
        assert!(
            same.into_iter().eq(before.iter().filter(|pod| !is_gateway(pod))),
            "others were replaced, too"
        );
        if new.len() == 1 && !before.contains(new[0]) { Ok(()) } else { Err(format!("{new:?}")) }
    })
    .await;
    clinic.settled().await;
    traffic.stop_unharmed();
    // Its token is good: it hears of what changes.
    let limited = json!([{"path": "/api/auth/me", "service": "auth", "rateLimits": {"perUser": {"requestsPerSecond": 1, "burst": 1}}}]);
    clinic.edit(json!({"spec": {"gateway": {"routes": limited}}})).await;
    eventually("the new limit", SOON, async || match admin.call("GET", "/api/auth/me", None).await.status {
        429 => Ok(()),
        other => Err(other),
    })
    .await;
}

#[tokio::test]
async fn a_version_whose_images_are_missing_is_given_up_soon() {
    let clinic = Clinic::new("missing").await.small().ready().await;
    let traffic = Traffic::start(&clinic.admin().await, "/api/patients");
    let running = clinic.running().await;
    clinic.edit(json!({"spec": {"version": NOWHERE}})).await;
    let condition = clinic.says(kind::DEGRADED, reason::ROLLED_BACK, GIVEN_UP).await;
    assert!(condition.message.contains(&format!(":{NOWHERE} cannot be pulled")), "{}", condition.message);
    assert_eq!(clinic.running().await, running);
    traffic.stop_unharmed();
}

#[tokio::test]
async fn a_first_install_whose_images_come_late_goes_on_by_itself() {
    let clinic = Clinic::new("late").await.small().with(json!({"version": LATE})).apply();
    let condition = clinic.says(kind::READY, reason::IMAGE_UNAVAILABLE, SOON).await;
    assert!(condition.message.contains(LATE), "{}", condition.message);
    eventually("an end of the waiting", GIVEN_UP, async || {
        let progressing = clinic.condition(kind::PROGRESSING).await.ok_or("nothing said")?;
        if progressing.status == ConditionStatus::False { Ok(()) } else { Err("it is still on its way") }
    })
    .await;
    for image in ["auth-service", "patient-service", "api-gateway"] {
        Cluster::get().import_as(image, &format!("{REGISTRY}/{image}:{LATE}"));
    }
    eventually("a stack that is ready", PULLED_IN, async || {
        let ready = clinic.condition(kind::READY).await.ok_or_else(|| "nothing said".to_owned())?;
        if ready.status == ConditionStatus::True { Ok(()) } else { Err(ready.message) }
    })
    .await;
}

/// Whoever deletes a namespace wants it gone.
#[tokio::test]
async fn a_namespace_goes_with_all_that_is_in_it() {
    let policy = |policy: &str| json!({"deletionPolicy": policy});
    let operator = Operator::install("ending").await;
    let (first, second) = (
        operator.stack("a").small().with(policy("Delete")),
        operator.stack("b").small().with(policy("Delete")),
    );
    let first = first.apply();
    first.settled().await;
    // The second is still coming up.
    let _second = second.apply();
    Cluster::get().kubectl(&["delete", "namespace", "ending", "--timeout=120s"]);
}

#[tokio::test]
async fn a_namespace_goes_that_an_operator_looks_after_from_elsewhere() {
    let stacks = cluster_tests::Namespace::restricted("looked-after");
    let operator = Operator::install_with("looking", &["--set=watch.namespaces={looked-after}"]).await;
    let draft = operator.stack("clinic").small().with(json!({"deletionPolicy": "Delete"}));
    stacks.apply(&draft.resource().to_string());
    stacks.kubectl(&["wait", "--for=condition=Ready", "--timeout=180s", "healthcarestack/clinic"]);
    Cluster::get().kubectl(&["delete", "namespace", "looked-after", "--timeout=120s"]);
}
