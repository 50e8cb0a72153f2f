//! What the settings say of calls to others is what the clients do, and the page of metrics tells of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::http::StatusCode;
use chrono::DateTime;
use contracts::ambient::Clock;
use contracts::auth::{ListRevocations, RevocationFilter};
use http_kit::identity::ServiceIdentity;
use http_kit::kit;
use settings::Peer;

use super::*;

/// A peer that is overloaded, and counts how often it had to say so.
async fn overloaded() -> (Address, Arc<AtomicU32>) {
    let asked = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&asked);
    let router = axum::Router::new().fallback(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        std::future::ready(StatusCode::SERVICE_UNAVAILABLE)
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address(format!("http://{}", listener.local_addr().unwrap()));
    tokio::spawn(axum::serve(listener, router).into_future());
    (address, asked)
}

#[tokio::test]
async fn calls_are_made_on_the_terms_of_the_settings_and_counted_by_target() {
    let (key, _) = generate_key("patient-service").unwrap();
    let (clock, random) = (Clock::set_to(DateTime::UNIX_EPOCH), Random::seeded(1));
    let part = ServiceName::PatientService;
    let identity = ServiceIdentity::new(part, "healthcare-stack", &key, clock, random.clone()).unwrap();
    let nowhere = Database::Sqlite { path: "/none".into(), keys_path: "/none".into() };
    for attempts in [0, 2] {
        let (address, asked) = overloaded().await;
        let mut settings = settings(nowhere.clone(), Address("unix:/none".to_owned()));
        settings.peers = [(ServiceName::AuthService, Peer { address })].into();
        settings.calls.retries.attempts = attempts;
        let metrics = Metrics::default();
        let way = || {
            kit::transport(&settings, ServiceName::AuthService, None, &identity, &random, &metrics).unwrap()
        };
        let (one, other) = (way(), way());
        for way in [&one, &other] {
            way.call::<ListRevocations>(&[], &RevocationFilter { after: None }, &()).await.unwrap_err();
        }
        assert_eq!(asked.load(Ordering::Relaxed), 2 * (attempts + 1));
        let page = metrics.page();
        let labels = "service=\"patient-service\",target=\"auth-service\"";
        let calls = format!("healthcare_client_calls_total{{{labels},outcome=\"failed\"}} 2\n");
        assert!(page.contains(&calls), "{page}");
        assert!(page.contains(&format!("healthcare_client_in_flight{{{labels}}} 0\n")), "{page}");
        assert_eq!(page.matches("# TYPE healthcare_client_calls counter").count(), 1, "{page}");
    }
}
