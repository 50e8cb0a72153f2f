//! The medical records service over real sockets, on both engines, beside the real patient service.
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

/// The document's own record.
pub(crate) const RECORD: &str = r#"{
  "recordId": "rec001",
  "patientId": "12345",
  "date": "2024-08-01",
  "diagnosis": "Flu",
  "treatment": "Rest and hydration",
  "prescriptions": ["Tylenol"]
}"#;

pub(crate) const RECORDS: Resource =
    Resource { service: ServiceName::MedicalRecordsService, path: "/api/records", id: "recordId" };

/// The document's record under another id, of another patient and day.
pub(crate) fn record(id: &str, patient: &str, date: &str) -> String {
    RECORD.replace("rec001", id).replace("12345", patient).replace("2024-08-01", date)
}

#[test]
fn every_statement_prepares_on_both_engines() {
    testkit::engines::every_statement_prepares(
        ServiceName::MedicalRecordsService,
        &records::MIGRATIONS,
        "records",
    );
}
