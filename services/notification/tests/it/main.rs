//! The notification service over real sockets, on both engines, with a real mail server.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says so by failing")]

mod another_way;
mod answer_pages;
mod answers;
mod bad_input;
mod bounced;
mod care;
mod channels;
mod device_owners;
mod devices;
mod dkim;
mod events;
mod follow;
mod handed_over;
mod invitations;
mod list;
mod made_ready;
mod mail;
mod mail_faults;
mod mail_reports;
mod offers;
mod outage;
mod preferences;
mod push;
mod push_reminders;
mod reminders;
mod send;
mod sms;
mod templates;
mod unreadable;
mod unsubscribe;

use std::sync::Arc;

use contracts::permission::Role;
use reqwest::Method;
use serde_json::Value;
use settings::ServiceName;
use testkit::stack::Who;
use testkit::{Reply, TestStack};

/// The document's own mail, text message and push notification.
pub(crate) const MAIL: &str = r#"{
  "to": "johndoe@example.com",
  "subject": "Appointment Reminder",
  "body": "This is a reminder for your appointment scheduled for August 1, 2024, at 10:00 AM."
}"#;
pub(crate) const SMS: &str = r#"{
  "to": "+1234567890",
  "message": "Your appointment is scheduled for August 1, 2024, at 10:00 AM."
}"#;
pub(crate) const PUSH: &str = r#"{
  "to": "deviceToken123",
  "title": "Appointment Reminder",
  "message": "You have an appointment on August 1, 2024, at 10:00 AM."
}"#;

pub(crate) async fn call(
    stack: &Arc<TestStack>,
    who: impl Into<Who>,
    method: Method,
    path: &str,
    body: Option<&str>,
) -> Reply {
    stack.call(ServiceName::NotificationService, who, method, path, body).await
}

/// Sends by a channel, as the front desk.
pub(crate) async fn send(stack: &Arc<TestStack>, channel: &str, body: &str) -> Reply {
    call(stack, Role::Receptionist, Method::POST, &format!("/api/notifications/{channel}"), Some(body)).await
}

/// The body, concerning a patient.
pub(crate) fn about(body: &str, patient: &str) -> String {
    body.replacen('{', &format!(r#"{{"patientId": "{patient}","#), 1)
}

pub(crate) async fn get(stack: &Arc<TestStack>, path: &str) -> Reply {
    call(stack, Role::Receptionist, Method::GET, path, None).await
}

/// What the list holds.
pub(crate) async fn listed(stack: &Arc<TestStack>, query: &str) -> Vec<Value> {
    let list = get(stack, &format!("/api/notifications?{query}")).await.expect(200);
    list.json()["items"].as_array().cloned().unwrap()
}

#[test]
fn every_statement_prepares_on_both_engines() {
    testkit::engines::every_statement_prepares(
        ServiceName::NotificationService,
        &notification::MIGRATIONS,
        "notification",
    );
}
