//! The billing service over real sockets, on both engines, beside the real patient service.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says so by failing")]

mod bad_input;
mod care;
mod consent;
mod erasure;
mod life;
mod retention;
mod search;
mod status;

use std::sync::Arc;

use contracts::permission::Role;
use reqwest::Method;
use serde_json::json;
use settings::ServiceName;
use testkit::patients::{erase, register, tell_erased};
use testkit::stack::Who;
use testkit::{Resource, TestStack};

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

pub(crate) const BILLS: Resource =
    Resource { service: ServiceName::BillingService, path: "/api/bills", id: "billId" };

/// The document's bill under another id, for another patient, of another status.
pub(crate) fn bill(id: &str, patient: &str, status: &str) -> String {
    BILL.replace("bill789", id).replace("12345", patient).replace("Issued", status)
}

/// Tells this service something, as the relay does.
async fn tell(stack: &TestStack, event: &serde_json::Value) {
    let body = event.to_string();
    let _ = BILLS.call(stack, Role::Service, Method::POST, "/internal/events", Some(&body)).await.expect(200);
}

/// Tells it who treats whom.
pub(crate) async fn tell_care(stack: &TestStack, event: &str, patient: &str, provider: &str) {
    let care = json!({
        "source": format!("appointment:{patient}-{provider}"), "version": 1, "patientId": patient, "providerId": provider,
        "until": "2026-03-01T10:00:00Z",
    });
    let (kind, at) = ("care.told.v1", "2026-01-15T08:00:00Z");
    tell(stack, &json!({"id": event, "occurredAt": at, "type": kind, "data": {"care": [care]}})).await;
}

/// Tells it that prov001 broke the glass, for an hour.
pub(crate) async fn tell_glass(stack: &TestStack, patient: &str) {
    let data = json!({
        "grantId": "grant_1", "patientId": patient, "userId": "usr_prov001", "until": "2026-01-15T10:00:00Z",
    });
    let (kind, at) = ("glass.broken.v1", "2026-01-15T09:00:00Z");
    tell(stack, &json!({"id": "evt_glass", "occurredAt": at, "type": kind, "data": data})).await;
}

#[test]
fn every_statement_prepares_on_both_engines() {
    testkit::engines::every_statement_prepares(ServiceName::BillingService, &billing::MIGRATIONS, "billing");
}
