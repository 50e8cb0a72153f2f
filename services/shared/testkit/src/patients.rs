//! Patients, as other services' tests need them: registered with the real patient service, and erased.

use std::time::Duration;

use contracts::permission::Role;
use db::Subject;
use reqwest::Method;
use serde_json::Value;
use settings::ServiceName;

use crate::resource::Resource;
use crate::stack::{TestStack, Who};

/// The patient service's own.
pub const PATIENTS: Resource =
    Resource { service: ServiceName::PatientService, path: "/api/patients", id: "patientId" };

const ERASED_WITHIN: Duration = Duration::from_secs(10);

/// Registers a patient.
///
/// # Panics
/// If they are refused.
pub async fn register(stack: &TestStack, id: &str) {
    let body = format!(
        r#"{{"patientId": "{id}", "name": "John Doe", "dob": "1980-01-01", "contactInfo": {{"phone": "+1234567890"}}}}"#
    );
    let _ = PATIENTS.post(stack, &body).await.expect(201);
}

/// Deletes a patient in their service, and waits until another has been told and has destroyed its key.
///
/// # Panics
/// If that takes too long.
pub async fn erase(stack: &TestStack, id: &str, told: ServiceName) {
    let _ = PATIENTS.delete(stack, id).await.expect(200);
    let vault = stack.database(told).db().vault();
    let erased = async {
        while !vault.is_destroyed(&Subject::Patient(id)).await.expect("the keys answer") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(ERASED_WITHIN, erased).await.expect("the patient's key is destroyed");
}

/// Tells a service that a patient was erased, as the relay does; its answer is whether it was the first time.
///
/// # Panics
/// If it does not take it.
pub async fn tell_erased(stack: &TestStack, told: ServiceName, event: &str, patient: &str) -> bool {
    let body = format!(
        r#"{{"id": "{event}", "occurredAt": "2026-01-15T08:00:00Z", "type": "patient.erased.v1", "data": {{"patientId": "{patient}"}}}}"#
    );
    let path = "/internal/events";
    let reply = stack.call(told, Role::Service, reqwest::Method::POST, path, Some(&body)).await.expect(200);
    reply.json()["firstTime"].as_bool().expect("firstTime")
}

/// Has a patient record that they do not share something with somebody, for good: `who` and `what` are JSON. Its id.
///
/// # Panics
/// If it is refused.
pub async fn deny(stack: &TestStack, patient: &str, who: &str, what: &str) -> String {
    let (path, body) = (consents_of(patient), format!(r#"{{"who": {who}, "what": {what}}}"#));
    let recorded =
        PATIENTS.call(stack, Who::patient(patient), Method::POST, &path, Some(&body)).await.expect(201);
    recorded.json()["consentId"].as_str().expect("an id").to_owned()
}

/// Has them withdraw it.
///
/// # Panics
/// If that is refused.
pub async fn share_again(stack: &TestStack, patient: &str, consent: &str) {
    let path = format!("{}/{consent}", consents_of(patient));
    let _ = PATIENTS.call(stack, Who::patient(patient), Method::DELETE, &path, None).await.expect(200);
}

fn consents_of(patient: &str) -> String {
    format!("{}/{patient}/consents", PATIENTS.path)
}

/// Tells a service what the legal hold on a patient is now, as the relay does; with `erased`, that the patient was deleted under it.
///
/// # Panics
/// If it does not take it.
pub async fn tell_hold(stack: &TestStack, told: ServiceName, event: &str, hold: &str, erased: bool) {
    let kind = if erased { "patient.erased-under-hold.v1" } else { "hold.changed.v1" };
    let body = format!(
        r#"{{"id": "{event}", "occurredAt": "2026-01-15T08:00:00Z", "type": "{kind}", "data": {hold}}}"#
    );
    let _ = stack.call(told, Role::Service, Method::POST, "/internal/events", Some(&body)).await.expect(200);
}

/// What a service keeps of a deleted patient: of each thing its kind and id, and what it says.
///
/// # Panics
/// If it does not say.
pub async fn retained(stack: &TestStack, service: ServiceName, patient: &str) -> Vec<(String, Value)> {
    let path = format!("/internal/retained/{patient}");
    let page = stack.call(service, Role::Service, Method::GET, &path, None).await.expect(200).json();
    assert!(page["next"].is_null(), "{page}");
    let name = |item: &Value| format!("{}/{}", text(&item["kind"]), text(&item["id"]));
    let items = page["items"].as_array().cloned().unwrap_or_default();
    items.iter().map(|item| (name(item), item["data"].clone())).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}

/// Has a service take away what has had its time, or say what would go. Its answer.
///
/// # Panics
/// If it does not.
pub async fn carry_retention(stack: &TestStack, service: ServiceName, dry_run: bool) -> Value {
    let body = format!(r#"{{"dryRun": {dry_run}}}"#);
    let path = "/internal/retention";
    let answer = stack.call(service, Role::Service, Method::POST, path, Some(&body)).await.expect(200).json();
    assert_eq!(answer["status"], "Done", "{answer}");
    answer
}
