//! Nothing is gathered on its way but small bodies: events and uploads pass as they come, trailers at their end, and bodies when they are wanted.

use std::sync::Arc;
use std::time::Duration;

use settings::{Method, Route};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use crate::backend::{Backend, read_head};
use crate::house::{House, guarded, public};

/// Reads until the text has been said.
pub(crate) async fn hear(stream: &mut TcpStream, heard: &mut Vec<u8>, text: &str) -> bool {
    let listen = async {
        while !String::from_utf8_lossy(heard).contains(text) {
            if !matches!(stream.read_buf(heard).await, Ok(1..)) {
                return false;
            }
        }
        true
    };
    timeout(Duration::from_secs(10), listen).await.unwrap_or(false)
}

#[tokio::test]
async fn an_event_reaches_the_client_before_the_next_one_happens() {
    let next = Arc::new(Notify::new());
    let happens = Arc::clone(&next);
    let backend = Backend::raw(move |mut stream, _| {
        let happens = Arc::clone(&happens);
        async move {
            read_head(&mut stream).await;
            let head =
                "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
            stream.write_all(head.as_bytes()).await.unwrap();
            for number in 0..5 {
                stream.write_all(format!("9\r\ndata: {number}\n\n\r\n").as_bytes()).await.unwrap();
                happens.notified().await;
            }
        }
    })
    .await;
    let house = House::before(&backend, vec![public(Method::Get, "/events")]).await;
    let mut client = house.client().await;
    client.send("GET /events HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let mut heard = Vec::new();
    for number in 0..5 {
        assert!(hear(&mut client.stream, &mut heard, &format!("data: {number}\n\n")).await);
        next.notify_one();
    }
}

/// Of a body in chunks only its last chunk tells that it is whole.
#[tokio::test]
async fn an_answer_in_chunks_is_an_answer_like_any_other() {
    let backend = Backend::raw(|mut stream, _| async move {
        for _ in 0..3 {
            read_head(&mut stream).await;
            let answer = "HTTP/1.1 500 Oh\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    })
    .await;
    let house = House::before(&backend, vec![public(Method::Get, "/x")]).await;
    for _ in 0..3 {
        let answer = house.get("/x").await;
        assert_eq!((answer.status, answer.text()), (500, "ok"));
    }
    assert_eq!(backend.connections(), 1, "the connection is kept");
    let report = house.gateway.report();
    assert_eq!((report.metrics.requests, report.metrics.errors), (3, 3));
}

#[tokio::test]
async fn a_part_of_an_upload_reaches_the_service_before_the_next_is_sent() {
    let heard = Arc::new(Notify::new());
    let hears = Arc::clone(&heard);
    let backend = Backend::raw(move |mut stream, _| {
        let hears = Arc::clone(&hears);
        async move {
            let mut bytes = read_head(&mut stream).await.into_bytes();
            for number in 0..5 {
                if !hear(&mut stream, &mut bytes, &format!("part {number}")).await {
                    return;
                }
                hears.notify_one();
            }
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        }
    })
    .await;
    let house = House::before(&backend, vec![public(Method::Post, "/x")]).await;
    let mut client = house.client().await;
    client.send("POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n").await;
    for number in 0..5 {
        client.send(format!("6\r\npart {number}\r\n")).await;
        timeout(Duration::from_secs(10), heard.notified()).await.unwrap();
    }
    client.send("0\r\n\r\n").await;
    assert_eq!(client.answer().await.unwrap().text(), "ok");
}

#[tokio::test]
async fn an_answers_trailers_reach_a_client_that_takes_them() {
    let backend = Backend::raw(|mut stream, _| async move {
        while read_head(&mut stream).await.contains("te: trailers\r\n") {
            let answer = "HTTP/1.1 200 OK\r\ntrailer: x-sum, content-length\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-sum: 7\r\n\
                          x-other: 1\r\ncontent-length: 9\r\n\r\n";
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n").await;
    })
    .await;
    let house = House::before(&backend, vec![public(Method::Get, "/x")]).await;
    let mut client = house.client().await;
    client.send("GET /x HTTP/1.1\r\nhost: a\r\nconnection: te\r\nte: trailers\r\n\r\n").await;
    let mut heard = Vec::new();
    assert!(
        hear(&mut client.stream, &mut heard, "ok\r\n0\r\nx-sum: 7\r\n\r\n").await,
        "{}",
        String::from_utf8_lossy(&heard)
    );
    assert_eq!(house.get("/x").await.body, b"", "who takes none is not said to take any");
}

const EXPECTING: &str = "POST /x HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n";

/// Reads a head, makes sure that no body comes, says `first`, and if a body comes then, `ok`.
async fn deciding(first: &'static str) -> Backend {
    Backend::raw(move |mut stream, _| async move {
        let head = read_head(&mut stream).await;
        assert!(head.contains("expect: 100-continue\r\n") && head.ends_with("\r\n\r\n"), "{head}");
        let mut body = Vec::new();
        let soon = timeout(Duration::from_millis(200), stream.read_buf(&mut body)).await;
        assert!(soon.is_err(), "nobody has asked for a body yet");
        stream.write_all(first.as_bytes()).await.unwrap();
        if hear(&mut stream, &mut body, "body").await {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        }
    })
    .await
}

#[tokio::test]
async fn the_client_is_told_to_go_on_when_the_service_says_so() {
    let backend = deciding("HTTP/1.1 100 Continue\r\n\r\n").await;
    // One that could be sent again is not gathered before either.
    let retries = settings::Retries {
        attempts: 2,
        base_backoff_ms: 1,
        max_backoff_ms: 5,
        budget_percent: 100,
        per_try_ms: None,
    };
    let route = |method| Route { retries: Some(retries), ..public(method, "/x") };
    let house = House::before(&backend, vec![route(Method::Post), route(Method::Put)]).await;
    for method in ["POST", "PUT"] {
        let mut client = house.client().await;
        let since = Instant::now();
        client.send(EXPECTING.replace("POST", method)).await;
        assert_eq!(client.answer_100().await, 100);
        assert!(since.elapsed() > Duration::from_millis(190), "not before the service has said so");
        client.send("body").await;
        assert_eq!(client.answer().await.unwrap().text(), "ok");
    }
}

#[tokio::test]
async fn a_service_that_declines_is_heard_and_no_body_asked_for() {
    let backend = deciding("HTTP/1.1 409 Conflict\r\ncontent-length: 2\r\n\r\nno").await;
    let house = House::before(&backend, vec![public(Method::Post, "/x")]).await;
    let mut client = house.client().await;
    client.send(EXPECTING).await;
    let answer = client.answer().await.unwrap();
    assert_eq!((answer.status, answer.text()), (409, "no"), "and no 100 before it");
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn who_may_not_pass_is_told_that_instead_of_to_go_on() {
    let backend = Backend::echo().await;
    let house = House::before(&backend, vec![guarded(Method::Post, "/x", &["patients:write"])]).await;
    let mut client = house.client().await;
    client.send(EXPECTING).await;
    let answer = client.answer().await.unwrap();
    answer.assert_problem(401, "unauthenticated");
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(client.is_closed().await);
    assert_eq!(backend.connections(), 0);
}

#[tokio::test]
async fn a_service_that_knows_no_expectations_gets_the_body_after_a_second() {
    let backend = deciding("").await;
    let house = House::before(&backend, vec![public(Method::Post, "/x")]).await;
    let mut client = house.client().await;
    let since = Instant::now();
    client.send(EXPECTING).await;
    assert_eq!(client.answer_100().await, 100);
    assert!(since.elapsed() > Duration::from_millis(900));
    client.send("body").await;
    assert_eq!(client.answer().await.unwrap().text(), "ok");
}

/// To the kernel a window that stays shut for three seconds looks like a machine without power.
#[tokio::test]
async fn an_upload_to_a_service_that_reads_late_arrives() {
    const BYTES: usize = 24 << 20;
    let backend = Backend::raw(|mut stream, _| async move {
        let head = read_head(&mut stream).await;
        // Longer than a client would be waited for.
        tokio::time::sleep(Duration::from_secs(7)).await;
        let mut read = head.split_once("\r\n\r\n").unwrap().1.len();
        let mut buffer = vec![0; 64 * 1024];
        while read < BYTES {
            match stream.read(&mut buffer).await {
                Ok(more @ 1..) => read += more,
                _ => return,
            }
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
    })
    .await;
    let route =
        Route { timeout_ms: 25_000, body_bytes_max: Some(BYTES as u64), ..public(Method::Post, "/upload") };
    let house = House::before(&backend, vec![route]).await;
    let mut client = house.client().await;
    client.send(format!("POST /upload HTTP/1.1\r\nhost: a\r\ncontent-length: {BYTES}\r\n\r\n")).await;
    client.send(vec![b'x'; BYTES]).await;
    let answer = client.answer().await.unwrap();
    assert_eq!((answer.status, answer.text()), (200, "ok"));
}
