//! The patient service over real sockets, on both engines.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says so by failing")]

mod bad_input;
mod life;
mod process;
mod search;
mod transit;

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

#[test]
fn every_statement_prepares_on_both_engines() {
    testkit::engines::every_statement_prepares(ServiceName::PatientService, &patient::MIGRATIONS, "patient");
}
