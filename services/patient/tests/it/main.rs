//! The patient service over real sockets, on both engines.
#![allow(clippy::unwrap_used, reason = "a test says so by failing")]

mod bad_input;
mod life;
mod search;

use std::sync::Arc;

use contracts::permission::Role;
use reqwest::Method;
use settings::ServiceName;
use testkit::stack::Who;
use testkit::{Reply, TestStack};

/// The document's own patient.
pub(crate) const JOHN: &str = r#"{
  "name": "John Doe",
  "dob": "1980-01-01",
  "contactInfo": {"phone": "+1234567890", "email": "johndoe@example.com"},
  "medicalHistory": {"allergies": ["Penicillin"], "chronicConditions": ["Diabetes"]}
}"#;

pub(crate) async fn call(
    stack: &Arc<TestStack>,
    who: impl Into<Who>,
    method: Method,
    path: &str,
    body: Option<&str>,
) -> Reply {
    stack.call(ServiceName::PatientService, who, method, path, body).await
}

/// Registers the document's patient under an id.
pub(crate) async fn register(stack: &Arc<TestStack>, id: &str) -> Reply {
    let body = JOHN.replacen('{', &format!(r#"{{"patientId": "{id}","#), 1);
    call(stack, Role::Admin, Method::POST, "/api/patients", Some(&body)).await
}

#[test]
fn every_statement_prepares_on_both_engines() {
    for engine in [db::Engine::Sqlite, db::Engine::Postgres] {
        let test = |test: testkit::TestDb| async move {
            db::prepare_all(test.db(), "patient").await.unwrap();
            test.teardown().await;
        };
        testkit::engines::run(engine, ServiceName::PatientService, &patient::MIGRATIONS, test);
    }
}
