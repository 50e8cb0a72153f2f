//! The patient service over real sockets, on both engines.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says so by failing")]

mod bad_input;
mod care;
mod consents;
mod erasure;
mod export;
mod holds;
mod index;
mod life;
mod process;
mod search;
mod transit;
mod views;

use std::sync::Arc;

use contracts::permission::Role;
use reqwest::Method;
use settings::ServiceName;
use testkit::patients::PATIENTS;
use testkit::stack::Who;
use testkit::{Reply, TestStack};

/// The document's own patient.
pub(crate) const JOHN: &str = r#"{
  "name": "John Doe",
  "dob": "1980-01-01",
  "contactInfo": {"phone": "+1234567890", "email": "johndoe@example.com"},
  "medicalHistory": {"allergies": ["Penicillin"], "chronicConditions": ["Diabetes"]}
}"#;

/// The document's patient with an id.
pub(crate) fn john(id: &str) -> String {
    JOHN.replacen('{', &format!(r#"{{"patientId": "{id}","#), 1)
}

/// Registers the document's patient under an id.
pub(crate) async fn register(stack: &Arc<TestStack>, id: &str) -> Reply {
    PATIENTS.post(stack, &john(id)).await
}

/// Puts a provider in a patient's care team.
pub(crate) async fn join(
    stack: &Arc<TestStack>,
    who: impl Into<Who>,
    patient: &str,
    provider: &str,
) -> Reply {
    let path = format!("/api/patients/{patient}/care-team/{provider}");
    PATIENTS.call(stack, who, Method::PUT, &path, Some("{}")).await
}

/// The document's patient, whom prov001 treats.
pub(crate) async fn treated(stack: &Arc<TestStack>) {
    let _ = register(stack, "12345").await.expect(201);
    let _ = join(stack, Role::Admin, "12345", "prov001").await.expect(200);
}

#[test]
fn every_statement_prepares_on_both_engines() {
    testkit::engines::every_statement_prepares(ServiceName::PatientService, &patient::MIGRATIONS, "patient");
}
