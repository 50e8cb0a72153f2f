//! The billing service over real sockets, on both engines, beside the real patient service.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says so by failing")]

mod bad_input;
mod erasure;
mod life;
mod search;

use std::sync::Arc;

use contracts::permission::Role;
use reqwest::Method;
use settings::ServiceName;
use testkit::stack::Who;
use testkit::{Reply, TestStack};

/// The document's own bill.
pub(crate) const BILL: &str = r#"{
  "billId": "bill789",
  "patientId": "12345",
  "services": [
    {"serviceId": "srv001", "description": "Consultation", "amount": 100.00},
    {"serviceId": "srv002", "description": "Lab Tests", "amount": 50.00}
  ],
  "insuranceClaim": {"insuranceProvider": "HealthInsure", "claimAmount": 75.00},
  "totalAmount": 150.00,
  "status": "Issued"
}"#;

pub(crate) async fn call(
    stack: &Arc<TestStack>,
    who: impl Into<Who>,
    method: Method,
    path: &str,
    body: Option<&str>,
) -> Reply {
    stack.call(ServiceName::BillingService, who, method, path, body).await
}

pub(crate) async fn post(stack: &Arc<TestStack>, body: &str) -> Reply {
    call(stack, Role::Admin, Method::POST, "/api/bills", Some(body)).await
}

pub(crate) async fn get(stack: &Arc<TestStack>, id: &str) -> Reply {
    call(stack, Role::Admin, Method::GET, &format!("/api/bills/{id}"), None).await
}

pub(crate) async fn put(stack: &Arc<TestStack>, id: &str, patch: &str) -> Reply {
    call(stack, Role::Admin, Method::PUT, &format!("/api/bills/{id}"), Some(patch)).await
}

pub(crate) async fn delete(stack: &Arc<TestStack>, id: &str) -> Reply {
    call(stack, Role::Admin, Method::DELETE, &format!("/api/bills/{id}"), None).await
}

/// Registers a patient in their service.
pub(crate) async fn register(stack: &Arc<TestStack>, id: &str) {
    let body = format!(
        r#"{{"patientId": "{id}", "name": "John Doe", "dob": "1980-01-01", "contactInfo": {{"phone": "+1234567890"}}}}"#
    );
    let patients = "/api/patients";
    let reply =
        stack.call(ServiceName::PatientService, Role::Admin, Method::POST, patients, Some(&body)).await;
    let _ = reply.expect(201);
}

/// The document's bill under another id, for another patient, of another status.
pub(crate) fn bill(id: &str, patient: &str, status: &str) -> String {
    BILL.replace("bill789", id).replace("12345", patient).replace("Issued", status)
}

#[test]
fn every_statement_prepares_on_both_engines() {
    for engine in [db::Engine::Sqlite, db::Engine::Postgres] {
        let test = |test: testkit::TestDb| async move {
            assert_ne!(db::prepare_all(test.db(), "billing").await.unwrap(), 0);
            test.teardown().await;
        };
        testkit::engines::run(engine, ServiceName::BillingService, &billing::MIGRATIONS, test);
    }
}
