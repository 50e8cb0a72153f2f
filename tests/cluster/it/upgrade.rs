//! A new operator takes over while people work: a stack that names its version does not notice, and one that names none is upgraded with it,
//! migrations first, then services, then the gateway.

use std::time::Duration;

use cluster_tests::{Clinic, Cluster, Operator, REGISTRY, Traffic, eventually};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::json;

use crate::rest::versions;

const NEXT: &str = "0.2.0";
const UPGRADED_IN: Duration = Duration::from_mins(2);

#[tokio::test]
async fn a_new_operator_restarts_nothing_but_what_asks_for_its_version() {
    let operator = Operator::install("upgrade").await;
    let pinned = operator.stack("pinned").small().apply();
    let following = operator.stack("following").small().with(json!({"version": null})).apply();
    for image in ["healthcare-operator", "auth-service", "patient-service", "api-gateway"] {
        Cluster::get().import_as(image, &format!("{REGISTRY}/{image}:{NEXT}"));
    }
    pinned.settled().await;
    following.settled().await;
    let (running, written) = (pinned.running().await, versions(&pinned).await);
    let traffic = [
        Traffic::start(&pinned.admin().await, "/api/patients"),
        Traffic::start(&following.admin().await, "/api/patients"),
    ];

    // Another image, and other values.
    operator.upgrade(&[&format!("--set=image.tag={NEXT}"), "--set=log.level=debug", "--set=replicas=2"]);
    operator.ready().await;
    eventually("the version of the new operator", UPGRADED_IN, async || {
        let now = following.resource().await.status.unwrap_or_default().last_healthy_version;
        if now.as_deref() == Some(NEXT) { Ok(()) } else { Err(format!("{now:?}\n{}", following.story())) }
    })
    .await;
    following.settled().await;
    in_order(&following).await;

    let seen = traffic.map(Traffic::stop_unharmed);
    println!("requests meanwhile: {:?}", seen.map(|seen| (seen.answered, seen.longest)));
    assert_eq!(pinned.running().await, running, "{}", pinned.story());
    assert_eq!(
        versions(&pinned).await,
        written,
        "the new operator wrote to a stack that had nothing to do with it"
    );
}

/// Every migration was complete before a service of the new version was made, and every service ready before the gateway was.
async fn in_order(clinic: &Clinic) {
    let ours = ListParams::default().labels(&format!("healthcarestack.dev/stack={}", clinic.name));
    let jobs = clinic.api::<Job>().list(&ours).await.unwrap().items;
    let migrated =
        jobs.iter().filter(|job| is_new(job.spec.as_ref().and_then(|spec| spec.template.spec.as_ref())));
    let migrated: Vec<_> = migrated.map(|job| job.status.clone().unwrap().completion_time.unwrap()).collect();
    assert_eq!(migrated.len(), 2, "one for each service");
    let mut services = clinic.pods("patient-service").await;
    services.extend(clinic.pods("auth-service").await);
    services.retain(|pod| is_new(pod.spec.as_ref()));
    let gateways = clinic.pods("api-gateway").await;
    assert!(
        services.len() == 2 && gateways.iter().any(|pod| is_new(pod.spec.as_ref())),
        "{}",
        clinic.story()
    );
    assert!(
        migrated.iter().max() <= services.iter().map(made).min().as_ref(),
        "a service came before a migration's end"
    );
    let made = gateways.iter().filter(|pod| is_new(pod.spec.as_ref())).map(made).min();
    assert!(services.iter().map(ready).max() <= made, "the gateway came before a service");
}

fn is_new(spec: Option<&k8s_openapi::api::core::v1::PodSpec>) -> bool {
    let images =
        spec.into_iter().flat_map(|spec| &spec.containers).filter_map(|container| container.image.as_ref());
    images.into_iter().any(|image| image.ends_with(&format!(":{NEXT}")))
}

fn made(pod: &Pod) -> Time {
    pod.creation_timestamp().unwrap()
}

fn ready(pod: &Pod) -> Time {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let ready =
        conditions.into_iter().find(|condition| condition.type_ == "Ready" && condition.status == "True");
    ready.unwrap().last_transition_time.clone().unwrap()
}
