//! How many bookings a second, and what they take: `cargo run --release --package appointment --example bookings [SECONDS]`.
//!
//! Sixteen writers book over HTTP (the service's own socket, without the gateway) with twenty providers: each time another slot, so that all succeed;
//! and then the same few slots, so that most are refused with what is free instead. Then a report of all that was booked. On SQLite, which waits for
//! the disk at each commit, and on PostgreSQL, the tests' own server (which does not) or that of `TEST_DATABASE_URL`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a measurement ends with a panic, or prints figures"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{Days, NaiveDate};
use contracts::permission::Role;
use db::Engine;
use http_kit::kit::Service;
use reqwest::Method;
use serde_json::{Value, json};
use settings::ServiceName;
use testkit::TestStack;

const SERVICES: &[Service] = &[appointment::SERVICE, patient::SERVICE, provider::SERVICE];
const WRITERS: usize = 16;
const PROVIDERS: usize = 20;
const ROUNDS: usize = 3;
/// Half hours of a day.
const SLOTS: usize = 48;

fn main() {
    let seconds = std::env::args().nth(1).map_or(10, |seconds| seconds.parse().unwrap());
    for engine in [Engine::Sqlite, Engine::Postgres] {
        testkit::stack::run(engine, SERVICES, move |stack| {
            measure(engine, stack, Duration::from_secs(seconds))
        });
    }
}

async fn measure(engine: Engine, stack: Arc<TestStack>, lasts: Duration) {
    clinic(&stack).await;
    for (what, is_crowded) in [("each time another slot", false), ("the same few slots", true)] {
        for round in 0..ROUNDS {
            let first = 10_000 * round;
            let writers = (0..WRITERS)
                .map(|writer| tokio::spawn(write(Arc::clone(&stack), writer, (first, is_crowded), lasts)));
            let mut took = Vec::new();
            let mut booked = 0;
            for writer in writers.collect::<Vec<_>>() {
                for (time, status) in writer.await.unwrap() {
                    assert!(status == 201 || is_crowded && status == 409, "{status}");
                    booked += usize::from(status == 201);
                    took.push(time);
                }
            }
            took.sort_unstable();
            let at = |share: usize| took[(took.len() - 1) * share / 100].as_secs_f64() * 1000.0;
            let rate = took.len() as f64 / lasts.as_secs_f64();
            println!(
                "{} {what}: {rate:.0}/s ({booked} of {} booked), p50 {:.1} ms, p99 {:.1} ms",
                engine.as_str(),
                took.len(),
                at(50),
                at(99)
            );
        }
    }
    report(engine, &stack).await;
}

async fn report(engine: Engine, stack: &Arc<TestStack>) {
    for by in ["month", "visitType"] {
        let path = format!("/api/appointments/statistics?from=2026-02-01&to=2027-01-31&by={by}");
        let begun = Instant::now();
        let reply = call(stack, Method::GET, &path, None).await;
        let counted: Value = serde_json::from_str(&reply.text).unwrap();
        let (count, took) = (&counted["total"]["appointments"], begun.elapsed().as_millis());
        println!("{} report by {by}: {count} appointments in {took} ms", engine.as_str());
    }
}

/// Books until the time is over; what each booking took, and its status.
async fn write(
    stack: Arc<TestStack>,
    writer: usize,
    (first, is_crowded): (usize, bool),
    lasts: Duration,
) -> Vec<(Duration, u16)> {
    let (begun, mut took) = (Instant::now(), Vec::new());
    for n in 0.. {
        if begun.elapsed() >= lasts {
            break;
        }
        let body = booking(writer, n, first, is_crowded);
        let one = Instant::now();
        let status = call(&stack, Method::POST, "/api/appointments", Some(&body)).await.status;
        took.push((one.elapsed(), status));
    }
    took
}

/// At any time each of the writers is with another provider, and none of their patients is anywhere twice.
fn booking(writer: usize, n: usize, first: usize, is_crowded: bool) -> Value {
    let from = NaiveDate::from_ymd_opt(if is_crowded { 2040 } else { 2026 }, 2, 2).unwrap();
    let (slot, provider) =
        if is_crowded { (first + n / 64, n % 4) } else { (first + n, (n + writer) % PROVIDERS) };
    let minute = slot % SLOTS * 30;
    json!({
        "patientId": format!("p{writer}"), "providerId": format!("d{provider}"),
        "appointmentDate": (from + Days::new((slot / SLOTS) as u64)).to_string(),
        "timeSlot": format!("{:02}:{:02}", minute / 60, minute % 60), "visitType": "Follow-up",
    })
}

async fn clinic(stack: &Arc<TestStack>) {
    for writer in 0..WRITERS {
        testkit::patients::register(stack, &format!("p{writer}")).await;
    }
    let days = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
    let always: Vec<_> = days.iter().map(|day| json!({"day": day, "slots": ["00:00-24:00"]})).collect();
    for provider in 0..PROVIDERS {
        let body = json!({
            "providerId": format!("d{provider}"), "name": "Dr. Jane Doe", "specialization": "Cardiology",
            "contactInfo": {"phone": "+1234567890"}, "availability": always,
            // Where each half hour is there once: at the clinic one of them is not when clocks are set forward.
            "timeZone": "UTC",
        });
        let text = body.to_string();
        let path = "/api/providers";
        let reply =
            stack.call(ServiceName::ProviderService, Role::Admin, Method::POST, path, Some(&text)).await;
        let _ = reply.expect(201);
    }
}

async fn call(stack: &Arc<TestStack>, method: Method, path: &str, body: Option<&Value>) -> testkit::Reply {
    let body = body.map(Value::to_string);
    stack.call(ServiceName::AppointmentService, Role::Admin, method, path, body.as_deref()).await
}
