//! How long it takes to look for free slots in 90 days of a provider with 1,000 appointments:
//! `cargo run --release --package appointment --example slots [SEARCHES]`.
//!
//! Over the services' own sockets, with everything that a request has: the token is verified, the provider service is asked for the schedule, the
//! taken times are read, and the answer is written. On SQLite, and on the tests' own PostgreSQL or that of `TEST_DATABASE_URL`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a measurement ends with a panic, or prints figures"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{NaiveDate, TimeDelta};
use contracts::permission::Role;
use db::Engine;
use http_kit::Service;
use reqwest::Method;
use serde_json::{Value, json};
use settings::ServiceName;
use testkit::TestStack;

const SERVICES: &[Service] = &[appointment::SERVICE, patient::SERVICE, provider::SERVICE];
const APPOINTMENTS: usize = 1_000;
const PATIENTS: usize = 50;
const DAYS: i64 = 90;
const SEARCHES: usize = 1_000;
/// Before what counts.
const WARM_UP: usize = 50;
const FIRST: &str = "2026-01-19";

fn main() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        testkit::stack::run(engine, SERVICES, move |stack| async move {
            let booked = fill(&stack).await;
            println!("{}: {booked} appointments", engine.as_str());
            let last = first() + TimeDelta::days(DAYS - 1);
            let range = format!("from={FIRST}&to={last}&limit=200");
            measure(&stack, "all that is free, the first 200", &range).await;
            measure(&stack, "for a visit type with buffers", &format!("{range}&visitType=New")).await;
            measure(&stack, "of one day", &format!("from={FIRST}&to={FIRST}")).await;
            search(&stack, "the next of all providers", "/api/slots?specialization=cardiology").await;
        });
    }
}

fn first() -> NaiveDate {
    NaiveDate::parse_from_str(FIRST, "%Y-%m-%d").unwrap()
}

async fn call(stack: &Arc<TestStack>, service: ServiceName, path: &str, body: &Value) -> u16 {
    stack.call(service, Role::Admin, Method::POST, path, Some(&body.to_string())).await.status
}

/// A provider with a full schedule, patients, and 1,000 appointments, even over the 90 days.
async fn fill(stack: &Arc<TestStack>) -> usize {
    let days = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
    let hours = days.map(|day| json!({"day": day, "slots": ["08:00-12:00", "13:00-18:00"]}));
    let provider = json!({
        "providerId": "prov001", "name": "Dr. Jane Doe", "specialization": "Cardiology",
        "contactInfo": {"phone": "+1234567890"}, "availability": hours,
        "visitTypes": [{"name": "New", "durationMinutes": 45, "bufferBeforeMinutes": 5, "bufferAfterMinutes": 10}],
        "overrides": [{"date": "2026-02-16", "slots": []}],
    });
    assert_eq!(call(stack, ServiceName::ProviderService, "/api/providers", &provider).await, 201);
    for number in 0..PATIENTS {
        let patient = json!({
            "patientId": format!("p{number}"), "name": "John Doe", "dob": "1980-01-01",
            "contactInfo": {"phone": "+1234567890"},
        });
        assert_eq!(call(stack, ServiceName::PatientService, "/api/patients", &patient).await, 201);
    }
    let mut booked = 0;
    for number in 0..APPOINTMENTS {
        let date = first() + TimeDelta::days(i64::try_from(number).unwrap() % DAYS);
        let slot = number / usize::try_from(DAYS).unwrap();
        let body = json!({
            "patientId": format!("p{}", number % PATIENTS), "providerId": "prov001", "appointmentDate": date.to_string(),
            "timeSlot": format!("{:02}:{:02}", 8 + slot / 2, slot % 2 * 30),
        });
        let status = call(stack, ServiceName::AppointmentService, "/api/appointments", &body).await;
        booked += usize::from(status == 201);
    }
    // Those at noon and on the closed date are booked too, with a warning.
    assert_eq!(booked, APPOINTMENTS);
    booked
}

async fn measure(stack: &Arc<TestStack>, what: &str, query: &str) {
    search(stack, what, &format!("/api/providers/prov001/slots?{query}")).await;
}

async fn search(stack: &Arc<TestStack>, what: &str, path: &str) {
    let searches = std::env::args().nth(1).map_or(SEARCHES, |searches| searches.parse().unwrap());
    let token = stack.token(Role::Receptionist);
    let mut took = Vec::with_capacity(searches);
    for number in 0..WARM_UP + searches {
        let request = stack.request(ServiceName::AppointmentService, Method::GET, path).bearer_auth(&token);
        let begun = Instant::now();
        let reply = request.send().await.unwrap();
        assert_eq!(reply.status().as_u16(), 200);
        let bytes = reply.bytes().await.unwrap();
        if number >= WARM_UP {
            took.push(begun.elapsed());
        }
        assert!(bytes.len() > 20);
    }
    took.sort_unstable();
    let at = |share: f64| ms(took[((took.len() - 1) as f64 * share).round() as usize]);
    println!("  {what}: p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms", at(0.5), at(0.99), at(1.0));
}

fn ms(took: Duration) -> f64 {
    took.as_secs_f64() * 1_000.0
}
