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

#[test]
fn every_statement_prepares_on_both_engines() {
    testkit::engines::every_statement_prepares(ServiceName::BillingService, &billing::MIGRATIONS, "billing");
}
