//! Secrets that somebody deletes: one that opens the data is not replaced by another; a password is made anew.

use std::time::Duration;

use cluster_tests::{Clinic, eventually};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use serde_json::json;
use stack::condition::{kind, reason};
use stack::{names, spec::ConditionStatus};

const SOON: Duration = Duration::from_mins(1);

#[tokio::test]
async fn a_lost_key_is_put_back_by_a_person_and_a_lost_password_is_made_anew() {
    let clinic = Clinic::new("keys").await.small().ready().await;
    let admin = clinic.admin().await;
    let patient = json!({"name": "Maria Beispiel", "dob": "1980-02-29", "contactInfo": {"phone": "+4930123456", "email": "maria@example.org"},
        "medicalHistory": {"allergies": ["Penicillin"], "chronicConditions": []}});
    let registered = admin.call("POST", "/api/patients", Some(&patient.to_string())).await.expect(201).json();
    let path = format!("/api/patients/{}", registered["patientId"].as_str().unwrap());
    let secrets: Api<Secret> = clinic.api();

    let kek = clinic.object(names::KEK);
    let mut copy = secrets.get(&kek).await.unwrap();
    secrets.delete(&kek, &DeleteParams::default()).await.unwrap();
    let condition = clinic.says(kind::READY, reason::KEK_MISSING, SOON).await;
    assert_eq!(condition.status, ConditionStatus::False);
    assert!(condition.message.contains(&kek), "{}", condition.message);
    assert!(secrets.get_opt(&kek).await.unwrap().is_none(), "another key was made");
    let _ = admin.call("GET", &path, None).await.expect(200);
    copy.metadata.resource_version = None;
    secrets.create(&PostParams::default(), &copy).await.unwrap();
    clinic.settled().await;

    let superuser = clinic.object(names::POSTGRES);
    let before = secrets.get(&superuser).await.unwrap();
    secrets.delete(&superuser, &DeleteParams::default()).await.unwrap();
    eventually("another password", SOON, async || {
        let now = secrets.get_opt(&superuser).await.map_err(|error| error.to_string())?;
        now.filter(|now| now.data != before.data).map(drop).ok_or_else(|| clinic.story())
    })
    .await;
    clinic.settled().await;
    assert_eq!(admin.call("GET", &path, None).await.expect(200).json()["name"], "Maria Beispiel");
}
