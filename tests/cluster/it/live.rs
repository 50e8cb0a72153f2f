//! Edits of a running stack, under traffic: what the gateway is told is live within a second with no restart; what pods are made of comes up
//! beside what runs; and no request fails in either case.

use std::time::{Duration, Instant};

use blackbox::Client;
use cluster_tests::{Clinic, Traffic, eventually};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use stack::condition::{kind, reason};

/// What is promised is a second; here other tests run beside.
const SOON: Duration = Duration::from_secs(10);
const PROMISED: Duration = Duration::from_secs(1);
/// Long enough for the operator to have done something, if it would.
const A_WHILE: Duration = Duration::from_secs(3);
const PASSWORD: &str = "a password that no list has";

/// Somebody at the front desk.
async fn receptionist(clinic: &Clinic, admin: &Client) -> Client {
    let user = json!({"username": "desk", "password": PASSWORD, "roles": ["receptionist"]}).to_string();
    let _ = admin.call("POST", "/api/auth/users", Some(&user)).await.expect(201);
    clinic.anybody().await.sign_in("desk", PASSWORD).await
}

/// Edits the gateway's routes, and how long it takes until requests are answered so.
async fn live_after(
    clinic: &Clinic,
    routes: Value,
    mut status: impl AsyncFnMut() -> u16,
    wanted: u16,
) -> Duration {
    assert_ne!(status().await, wanted, "before {routes}");
    clinic.edit(json!({"spec": {"gateway": {"routes": routes}}})).await;
    let begun = Instant::now();
    eventually(&format!("{wanted} after {routes}"), SOON, async || {
        let now = status().await;
        if now == wanted { Ok(()) } else { Err(now) }
    })
    .await;
    begun.elapsed()
}

#[tokio::test]
async fn routes_limits_and_timeouts_are_live_within_a_second_and_nothing_restarts() {
    let clinic = Clinic::new("routes").await.small().with(json!({"gateway": {"replicas": 2}})).ready().await;
    let admin = clinic.admin().await;
    let desk = receptionist(&clinic, &admin).await;
    let (running, traffic) = (clinic.running().await, Traffic::start(&admin, "/api/patients"));

    let get = async || desk.call("GET", "/api/patients", None).await.status;
    let login = async || {
        let body = json!({"username": "desk", "password": PASSWORD}).to_string();
        desk.anonymous().call("POST", "/api/auth/login", Some(&body)).await.status
    };
    let mut took = Vec::new();
    // A route that asks for more than the operation does, and is taken out again.
    let strict = json!([{"path": "/api/patients", "service": "patient", "permissions": ["users:write"]}]);
    took.push(live_after(&clinic, strict, get, 403).await);
    took.push(live_after(&clinic, json!([]), get, 200).await);
    let limited = json!([{"path": "/api/auth/me", "service": "auth", "rateLimits": {"perUser": {"requestsPerSecond": 1, "burst": 1}}}]);
    let me = async || desk.call("GET", "/api/auth/me", None).await.status;
    took.push(live_after(&clinic, limited, me, 429).await);
    // A password takes longer than this to be looked at.
    let hurried = json!([{"path": "/api/auth/login", "service": "auth", "timeout": "10ms"}]);
    took.push(live_after(&clinic, hurried, login, 504).await);
    took.push(live_after(&clinic, json!([]), login, 200).await);

    traffic.stop_unharmed();
    assert_eq!(clinic.running().await, running, "something restarted");
    println!("{took:?}");
    took.sort();
    assert!(took[took.len() / 2] <= PROMISED, "{took:?}");
}

#[tokio::test]
async fn what_pods_are_made_of_is_changed_under_traffic() {
    let clinic = Clinic::new("edits").await.small().ready().await;
    let admin = clinic.admin().await;
    let traffic = Traffic::start(&admin, "/api/patients");
    let deployments: Api<Deployment> = clinic.api();
    let patient = clinic.object("patient-service");
    let edit = async |spec: Value| {
        clinic.edit(json!({"spec": {"services": {"patient": spec}}})).await;
        clinic.settled().await;
    };
    let container = async || {
        let pod = deployments.get(&patient).await.unwrap().spec.unwrap().template.spec.unwrap();
        serde_json::to_value(&pod.containers[0]).unwrap()
    };
    let others = clinic.running().await;

    edit(json!({
        "env": [{"name": "TEAM", "value": "front-desk"}],
        "resources": {"requests": {"cpu": "15m", "memory": "48Mi"}},
        "probes": {"readiness": {"period": "3s"}},
    }))
    .await;
    let now = container().await;
    assert!(
        now["env"].as_array().unwrap().contains(&json!({"name": "TEAM", "value": "front-desk"})),
        "{now}"
    );
    assert_eq!(now["resources"]["requests"], json!({"cpu": "15m", "memory": "48Mi"}));
    assert_eq!(now["readinessProbe"]["periodSeconds"], 3);
    let is_other = |pod: &&(String, i32)| !pod.0.contains("patient-service");
    let after = clinic.running().await;
    assert!(after.iter().filter(is_other).eq(others.iter().filter(is_other)), "{others:?} {after:?}");

    edit(json!({"replicas": 2})).await;
    assert_eq!(deployments.get(&patient).await.unwrap().status.unwrap().available_replicas, Some(2));
    traffic.stop_unharmed();
}

#[tokio::test]
async fn the_load_may_decide_how_many_pods_there_are_and_the_operator_does_not_interfere() {
    let two = json!({"services": {"patient": {"replicas": 2}}});
    let clinic = Clinic::new("scale").await.small().with(two).ready().await;
    let deployments: Api<Deployment> = clinic.api();
    let scalers: Api<HorizontalPodAutoscaler> = clinic.api();
    let name = clinic.object("patient-service");
    let replicas = async || deployments.get(&name).await.unwrap().spec.unwrap().replicas;
    let stays = async |wanted: i32| {
        let begun = Instant::now();
        while begun.elapsed() < A_WHILE {
            assert_eq!(replicas().await, Some(wanted), "{}", clinic.story());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let edit = async |spec: Value| clinic.edit(json!({"spec": {"services": {"patient": spec}}})).await;

    edit(json!({"replicas": null, "autoscaling": {"min": 2, "max": 4}})).await;
    stays(2).await;
    assert_eq!(scalers.get(&name).await.unwrap().spec.unwrap().max_replicas, 4);
    // As the autoscaler does when there is load.
    let more = Patch::Merge(json!({"spec": {"replicas": 3}}));
    deployments.patch_scale(&name, &PatchParams::default(), &more).await.unwrap();
    stays(3).await;
    clinic.settled().await;

    edit(json!({"autoscaling": null, "replicas": 2})).await;
    eventually("two pods again", SOON, async || {
        let now = replicas().await;
        if now == Some(2) { Ok(()) } else { Err(format!("{now:?}")) }
    })
    .await;
    eventually("no autoscaler", SOON, async || {
        let scaler = scalers.get_opt(&name).await.map_err(|error| error.to_string())?;
        scaler.map_or(Ok(()), |_| Err("it is still there".to_owned()))
    })
    .await;
    clinic.settled().await;
}

#[tokio::test]
async fn a_paused_stack_is_left_as_it_is_and_a_service_can_be_switched_off_and_on() {
    let clinic = Clinic::new("paused").await.small().ready().await;
    let admin = clinic.admin().await;
    let patient = json!({"name": "Maria Beispiel", "dob": "1980-02-29", "contactInfo": {"phone": "+4930123456", "email": "maria@example.org"},
        "medicalHistory": {"allergies": ["Penicillin"], "chronicConditions": []}});
    let registered = admin.call("POST", "/api/patients", Some(&patient.to_string())).await.expect(201).json();
    let path = format!("/api/patients/{}", registered["patientId"].as_str().unwrap());
    let deployments: Api<Deployment> = clinic.api();
    let name = clinic.object("patient-service");
    let replicas = async || deployments.get(&name).await.unwrap().spec.unwrap().replicas;

    clinic.edit(json!({"spec": {"paused": true}})).await;
    clinic.says(kind::PROGRESSING, reason::PAUSED, SOON).await;
    let two = Patch::Merge(json!({"spec": {"replicas": 2}}));
    deployments.patch(&name, &PatchParams::default(), &two).await.unwrap();
    clinic.edit(json!({"spec": {"services": {"patient": {"env": [{"name": "TEAM", "value": "x"}]}}}})).await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(replicas().await, Some(2), "the operator did not leave it alone");
    let _ = admin.call("GET", &path, None).await.expect(200);
    clinic.edit(json!({"spec": {"paused": false}})).await;
    eventually("one pod again", SOON, async || if replicas().await == Some(1) { Ok(()) } else { Err("two") })
        .await;
    clinic.settled().await;

    clinic.edit(json!({"spec": {"services": {"patient": {"enabled": false}}}})).await;
    clinic.settled().await;
    assert!(deployments.get_opt(&name).await.unwrap().is_none());
    let _ = admin.call("GET", &path, None).await.expect(404);
    clinic.edit(json!({"spec": {"services": {"patient": {"enabled": true}}}})).await;
    clinic.settled().await;
    assert_eq!(admin.call("GET", &path, None).await.expect(200).json()["name"], "Maria Beispiel");
}
