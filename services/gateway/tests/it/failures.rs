//! Services that fail, each in its own way, and what the client gets then.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use settings::{Breaker, Method, Retries, Route};
use tokio::io::AsyncWriteExt;

use crate::backend::{Backend, eventually, read_head};
use crate::house::{House, config, public};

const RETRIES: Retries =
    Retries { attempts: 2, base_backoff_ms: 1, max_backoff_ms: 5, budget_percent: 100, per_try_ms: None };

fn retried(method: Method) -> Route {
    Route { retries: Some(RETRIES), ..public(method, "/x") }
}

fn all_retried() -> Vec<Route> {
    [Method::Get, Method::Post, Method::Put, Method::Patch, Method::Delete].map(retried).into()
}

/// Fails so many times with a status, then answers with what it was sent.
async fn flaky(times: usize, status: u16) -> Backend {
    let count = Arc::new(AtomicUsize::new(0));
    Backend::answering(move |request| {
        let is_failure = count.fetch_add(1, Ordering::SeqCst) < times;
        async move {
            let mut response = Response::new(Full::new(request.into_body()));
            if is_failure {
                *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
            }
            response
        }
    })
    .await
}

#[tokio::test]
async fn a_service_that_is_not_there_is_503_with_retry_after() {
    let house = House::with(config(vec![Backend::nobody()], all_retried())).await;
    for method in ["GET", "POST", "PUT"] {
        let answer = house.ask(method, "/x", &[], "").await;
        answer.assert_problem(503, "unavailable");
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    let none = House::with(config(Vec::new(), all_retried())).await;
    none.get("/x").await.assert_problem(503, "unavailable");
}

#[tokio::test]
async fn a_hanging_service_is_504_when_the_routes_time_is_up() {
    let backend = Backend::raw(|mut stream, _| async move {
        read_head(&mut stream).await;
        std::future::pending::<()>().await;
    })
    .await;
    let routes = vec![
        Route { timeout_ms: 100, ..retried(Method::Get) },
        Route { timeout_ms: 100, ..public(Method::Post, "/x") },
    ];
    let house = House::before(&backend, routes).await;
    house.get("/x").await.assert_problem(504, "deadline-exceeded");
    house.ask("POST", "/x", &[], "{}").await.assert_problem(504, "deadline-exceeded");
    assert_eq!(backend.connections(), 2, "a hang is not tried again: there is no time left");
}

#[tokio::test]
async fn what_is_safe_to_repeat_is_repeated() {
    for (method, body) in [("GET", ""), ("PUT", "{\"a\":1}"), ("DELETE", "")] {
        let backend = flaky(2, 503).await;
        let house = House::before(&backend, all_retried()).await;
        let answer = house.ask(method, "/x", &[], body).await;
        assert_eq!((answer.status, answer.text()), (200, body), "{method}");
        assert_eq!(backend.requests().len(), 3);
        assert!(backend.requests().iter().all(|seen| seen.body == body.as_bytes()));
    }
}

#[tokio::test]
async fn a_post_is_repeated_only_with_an_idempotency_key() {
    let backend = flaky(1, 503).await;
    let house = House::before(&backend, all_retried()).await;
    assert_eq!(house.ask("POST", "/x", &[], "{}").await.status, 503);
    assert_eq!(backend.requests().len(), 1);
    assert_eq!(house.ask("PATCH", "/x", &[], "{}").await.status, 200);

    let backend = flaky(1, 503).await;
    let house = House::before(&backend, all_retried()).await;
    assert_eq!(house.ask("POST", "/x", &[("idempotency-key", "k1")], "{}").await.status, 200);
    assert_eq!(backend.requests().len(), 2);
}

#[tokio::test]
async fn a_fault_that_would_come_again_is_passed_on_as_it_is() {
    let backend = flaky(1, 500).await;
    let house = House::before(&backend, all_retried()).await;
    assert_eq!(house.get("/x").await.status, 500);
    assert_eq!(backend.requests().len(), 1);
}

#[tokio::test]
async fn a_reset_before_the_answer_is_503_for_a_post_and_another_try_for_a_get() {
    let resets_first = |stream: tokio::net::TcpStream, number: usize| async move {
        let mut stream = stream;
        read_head(&mut stream).await;
        if number > 0 {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
            read_head(&mut stream).await;
        }
    };
    let backend = Backend::raw(resets_first).await;
    let house = House::before(&backend, all_retried()).await;
    assert_eq!(house.get("/x").await.text(), "ok");
    let backend = Backend::raw(resets_first).await;
    let house = House::before(&backend, all_retried()).await;
    house.ask("POST", "/x", &[], "{}").await.assert_problem(503, "unavailable");
    assert_eq!(backend.connections(), 1, "it may have happened");
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_meanwhile_is_not_the_clients_concern() {
    // Answers one request per connection and closes without saying so.
    let backend = Backend::raw(|mut stream, _| async move {
        read_head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    })
    .await;
    let house = House::before(&backend, vec![public(Method::Get, "/x")]).await;
    let mut client = house.client().await;
    for _ in 0..20 {
        assert_eq!(client.ask("GET", "/x", &[], "").await.status, 200);
    }
}

#[tokio::test]
async fn a_kept_connection_closed_just_as_it_is_used_is_retried_for_get_and_not_for_post() {
    // Answers the first request on a connection, and hangs up on the second after reading it.
    let hangs_up = |stream: tokio::net::TcpStream, _| async move {
        let mut stream = stream;
        read_head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        read_head(&mut stream).await;
    };
    let backend = Backend::raw(hangs_up).await;
    let routes = vec![public(Method::Get, "/x"), public(Method::Post, "/x")];
    let house = House::before(&backend, routes).await;
    let mut client = house.client().await;
    for _ in 0..4 {
        assert_eq!(client.ask("GET", "/x", &[], "").await.status, 200);
    }
    assert_eq!(backend.connections(), 4);
    client.ask("POST", "/x", &[], "{}").await.assert_problem(503, "unavailable");
    assert_eq!(backend.connections(), 4);
}

#[tokio::test]
async fn a_request_meets_a_kept_connection_that_was_closed_no_more_than_once() {
    // The first request on a connection is answered, and the second read and hung up on.
    let heads = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&heads);
    let hangs_up = move |stream: tokio::net::TcpStream, _: usize| {
        let heads = Arc::clone(&count);
        async move {
            let mut stream = stream;
            let head = read_head(&mut stream).await;
            heads.fetch_add(1, Ordering::SeqCst);
            let status = if head.starts_with("GET /warm") { "200 OK" } else { "503 Sick" };
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\nok");
            let _ = stream.write_all(answer.as_bytes()).await;
            if !read_head(&mut stream).await.is_empty() {
                heads.fetch_add(1, Ordering::SeqCst);
            }
        }
    };
    let (one, other) = (Backend::raw(hangs_up.clone()).await, Backend::raw(hangs_up).await);
    let route = Route { retries: Some(RETRIES), ..public(Method::Get, "/x") };
    let routes = vec![public(Method::Get, "/warm"), route];
    let house = House::with(config(vec![one.address.clone(), other.address.clone()], routes)).await;
    for _ in 0..2 {
        assert_eq!(house.get("/warm").await.status, 200);
    }
    assert_eq!((one.connections(), other.connections()), (1, 1));
    assert_eq!(house.get("/x").await.status, 503);
    let attempts = 1 + usize::try_from(RETRIES.attempts).unwrap();
    assert_eq!(heads.load(Ordering::SeqCst), 2 + attempts + 1, "one is sent twice");
}

#[tokio::test]
async fn garbage_instead_of_an_answer_is_503() {
    for garbage in
        [&b"SSH-2.0-OpenSSH_9.2\r\n\r\n"[..], b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 101 Switching\r\n\r\n"]
    {
        let backend = Backend::raw(move |mut stream, _| async move {
            read_head(&mut stream).await;
            let _ = stream.write_all(garbage).await;
            read_head(&mut stream).await;
        })
        .await;
        let house = House::before(&backend, vec![public(Method::Get, "/x")]).await;
        house.get("/x").await.assert_problem(503, "unavailable");
    }
}

#[tokio::test]
async fn half_a_body_reaches_the_client_as_a_broken_answer_and_counts_as_an_error() {
    let backend = Backend::raw(|mut stream, _| async move {
        read_head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").await;
    })
    .await;
    let house = House::before(&backend, vec![public(Method::Get, "/x")]).await;
    let answer = house.get("/x").await;
    assert!(!answer.whole, "{answer:?}");
    eventually("the error is counted", || house.gateway.report().metrics.errors == 1).await;
}

#[tokio::test]
async fn a_sick_endpoint_is_left_alone_while_another_is_well() {
    let (sick, well) = (Backend::status(503).await, Backend::echo().await);
    let route = Route { retries: Some(RETRIES), ..public(Method::Get, "/x") };
    let breaker = Breaker { window_calls: 4, min_calls: 2, open_ms: 60_000, ..Breaker::default() };
    let route = Route { circuit_breaker: Some(breaker), ..route };
    let house = House::with(config(vec![sick.address.clone(), well.address.clone()], vec![route])).await;
    for _ in 0..20 {
        assert_eq!(house.get("/x").await.status, 200);
    }
    assert_eq!(sick.requests().len(), 2);
    let page = house.metrics.page();
    let line = format!("endpoint=\"{}\"}} 2", sick.address);
    assert!(page.lines().any(|at| at.contains("gateway_breaker_state") && at.ends_with(&line)), "{page}");
}

#[tokio::test]
async fn with_every_endpoint_at_rest_the_answer_is_503_at_once_and_probes_bring_it_back() {
    let count = Arc::new(AtomicUsize::new(0));
    let is_well = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (asked, well) = (Arc::clone(&count), Arc::clone(&is_well));
    let backend = Backend::answering(move |_| {
        asked.fetch_add(1, Ordering::SeqCst);
        let status = if well.load(Ordering::SeqCst) { 200 } else { 500 };
        async move {
            let mut response = Response::new(Full::new(Bytes::new()));
            *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
            response
        }
    })
    .await;
    let breaker =
        Breaker { window_calls: 4, min_calls: 2, open_ms: 200, half_open_calls: 1, ..Breaker::default() };
    let route = Route { circuit_breaker: Some(breaker), ..public(Method::Get, "/x") };
    let house = House::before(&backend, vec![route]).await;
    assert_eq!((house.get("/x").await.status, house.get("/x").await.status), (500, 500));
    let refused = house.get("/x").await;
    refused.assert_problem(503, "unavailable");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(count.load(Ordering::SeqCst), 2, "the third was not sent");
    is_well.store(true, Ordering::SeqCst);
    for _ in 0..200 {
        if house.get("/x").await.status == 200 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the breaker never closed");
}

#[tokio::test]
async fn a_client_that_leaves_takes_nothing_with_it() {
    let backend = Backend::raw(|mut stream, number| async move {
        read_head(&mut stream).await;
        if number == 0 {
            // The gateway hangs up on us when its client has gone.
            read_head(&mut stream).await;
            return;
        }
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    })
    .await;
    let house = House::before(&backend, vec![public(Method::Get, "/x")]).await;
    let mut client = house.client().await;
    client.send(crate::wire::request("GET", "/x", &[], "")).await;
    eventually("the request arrived", || backend.connections() == 1).await;
    drop(client);
    eventually("it is counted as given up", || {
        house.metrics.page().contains("gateway_aborted_total{service=\"api-gateway\"} 1")
    })
    .await;
    assert_eq!(house.get("/x").await.text(), "ok");
    assert_eq!(house.gateway.report().metrics.errors, 0);
}
