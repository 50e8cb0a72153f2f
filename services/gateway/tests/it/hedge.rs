//! Reads that are slow, made a second time elsewhere: sooner answered, within a share, and never a write.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use settings::{Hedge, Method, Retries, Route, Tracing};
use testkit::collector::{Answers, Collector};
use tokio::io::AsyncReadExt;

use crate::backend::{Backend, eventually, read_head};
use crate::house::{House, config, counts, public};

fn hedged(after_ms: u64, percent_max: u32, route: Route) -> Route {
    Route { hedge: Some(Hedge { after_ms, percent_max }), ..route }
}

/// A service that answers with its name after a while.
async fn takes(millis: u64, name: &'static str) -> Backend {
    Backend::answering(move |_| async move {
        tokio::time::sleep(Duration::from_millis(millis)).await;
        Response::new(Full::new(Bytes::from_static(name.as_bytes())))
    })
    .await
}

async fn before(backends: &[&Backend], routes: Vec<Route>) -> House {
    House::with(config(backends.iter().map(|backend| backend.address.clone()).collect(), routes)).await
}

#[tokio::test]
async fn with_one_endpoint_slow_every_read_is_quick() {
    let (slow, quick) = (takes(3_000, "slow").await, takes(0, "quick").await);
    let house = before(&[&slow, &quick], vec![hedged(50, 100, public(Method::Get, "/x"))]).await;
    let since = Instant::now();
    let mut client = house.client().await;
    for _ in 0..20 {
        assert_eq!(client.ask("GET", "/x", &[], "").await.text(), "quick");
    }
    assert!(since.elapsed() < Duration::from_secs(3), "{:?}", since.elapsed());
    let asked = u32::try_from(slow.requests().len()).unwrap();
    assert!((10..=20).contains(&asked) && quick.requests().len() == 20, "{asked}");
    assert!(counts(&house, "hedges_total", asked) && counts(&house, "hedges_won_total", asked));
    assert!(counts(&house, "retries_total", 0), "that is something else");
}

#[tokio::test]
async fn whoever_answers_second_is_hung_up_on() {
    let hung_up = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&hung_up);
    let slow = Backend::raw(move |mut stream, _| {
        let count = Arc::clone(&count);
        async move {
            read_head(&mut stream).await;
            if matches!(stream.read(&mut [0; 16]).await, Ok(0) | Err(_)) {
                count.fetch_add(1, Ordering::SeqCst);
            }
        }
    })
    .await;
    let quick = takes(0, "quick").await;
    let house = before(&[&slow, &quick], vec![hedged(20, 100, public(Method::Get, "/x"))]).await;
    for _ in 0..4 {
        assert_eq!(house.get("/x").await.text(), "quick");
    }
    assert!(slow.connections() > 0);
    eventually("the slow one saw its connections end", || {
        hung_up.load(Ordering::SeqCst) == slow.connections()
    })
    .await;
    let page = house.metrics.page();
    let busy = page.lines().filter(|line| line.contains("endpoint_in_flight{") && !line.ends_with(" 0"));
    assert_eq!(busy.count(), 0, "{page}");
}

#[tokio::test]
async fn both_attempts_stand_in_the_trace_and_which_was_cut_off() {
    let (slow, quick) = (takes(3_000, "slow").await, takes(0, "quick").await);
    let collector = Collector::start(Answers::Takes).await;
    let endpoints = vec![slow.address.clone(), quick.address.clone()];
    let mut config = config(endpoints, vec![hedged(20, 100, public(Method::Get, "/x"))]);
    let endpoint = collector.endpoint().to_owned();
    config.observability.tracing = Some(Tracing { endpoint, sample_percent: 100, ..Tracing::default() });
    let house = House::with(config).await;
    assert_eq!(house.get("/x").await.text(), "quick");
    let spans = collector.wait_for("three spans", |spans| spans.len() == 3).await;
    let attempts = |backend: &Backend| {
        let (_, port) = backend.address.authority().unwrap().split_once(':').unwrap();
        spans.iter().find(|span| span.kind == 3 && span.says("server.port") == port).unwrap()
    };
    assert_eq!(attempts(&slow).says("error.type"), "cancelled");
    assert_eq!(attempts(&quick).says("http.response.status_code"), "200");
}

#[tokio::test]
async fn second_attempts_are_a_share_of_the_requests_however_slow_all_are() {
    let (one, other) = (takes(100, "one").await, takes(100, "other").await);
    let house = Arc::new(before(&[&one, &other], vec![hedged(5, 10, public(Method::Get, "/x"))]).await);
    let clients = (0..10).map(|_| {
        let house = Arc::clone(&house);
        tokio::spawn(async move {
            let mut client = house.client().await;
            for _ in 0..20 {
                assert_eq!(client.ask("GET", "/x", &[], "").await.status, 200);
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    let sent = one.requests().len() + other.requests().len();
    assert!((205..=220).contains(&sent), "{sent}");
}

#[tokio::test]
async fn of_two_attempts_a_good_answer_counts_whoever_gives_it() {
    // The one that is asked beside it fails at once; the first goes on.
    let (slow, sick) = (takes(200, "slow").await, Backend::status(503).await);
    let house = before(&[&slow, &sick], vec![hedged(20, 100, public(Method::Get, "/x"))]).await;
    assert_eq!(house.get("/x").await.text(), "slow");
    assert_eq!((slow.requests().len(), sick.requests().len()), (1, 1));
    assert!(counts(&house, "hedges_total", 1) && counts(&house, "hedges_won_total", 0));
    // When both fail that is a failure, and repeated like any other.
    let (bad, worse) = (Backend::status(503).await, Backend::raw(|_, _| async {}).await);
    let retries =
        Retries { attempts: 2, base_backoff_ms: 1, max_backoff_ms: 2, budget_percent: 100, per_try_ms: None };
    let route = Route { retries: Some(retries), ..hedged(20, 100, public(Method::Get, "/x")) };
    let house = before(&[&bad, &worse], vec![route]).await;
    assert_eq!(house.get("/x").await.status, 503);
    assert!(counts(&house, "retries_total", 2));
}

#[tokio::test]
async fn two_attempts_that_are_given_up_pay_once_for_what_follows() {
    let (one, other) = (takes(60_000, "one").await, takes(60_000, "other").await);
    // In this second there is leave for ten repetitions, and no more.
    let retries = Retries {
        attempts: 1,
        base_backoff_ms: 1,
        max_backoff_ms: 2,
        budget_percent: 0,
        per_try_ms: Some(100),
    };
    let route = Route { timeout_ms: 600, retries: Some(retries), ..public(Method::Get, "/x") };
    let house = Arc::new(before(&[&one, &other], vec![hedged(20, 100, route)]).await);
    let clients = (0..10).map(|_| {
        let house = Arc::clone(&house);
        tokio::spawn(async move { house.get("/x").await.status })
    });
    for client in clients.collect::<Vec<_>>() {
        assert_eq!(client.await.unwrap(), 504);
    }
    assert!(counts(&house, "hedges_total", 10), "{}", house.metrics.page());
    assert!(counts(&house, "retries_total", 10), "{}", house.metrics.page());
}

#[tokio::test]
async fn what_is_answered_in_time_or_has_a_body_or_nowhere_else_to_go_is_made_once() {
    let (one, other) = (takes(0, "one").await, takes(0, "other").await);
    let house = before(&[&one, &other], vec![hedged(1_000, 100, public(Method::Get, "/x"))]).await;
    for _ in 0..10 {
        assert_eq!(house.get("/x").await.status, 200);
    }
    assert_eq!(one.requests().len() + other.requests().len(), 10);
    let (one, other) = (takes(100, "one").await, takes(100, "other").await);
    let house = before(&[&one, &other], vec![hedged(10, 100, public(Method::Get, "/x"))]).await;
    assert_eq!(house.ask("GET", "/x", &[], "{}").await.status, 200);
    assert_eq!(one.requests().len() + other.requests().len(), 1, "a body is sent once");
    let only = takes(100, "only").await;
    let house = before(&[&only], vec![hedged(10, 100, public(Method::Get, "/x"))]).await;
    assert_eq!(house.get("/x").await.text(), "only");
    assert_eq!(only.requests().len(), 1);
}

#[tokio::test]
async fn a_second_attempt_that_makes_no_sense_is_refused_by_name() {
    let backend = takes(0, "x").await;
    let house = before(&[&backend], vec![public(Method::Get, "/x")]).await;
    let routes = vec![
        hedged(50, 10, public(Method::Put, "/a")),
        hedged(5_001, 10, public(Method::Get, "/a")),
        hedged(50, 101, public(Method::Get, "/b")),
    ];
    let faults = house.gateway.apply(config(vec![backend.address.clone()], routes)).unwrap_err().faults;
    let expected = [
        "routes[0].hedge: is for reads alone: a write is never made twice at once",
        "routes[1].hedge.afterMs: must be from 1 to timeoutMs (5000), and 60000 at most",
        "routes[2].hedge.percentMax: must be from 1 to 100",
    ];
    assert_eq!(faults, expected);
}
