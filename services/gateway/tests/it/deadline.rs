//! How long there is: what a service is told of it, what a client may say of it, and attempts that are given up before it is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use settings::{Breaker, Method, Retries, Route};

use crate::backend::{Backend, Seen};
use crate::house::{House, config, counts, public};

const TOLD: &str = "x-request-timeout-ms";

/// How long the service was told that it has.
fn told(seen: &Seen) -> u64 {
    let lines: Vec<_> = seen.headers.get_all(TOLD).iter().collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    lines[0].to_str().unwrap().parse().unwrap()
}

fn tries(attempts: u32, per_try_ms: u64, route: Route) -> Route {
    let (base_backoff_ms, max_backoff_ms, budget_percent) = (1, 2, 100);
    let retries =
        Retries { attempts, base_backoff_ms, max_backoff_ms, budget_percent, per_try_ms: Some(per_try_ms) };
    Route { retries: Some(retries), ..route }
}

/// A service whose first so many answers take so long, and the others no time.
async fn slow_at_first(count: usize, takes: Duration) -> Backend {
    let asked = Arc::new(AtomicUsize::new(0));
    Backend::answering(move |_| {
        let is_slow = asked.fetch_add(1, Ordering::SeqCst) < count;
        async move {
            if is_slow {
                tokio::time::sleep(takes).await;
            }
            Response::new(Full::new(Bytes::from_static(b"ok")))
        }
    })
    .await
}

#[tokio::test]
async fn a_service_is_told_how_long_there_is_whatever_the_client_says() {
    let backend = Backend::echo().await;
    let house = House::before(&backend, vec![public(Method::Get, "/x")]).await;
    for claim in [None, Some("4000"), Some("9000000"), Some("-1"), Some("soon")] {
        let headers: Vec<_> = claim.iter().map(|claim| (TOLD, *claim)).collect();
        assert_eq!(house.ask("GET", "/x", &headers, "").await.status, 200);
    }
    assert_eq!(backend.requests().iter().map(told).collect::<Vec<_>>(), [4_900; 5]);
    let twice = [(TOLD, "9"), (TOLD, "7")];
    let _ = house.ask("GET", "/x", &twice, "").await;
    assert!(backend.requests().iter().all(|seen| told(seen) == 4_900));
}

#[tokio::test]
async fn who_waits_less_long_is_answered_sooner_and_harms_nobody() {
    let backend = slow_at_first(20, Duration::from_secs(2)).await;
    let breaker = Breaker { window_calls: 4, min_calls: 2, ..Breaker::default() };
    let route = Route { circuit_breaker: Some(breaker), ..public(Method::Get, "/x") };
    let house = House::before(&backend, vec![route]).await;
    let since = Instant::now();
    for _ in 0..20 {
        let answer = house.ask("GET", "/x", &[(TOLD, "20")], "").await;
        answer.assert_problem(504, "deadline-exceeded");
    }
    assert!(since.elapsed() < Duration::from_secs(2), "{:?}", since.elapsed());
    assert_eq!(house.get("/x").await.text(), "ok", "neither breaker nor balancer heard of it");
    // The route's own time does count.
    let backend = slow_at_first(2, Duration::from_secs(5)).await;
    let route = Route { circuit_breaker: Some(breaker), timeout_ms: 50, ..public(Method::Get, "/x") };
    let house = House::before(&backend, vec![route]).await;
    for _ in 0..2 {
        house.get("/x").await.assert_problem(504, "deadline-exceeded");
    }
    house.get("/x").await.assert_problem(503, "unavailable");
}

#[tokio::test]
async fn an_attempt_without_an_answer_in_its_time_is_made_again() {
    let backend = slow_at_first(1, Duration::from_secs(4)).await;
    let house = House::before(&backend, vec![tries(1, 100, public(Method::Get, "/x"))]).await;
    let since = Instant::now();
    assert_eq!(house.get("/x").await.text(), "ok");
    assert!(since.elapsed() < Duration::from_secs(3), "{:?}", since.elapsed());
    assert!(counts(&house, "retries_total", 1));
    let told: Vec<_> = backend.requests().iter().map(told).collect();
    assert!(told[0] == 4_900 && (1_000..=4_850).contains(&told[1]), "{told:?}");
}

#[tokio::test]
async fn the_last_attempt_has_all_the_time_that_is_left() {
    let backend = slow_at_first(9, Duration::from_millis(600)).await;
    let house = House::before(&backend, vec![tries(1, 100, public(Method::Get, "/x"))]).await;
    assert_eq!(house.get("/x").await.text(), "ok");
    assert_eq!(backend.requests().len(), 2);
}

#[tokio::test]
async fn what_cannot_be_made_again_is_waited_for() {
    let backend = slow_at_first(9, Duration::from_millis(600)).await;
    let house = House::before(&backend, vec![tries(2, 100, public(Method::Post, "/x"))]).await;
    assert_eq!(house.ask("POST", "/x", &[], "{}").await.text(), "ok");
    assert_eq!(backend.requests().len(), 1);
    // With a key it could, but the first may be committing.
    assert_eq!(house.ask("POST", "/x", &[("idempotency-key", "k")], "{}").await.text(), "ok");
    assert_eq!(backend.requests().len(), 2);
}

#[tokio::test]
async fn without_leave_to_repeat_an_attempt_is_not_given_up() {
    let backend = slow_at_first(999, Duration::from_millis(400)).await;
    let route = tries(1, 20, public(Method::Get, "/x"));
    let retries = route.retries.map(|retries| Retries { budget_percent: 0, ..retries });
    let mut config = config(vec![backend.address.clone()], vec![Route { retries, ..route }]);
    // None of them is to be refused for want of room.
    config.upstreams.get_mut("patient-service").unwrap().concurrency.max = 0;
    let house = Arc::new(House::with(config).await);
    let clients = (0..60).map(|_| {
        let house = Arc::clone(&house);
        tokio::spawn(async move { house.get("/x").await.status })
    });
    for client in clients.collect::<Vec<_>>() {
        assert_eq!(client.await.unwrap(), 200);
    }
    let again = (0..=60).find(|again| counts(&house, "retries_total", *again)).unwrap();
    assert!((1..=30).contains(&again), "ten a second, whatever else: {again}");
}

#[tokio::test]
async fn times_that_make_no_sense_are_refused_by_name() {
    let backend = Backend::echo().await;
    let house = House::before(&backend, vec![public(Method::Get, "/x")]).await;
    let routes = vec![tries(1, 0, public(Method::Get, "/a")), tries(1, 5_001, public(Method::Get, "/b"))];
    let faults = house.gateway.apply(config(vec![backend.address.clone()], routes)).unwrap_err().faults;
    assert_eq!(
        faults,
        [
            "routes[0].retries.perTryMs: must be from 1 to timeoutMs (5000)",
            "routes[1].retries.perTryMs: must be from 1 to timeoutMs (5000)",
        ]
    );
}
