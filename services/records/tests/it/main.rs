//! The medical records service over real sockets, on both engines, beside the real patient service.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says so by failing")]

mod amendments;
mod bad_input;
mod break_glass;
mod care;
mod consent;
mod erasure;
mod life;
mod retention;
mod reviews;
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

/// A call of this service as somebody.
pub(crate) async fn call(
    stack: &TestStack,
    who: &Who,
    method: Method,
    path: &str,
    body: Option<&str>,
) -> testkit::Reply {
    RECORDS.call(stack, who.clone(), method, path, body).await
}

pub(crate) async fn read(stack: &TestStack, who: &Who, path: &str) -> testkit::Reply {
    call(stack, who, Method::GET, path, None).await
}

/// Waits until something is so that an event brings about.
///
/// # Panics
/// If it is not so within ten seconds.
pub(crate) async fn until<F: Future<Output = bool>>(mut is_so: impl FnMut() -> F) {
    for _ in 0..200 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("it did not come about");
}

/// Tells this service who treats whom, as the relay does.
pub(crate) async fn tell_care(stack: &TestStack, event: &str, patient: &str, provider: &str) {
    let care = format!(
        r#"{{"source": "appointment:{patient}-{provider}", "version": 1, "patientId": "{patient}", "providerId": "{provider}", "until": "2026-03-01T10:00:00Z"}}"#
    );
    let event = format!(
        r#"{{"id": "{event}", "occurredAt": "2026-01-15T08:00:00Z", "type": "care.told.v1", "data": {{"care": [{care}]}}}}"#
    );
    let _ =
        call(stack, &Role::Service.into(), Method::POST, "/internal/events", Some(&event)).await.expect(200);
}

#[test]
fn every_statement_prepares_on_both_engines() {
    testkit::engines::every_statement_prepares(
        ServiceName::MedicalRecordsService,
        &records::MIGRATIONS,
        "records",
    );
}
