//! How soon a logout is known: somebody who was let in everywhere logs out at the gateway, and each part, a process of its own, is asked again and again
//! until it refuses them.
//!
//! ```sh
//! cargo run --release --package local --example revocation [LOGOUTS]
//! ```
//!
//! A line of JSON: the milliseconds from sending the logout until the answer that refuses, at the gateway, at each service, and at the last of all.

#![allow(dead_code, reason = "a test needs more of the parts than this does")]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::panic,
    reason = "a measurement ends with a panic, or prints"
)]

#[path = "../tests/it/parts.rs"]
mod parts;

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;
use settings::ServiceName;

use parts::{Asked, Parts};

const LOGOUTS: usize = 100;
/// Between two questions to one part.
const PAUSE: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_secs(10);

/// What whoever runs the clinic may ask each service.
fn path(service: Option<ServiceName>) -> &'static str {
    match service {
        None | Some(ServiceName::PatientService) => "/api/patients?limit=1",
        Some(ServiceName::AppointmentService) => "/api/appointments?limit=1",
        Some(ServiceName::BillingService) => "/api/bills?limit=1",
        Some(ServiceName::MedicalRecordsService) => "/api/records?limit=1",
        Some(ServiceName::NotificationService) => "/api/notifications?limit=1",
        Some(ServiceName::ProviderService) => "/api/providers?limit=1",
        Some(ServiceName::AuthService) => "/api/auth/me",
    }
}

async fn status(asked: &Asked, path: &str, token: &str) -> u16 {
    asked.request(Method::GET, path).bearer_auth(token).send().await.unwrap().status().as_u16()
}

/// Asks until it is refused; gives the milliseconds since then.
async fn refused(asked: Asked, path: &'static str, token: String, since: Instant) -> f64 {
    loop {
        match status(&asked, path, &token).await {
            401 => return since.elapsed().as_secs_f64() * 1e3,
            // Whoever asks so often may be told to wait by the gateway; that is no answer.
            200 | 429 => assert!(since.elapsed() < LONGEST, "{path}: still let in"),
            other => panic!("{path}: {other}"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let logouts = std::env::args().nth(1).map_or(LOGOUTS, |count| count.parse().unwrap());
    let mut parts = Parts::new(120);
    parts.start(&ServiceName::ALL).await;
    let doors: Vec<_> = std::iter::once(None).chain(ServiceName::ALL.map(Some)).collect();
    let asked: Vec<Asked> = doors.iter().map(|door| parts.asked(*door)).collect();
    let mut took = vec![Vec::new(); doors.len()];
    for _ in 0..logouts {
        let token = parts.login().await;
        for (asked, door) in asked.iter().zip(&doors) {
            assert_eq!(status(asked, path(*door), &token).await, 200, "{door:?}");
        }
        let since = Instant::now();
        let waiting: Vec<_> = asked
            .iter()
            .zip(&doors)
            .map(|(asked, door)| tokio::spawn(refused(asked.clone(), path(*door), token.clone(), since)))
            .collect();
        let body = json!({"token": token}).to_string();
        let logout = asked[0].request(Method::POST, "/api/auth/logout");
        let answer = logout.header("content-type", "application/json").body(body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        for (took, waiting) in took.iter_mut().zip(waiting) {
            took.push(waiting.await.unwrap());
        }
    }
    let last: Vec<f64> = (0..logouts).map(|at| took.iter().map(|of| of[at]).fold(0.0, f64::max)).collect();
    let name =
        |door: &Option<ServiceName>| door.map_or(settings::GATEWAY_NAME, ServiceName::as_str).to_owned();
    let each: serde_json::Map<_, _> =
        doors.iter().map(name).zip(took.into_iter().map(|it| json!(it))).collect();
    println!("{}", json!({"each": each, "last": last}));
}
