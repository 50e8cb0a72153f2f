//! Connections to services: which of them the next request is sent on, and who is blamed when one ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use settings::{Ejection, Method};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Barrier, Notify};

use crate::backend::{Backend, read_head};
use crate::house::{House, captured_log, config, public};

/// Tokio lets a task read from so many sockets before it must give way to others.
const ONE_TURN: usize = 128;

/// A service that was restarted has closed more kept connections than one task can look at in its turn.
#[tokio::test]
async fn however_many_connections_were_closed_a_write_is_sent_on_one_that_is_open() {
    let (all, close) = (Arc::new(Barrier::new(ONE_TURN + 2)), Arc::new(Notify::new()));
    let (there, end) = (Arc::clone(&all), Arc::clone(&close));
    let backend = Backend::raw(move |mut stream, number| {
        let (there, end) = (Arc::clone(&there), Arc::clone(&end));
        async move {
            read_head(&mut stream).await;
            let is_before = number < ONE_TURN + 2;
            if is_before {
                there.wait().await;
            }
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
            if is_before {
                end.notified().await;
            } else {
                read_head(&mut stream).await;
            }
        }
    })
    .await;
    let routes = vec![public(Method::Get, "/x"), public(Method::Post, "/x")];
    let mut config = config(vec![backend.address.clone()], routes);
    // However many at once.
    config.upstreams.get_mut("patient-service").unwrap().concurrency.max = 0;
    let house = House::with(config).await;
    let many = (0..ONE_TURN + 2).map(|_| house.get("/x"));
    assert!(futures_util::future::join_all(many).await.iter().all(|answer| answer.status == 200));
    close.notify_waiters();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let answer = house.ask("POST", "/x", &[], "written once").await;
    assert_eq!((answer.status, answer.text()), (200, "ok"));
}

/// What comes a moment after an answer that has no body may be a body all the same, or somebody else's answer.
#[tokio::test]
async fn a_connection_is_not_used_again_after_an_answer_that_announces_a_body_and_has_none() {
    for head in ["content-length: 40", "transfer-encoding: chunked"] {
        let backend = Backend::raw(move |mut stream, _| async move {
            let mut number = 0;
            while !read_head(&mut stream).await.is_empty() {
                let text = if number == 0 {
                    format!("HTTP/1.1 204 No Content\r\n{head}\r\n\r\n")
                } else {
                    "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil".to_owned()
                };
                number += 1;
                let _ = stream.write_all(text.as_bytes()).await;
            }
        })
        .await;
        let house = House::before(&backend, vec![public(Method::Get, "/x")]).await;
        for _ in 0..3 {
            assert_eq!(house.get("/x").await.status, 204, "{head}");
        }
        assert_eq!(backend.connections(), 3, "{head}");
    }
}

/// A service that has begun to answer did not close an idle connection: it failed, and is asked again only as its route says.
#[tokio::test]
async fn what_breaks_off_after_the_first_byte_of_an_answer_is_not_sent_again_in_silence() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let backend = Backend::raw(move |mut stream, _| {
        let count = Arc::clone(&count);
        async move {
            for number in 0.. {
                if read_head(&mut stream).await.is_empty() {
                    return;
                }
                count.fetch_add(1, Ordering::SeqCst);
                let is_first = number == 0;
                let text: &[u8] = if is_first {
                    b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
                } else {
                    b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 20"
                };
                let _ = stream.write_all(text).await;
                if !is_first {
                    return;
                }
            }
        }
    })
    .await;
    let house = House::before(&backend, vec![public(Method::Get, "/x")]).await;
    assert_eq!(house.get("/x").await.status, 200);
    house.get("/x").await.assert_problem(503, "unavailable");
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

/// One client could else have every endpoint of a public route set aside.
#[tokio::test]
async fn who_breaks_off_an_upload_speaks_against_nobody_else() {
    let answer_slowly = || {
        Backend::raw(|mut stream, _| async move {
            read_head(&mut stream).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nhalf").await;
            let mut rest = [0; 64];
            while matches!(stream.read(&mut rest).await, Ok(1..)) {}
        })
    };
    let log = captured_log();
    let (one, other) = (answer_slowly().await, answer_slowly().await);
    let endpoints = vec![one.address.clone(), other.address.clone()];
    let mut config = config(endpoints.clone(), vec![public(Method::Post, "/x")]);
    config.upstreams.get_mut("patient-service").unwrap().ejection =
        Ejection { failures: 1, ..Ejection::default() };
    let house = House::with(config).await;
    for _ in 0..6 {
        let mut client = house.client().await;
        client.send("POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n").await;
        tokio::time::sleep(Duration::from_millis(30)).await;
        client.send("zz\r\n").await;
        let answer = client.answer().await.expect("the answer's beginning");
        assert!(answer.status == 200 && !answer.whole, "{answer:?}");
    }
    let log = log.lock().unwrap();
    let is_told = |line: &&str| {
        line.contains("is set aside") && endpoints.iter().any(|endpoint| line.contains(&endpoint.to_string()))
    };
    assert_eq!(log.lines().filter(is_told).count(), 0);
}

/// What a service does wrong is for whoever runs it to hear of.
#[tokio::test]
async fn an_answer_that_makes_no_sense_is_told_of_in_the_log() {
    let log = captured_log();
    let backend = Backend::raw(|mut stream, _| async move {
        read_head(&mut stream).await;
        let _ =
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok").await;
    })
    .await;
    let house = House::before(&backend, vec![public(Method::Get, "/x")]).await;
    for _ in 0..3 {
        house.get("/x").await.assert_problem(503, "unavailable");
    }
    let authority = backend.address.authority().unwrap().to_owned();
    let log = log.lock().unwrap();
    let told = log.lines().filter(|line| line.contains("is not passed on") && line.contains(&authority));
    assert_eq!(told.count(), 1, "once, and not for each request");
}
