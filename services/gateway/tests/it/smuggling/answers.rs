//! The service's side: answers that two readers could read differently are no answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use settings::{Method, Route};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::backend::{Backend, read_head};
use crate::house::{House, config, public};

/// What the client gets for a service's answer.
enum Then {
    /// This body, whole, under this status.
    Whole(u16, &'static str),
    /// That the service broke off.
    Broken,
    /// A head of 200, and less of a body than it should be.
    Half,
}
use Then::{Broken, Half, Whole};

#[rustfmt::skip]
const CASES: &[(&str, &[u8], Then)] = &[
    // The body's end (RFC 9112 §6.3)
    ("length", b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", Whole(200, "ok")),
    ("chunked", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", Whole(200, "ok")),
    ("until the end", b"HTTP/1.1 200 OK\r\n\r\nok", Whole(200, "ok")),
    ("HTTP/1.0", b"HTTP/1.0 200 OK\r\n\r\nok", Whole(200, "ok")),
    ("length beside a coding", b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", Broken),
    ("coding beside a length", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 1\r\n\r\n2\r\nok\r\n0\r\n\r\n", Broken),
    ("two lengths", b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 1\r\n\r\nok", Broken),
    ("same length twice", b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nok", Broken),
    ("lengths in a list", b"HTTP/1.1 200 OK\r\ncontent-length: 2, 2\r\n\r\nok", Broken),
    ("length with a sign", b"HTTP/1.1 200 OK\r\ncontent-length: +2\r\n\r\nok", Broken),
    ("length that is none", b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\nok", Broken),
    ("length of no body", b"HTTP/1.1 304 Not Modified\r\ncontent-length: x\r\n\r\n", Broken),
    ("another coding", b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nok", Broken),
    ("another coding, chunked", b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", Broken),
    ("chunked twice", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", Broken),
    ("coding in HTTP/1.0", b"HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", Broken),
    ("less than the length", b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok", Half),
    ("size that is none", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\nzz\r\n", Half),
    ("no last chunk", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n", Half),
    ("more than the length", b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil", Whole(200, "ok")),
    ("more than the last chunk", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil", Whole(200, "ok")),
    ("body of 204", b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil", Whole(204, "")),

    // Lines (RFC 9112 §4, §5)
    ("garbage", b"nonsense\r\n\r\n", Broken),
    ("HTTP/0.9", b"<html></html>", Broken),
    ("nothing", b"", Broken),
    ("HTTP/2's preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Broken),
    ("status of two digits", b"HTTP/1.1 20 OK\r\n\r\n", Broken),
    ("folded", b"HTTP/1.1 200 OK\r\nx: y\r\n folded\r\ncontent-length: 0\r\n\r\n", Broken),
    ("space before the colon", b"HTTP/1.1 200 OK\r\ncontent-length : 2\r\n\r\nok", Broken),
    ("NUL in a value", b"HTTP/1.1 200 OK\r\nx: a\0b\r\ncontent-length: 0\r\n\r\n", Broken),
    ("bare CR in a value", b"HTTP/1.1 200 OK\r\nx: a\rset-cookie: b\r\ncontent-length: 0\r\n\r\n", Broken),

    // Interim answers (RFC 9110 §15.2)
    ("interim answers", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: <x>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", Whole(200, "ok")),
    ("101 to nobody's wish", b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n", Broken),
];

/// Whatever a service says, the next client's request is answered by its own answer.
#[tokio::test]
async fn each_is_passed_on_whole_or_the_client_is_told() {
    let mut wrong = Vec::new();
    for (name, bytes, then) in CASES {
        // The first answer on the first connection is the case's; others are in order.
        let backend = Backend::raw(move |mut stream, number| async move {
            read_head(&mut stream).await;
            let answer =
                if number == 0 { bytes } else { &b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nnext"[..] };
            let _ = stream.write_all(answer).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        })
        .await;
        let house =
            House::before(&backend, vec![public(Method::Post, "/x"), public(Method::Get, "/x")]).await;
        let mut client = house.client().await;
        client.send("POST /x HTTP/1.1\r\nhost: a\r\n\r\n").await;
        let answer = client.answer().await.unwrap_or_else(|| panic!("{name}: no answer"));
        let is_so = match then {
            Whole(status, body) => answer.status == *status && answer.whole && answer.body == body.as_bytes(),
            Broken => {
                answer.status == 503 && answer.header("content-type") == Some("application/problem+json")
            }
            Half => answer.status == 200 && !answer.whole,
        };
        let next = house.get("/x").await;
        if !is_so || next.body != b"next" {
            wrong.push(format!("{name}: {answer:?}, then {next:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), CASES.len(), wrong.join("\n"));
}

#[tokio::test]
async fn interim_answers_without_end_last_as_long_as_the_route_allows() {
    let written = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&written);
    let backend = Backend::raw(move |mut stream, _| {
        let count = Arc::clone(&count);
        async move {
            read_head(&mut stream).await;
            while stream.write_all(b"HTTP/1.1 102 Processing\r\n\r\n").await.is_ok() {
                count.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
            }
        }
    })
    .await;
    let route = Route { timeout_ms: 300, ..public(Method::Get, "/x") };
    let house = House::before(&backend, vec![route]).await;
    house.get("/x").await.assert_problem(504, "deadline-exceeded");
    assert!(written.load(Ordering::SeqCst) > 100);
}

/// A service may answer before it has read a body, and need not read the rest.
#[tokio::test]
async fn an_early_answer_reaches_a_client_that_still_sends() {
    let backend = Backend::raw(|mut stream, _| async move {
        read_head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 409 Conflict\r\ncontent-length: 2\r\n\r\nno").await;
        let mut rest = [0; 1024];
        while matches!(stream.read(&mut rest).await, Ok(1..)) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let mut config = config(vec![backend.address.clone()], vec![public(Method::Post, "/x")]);
    config.body_bytes_max = 4 * 1024 * 1024;
    let house = House::with(config).await;
    let mut client = house.client().await;
    client.send("POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 800000\r\n\r\n").await;
    for _ in 0..8 {
        client.send(vec![b'x'; 100_000]).await;
    }
    let answer = client.answer().await.unwrap();
    assert_eq!((answer.status, answer.text()), (409, "no"));
}

/// The gateway writes problem documents in the place of its parser's own answers, and of nothing else.
#[tokio::test]
async fn a_body_that_reads_like_the_parsers_answer_is_left_as_it_is() {
    const LIKE: &str = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    let backend = Backend::raw(|mut stream, _| async move {
        read_head(&mut stream).await;
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", 2 + LIKE.len());
        for part in [head.as_str(), "ok", LIKE] {
            let _ = stream.write_all(part.as_bytes()).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let house = House::before(&backend, vec![public(Method::Get, "/x")]).await;
    assert_eq!(house.get("/x").await.text(), format!("ok{LIKE}"));
}
