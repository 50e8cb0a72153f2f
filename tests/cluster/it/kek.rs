//! Another key-encryption key under load: what was sealed opens, what is sealed meanwhile does too, no request fails, and in the end the old
//! key is nowhere needed. The keys of services that are switched off are not forgotten.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use blackbox::Client;
use cluster_tests::{Clinic, Traffic, eventually};
use contracts::kek::kek_id;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::json;
use stack::names;

/// Three rollouts, a minute for those on their way out, and seven Jobs.
const ROTATED_IN: Duration = Duration::from_mins(8);
const SEVEN: usize = 7;
/// With the readers, below what the gateway takes from one address.
const WRITE_EVERY: Duration = Duration::from_millis(150);

const PATIENT: &str = r#"{"name": "Maria Beispiel", "dob": "1980-02-29",
    "contactInfo": {"phone": "+4930123456", "email": "maria@example.org"},
    "medicalHistory": {"allergies": ["Penicillin"], "chronicConditions": []}}"#;

#[tokio::test]
async fn another_key_encryption_key_takes_over_without_a_failed_request_and_without_a_lost_patient() {
    let two = json!({"services": {"patient": {"replicas": 2}, "auth": {"replicas": 2}}, "gateway": {"replicas": 2}});
    let clinic = Clinic::new("kek").await.small().with(two).ready().await;
    let admin = clinic.admin().await;
    let old = register(&admin).await.unwrap();
    let first = held(&clinic).await;
    assert_eq!(keys_in_the_database(&clinic).await, first["current"]);
    let traffic = Traffic::start(&admin, &old);
    let stop = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn(register_until(admin.clone(), Arc::clone(&stop)));

    clinic.edit(json!({"metadata": {"annotations": {"healthcarestack.dev/rotate-kek": "1"}}})).await;
    // The operator may be faster than the first look.
    let mut seen = vec![first.keys().cloned().collect::<Vec<_>>()];
    let mut jobs_at_most = 0;
    eventually("a new key alone", ROTATED_IN, async || {
        let held = held(&clinic).await;
        let names: Vec<_> = held.keys().cloned().collect();
        if seen.last() != Some(&names) {
            seen.push(names);
        }
        jobs_at_most = jobs_at_most.max(rewrap_jobs(&clinic).await);
        if held.len() == 1 && held != first { Ok(()) } else { Err(format!("{held:?}\n{}", clinic.story())) }
    })
    .await;
    assert_eq!(
        seen,
        [vec!["current"], vec!["current", "next"], vec!["current", "previous"], vec!["current"]]
    );
    assert_eq!(jobs_at_most, SEVEN);
    clinic.settled().await;

    stop.store(true, Ordering::Relaxed);
    let patients = writer.await.unwrap();
    let read = traffic.stop_unharmed();
    println!(
        "{} reads, the longest {:?}; {} patients registered",
        read.answered,
        read.longest,
        patients.len()
    );
    // So many that some fell into each step; how many more there are is for the machine to say.
    assert!(patients.len() > 30, "{}", patients.len());

    // Pods that have never seen the old key read what was sealed before, and while it went.
    let second = held(&clinic).await;
    assert_eq!(keys_in_the_database(&clinic).await, second["current"]);
    let before = clinic.running().await;
    clinic.kill("patient-service").await;
    eventually("other pods of the patient service", Duration::from_mins(2), async || {
        let now = clinic.pods("patient-service").await;
        let is_old = |pod: &Pod| before.iter().any(|(name, _)| *name == pod.name_any());
        if now.len() == 2 && !now.iter().any(is_old) { Ok(()) } else { Err(now.len()) }
    })
    .await;
    clinic.settled().await;
    // Each of the gateways hears of the other pods in its own time.
    for patient in patients.iter().chain([&old]) {
        eventually("an answer", Duration::from_mins(1), async || {
            match admin.call("GET", patient, None).await.status {
                200 => Ok(()),
                other => Err(other),
            }
        })
        .await;
    }
    // Nothing is left of it, nor of the services that are switched off.
    eventually("no Job and no settings of a service that is off", Duration::from_mins(1), async || {
        let off =
            clinic.api::<ConfigMap>().get_opt(&clinic.object("billing-service")).await.unwrap().is_some();
        let jobs = rewrap_jobs(&clinic).await;
        if jobs == 0 && !off { Ok(()) } else { Err(format!("{jobs} Jobs, settings of billing: {off}")) }
    })
    .await;
}

/// The path of a new patient.
async fn register(caller: &Client) -> Result<String, String> {
    let reply = caller
        .try_call("POST", "/api/patients", Some(PATIENT))
        .await
        .map_err(|error| format!("{error:?}"))?;
    if reply.status != 201 {
        return Err(format!("{}: {}", reply.status, reply.text));
    }
    Ok(format!("/api/patients/{}", reply.json()["patientId"].as_str().unwrap()))
}

/// Each has a key of its own. None may be refused.
async fn register_until(caller: Client, stop: Arc<AtomicBool>) -> Vec<String> {
    let caller = caller.on_connections_of_its_own();
    let mut patients = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        patients.push(register(&caller).await.unwrap());
        tokio::time::sleep(WRITE_EVERY).await;
    }
    patients
}

/// The key-encryption keys in the Secret, by what rows call them.
async fn held(clinic: &Clinic) -> BTreeMap<String, String> {
    let secret: Secret = clinic.api().get(&clinic.object(names::KEK)).await.unwrap();
    let id =
        |value: Vec<u8>| kek_id(data_encoding::BASE64.decode(&value).unwrap().as_slice().try_into().unwrap());
    secret.data.unwrap().into_iter().map(|(key, value)| (key, id(value.0))).collect()
}

/// Those that keys of any service are wrapped under.
async fn keys_in_the_database(clinic: &Clinic) -> String {
    let superuser: Secret = clinic.api().get(&clinic.object(names::POSTGRES)).await.unwrap();
    let password = String::from_utf8(superuser.data.unwrap()["password"].0.clone()).unwrap();
    let password = format!("PGPASSWORD={password}");
    let pod = format!("{}-0", clinic.object(names::POSTGRES));
    let of = |service: &str| format!("select kek_id from {service}_keys.data_key where kek_id is not null");
    let sql = format!("select distinct kek_id from ({} union {}) as keys", of("patient"), of("auth"));
    let psql =
        ["psql", "-h", "/var/run/postgresql", "-U", "postgres", "-d", "healthcare", "-XAt", "-c", &sql];
    let command = ["exec", &pod, "--", "env", &password].into_iter().chain(psql).collect::<Vec<_>>();
    clinic.namespace().kubectl(&command).trim().to_owned()
}

async fn rewrap_jobs(clinic: &Clinic) -> usize {
    let jobs = clinic.api::<Job>().list(&ListParams::default()).await.unwrap();
    jobs.items.iter().filter(|job| job.metadata.name.as_ref().unwrap().contains("-rewrap-")).count()
}
