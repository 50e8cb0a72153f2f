//! The appointment service over real sockets, beside the real patient and provider services, on both engines.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says so by failing")]

mod availability;
mod bad_input;
mod booking;
mod cancelling;
mod care;
mod concurrency;
mod conflicts;
mod consent;
mod credentials;
mod events;
mod feed_calendar;
mod feeds;
mod held_schema;
mod history;
mod holds;
mod life;
mod list;
mod outside;
mod outside_faults;
mod outside_google;
mod outside_overtaken;
mod outside_room;
mod outside_settle;
mod outside_standing;
mod outside_watch;
mod overtaken;
mod patients_own;
mod peers;
mod provider_report;
mod referrals;
mod reschedule;
mod schedules;
mod schema;
mod series;
mod slots;
mod statistics;
mod status;
mod unopenable;
mod views;
mod waitlist;
mod webhooks;

use std::sync::Arc;

use contracts::permission::Role;
use reqwest::Method;
use serde_json::{Value, json};
use settings::ServiceName;
pub(crate) use testkit::patients::register as patient;
use testkit::stack::Who;
use testkit::{Reply, TestStack};

/// The document's own appointment: long past, and on a Thursday, when its provider is not there.
pub(crate) const DOCUMENTED: &str = r#"{
  "patientId": "12345",
  "providerId": "prov001",
  "appointmentDate": "2024-08-01",
  "timeSlot": "10:00",
  "status": "Scheduled"
}"#;

/// A Monday within the provider's hours; the tests begin on Thursday, 2026-01-15, 10:00 in Berlin.
pub(crate) const MONDAY: &str = "2026-01-19";

pub(crate) async fn call(
    stack: &Arc<TestStack>,
    who: impl Into<Who>,
    method: Method,
    path: &str,
    body: Option<&str>,
) -> Reply {
    stack.call(ServiceName::AppointmentService, who, method, path, body).await
}

/// Adds the document's provider, in Berlin.
pub(crate) async fn provider(stack: &Arc<TestStack>, id: &str) {
    provider_with(
        stack,
        id,
        json!([
            {"day": "Monday", "slots": ["09:00-12:00", "14:00-17:00"]},
            {"day": "Wednesday", "slots": ["09:00-12:00"]}
        ]),
    )
    .await;
}

/// Adds a provider with other hours.
pub(crate) async fn provider_with(stack: &Arc<TestStack>, id: &str, availability: Value) {
    let body = json!({
        "providerId": id, "name": "Dr. Jane Doe", "specialization": "Cardiology",
        "contactInfo": {"phone": "+1234567890", "email": "janedoe@example.com"},
        "availability": availability
    });
    let _ = stack
        .call(
            ServiceName::ProviderService,
            Role::Admin,
            Method::POST,
            "/api/providers",
            Some(&body.to_string()),
        )
        .await
        .expect(201);
}

/// The document's patient and provider.
pub(crate) async fn clinic(stack: &Arc<TestStack>) {
    patient(stack, "12345").await;
    provider(stack, "prov001").await;
}

/// Asks for an appointment.
pub(crate) async fn book(stack: &Arc<TestStack>, who: impl Into<Who>, body: &Value) -> Reply {
    call(stack, who, Method::POST, "/api/appointments", Some(&body.to_string())).await
}

/// An appointment on the Monday.
pub(crate) fn at(id: &str, patient: &str, provider: &str, time: &str) -> Value {
    json!({
        "appointmentId": id, "patientId": patient, "providerId": provider,
        "appointmentDate": MONDAY, "timeSlot": time
    })
}

pub(crate) async fn get(stack: &Arc<TestStack>, id: &str) -> Reply {
    call(stack, Role::Admin, Method::GET, &format!("/api/appointments/{id}"), None).await
}

pub(crate) async fn put(stack: &Arc<TestStack>, who: impl Into<Who>, id: &str, patch: &Value) -> Reply {
    call(stack, who, Method::PUT, &format!("/api/appointments/{id}"), Some(&patch.to_string())).await
}

pub(crate) async fn cancel(stack: &Arc<TestStack>, id: &str) -> Reply {
    call(stack, Role::Admin, Method::DELETE, &format!("/api/appointments/{id}"), None).await
}

/// The slots that a refusal offers, `date time` each.
pub(crate) fn offered(reply: &Reply) -> Vec<String> {
    slots_in(&reply.json()["slots"])
}

pub(crate) fn slots_in(slots: &Value) -> Vec<String> {
    let text = |slot: &Value, member: &str| slot[member].as_str().unwrap_or_default().to_owned();
    let slots = slots.as_array().cloned().unwrap_or_default();
    slots.iter().map(|slot| format!("{} {}", text(slot, "date"), text(slot, "timeSlot"))).collect()
}

/// The codes of an answer's warnings.
pub(crate) fn warned(reply: &Reply) -> Vec<String> {
    let warnings = reply.json()["warnings"].as_array().cloned().unwrap_or_default();
    warnings.iter().map(|warning| warning["code"].as_str().unwrap_or_default().to_owned()).collect()
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

#[test]
fn every_statement_prepares_on_both_engines() {
    testkit::engines::every_statement_prepares(
        ServiceName::AppointmentService,
        &appointment::MIGRATIONS,
        "appointment",
    );
}
