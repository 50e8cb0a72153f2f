//! What is held in memory for a while, for many at once: bounded together, and without it everything passes all the same.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use settings::{Fallback, Method, Route, Upstream};
use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::backend::{Backend, eventually, read_head};
use crate::house::{House, config, public};
use crate::http2;

const BODY_BYTES: usize = 60 * 1024;
const ANSWER_BYTES: usize = 240 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_bodies_are_read_first_as_long_as_there_is_room_and_streamed_beyond() {
    let backend = Backend::raw(|mut stream, _| async move {
        read_head(&mut stream).await;
        std::future::pending::<()>().await;
    })
    .await;
    let route = Route { timeout_ms: 60_000, ..public(Method::Post, "/x") };
    let (front, house) = http2::house(&backend, vec![route]).await;
    let mut under_way = JoinSet::new();
    // 16 MiB of room, and each sends 60 KiB, and not the last of them.
    for (count, reached) in [(200, false), (100, true)] {
        let mut client = http2::client(&front, &house).await;
        for number in 0..count {
            if number % 100 == 0 {
                client = http2::client(&front, &house).await;
            }
            let part = Bytes::from(vec![b'x'; BODY_BYTES]);
            let parts = stream::iter([Ok::<_, Infallible>(Frame::data(part))]).chain(stream::pending());
            let mut request = http2::request("POST", "/x", StreamBody::new(parts).boxed_unsync());
            request.headers_mut().insert("content-length", (BODY_BYTES + 1).into());
            under_way.spawn(client.send_request(request));
        }
        if reached {
            eventually("those for whom there is no room are sent on", || backend.connections() > 0).await;
        } else {
            sleep(Duration::from_millis(800)).await;
            assert_eq!(backend.connections(), 0, "the service waits for nobody");
        }
    }
    let streamed = backend.connections();
    assert!(streamed < 60, "{streamed}");
    // There is room again when they are gone.
    drop(under_way);
    eventually("they are gone", || crate::house::counts(&house, "requests_in_flight", 0)).await;
    let streamed = backend.connections();
    let mut client = house_client(&front, &house).await;
    client.write_all(b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf").await.unwrap();
    client.flush().await.unwrap();
    sleep(Duration::from_millis(300)).await;
    assert_eq!(backend.connections(), streamed);
}

async fn house_client(
    front: &crate::front::Front,
    house: &House,
) -> tokio_rustls::client::TlsStream<tokio::net::TcpStream> {
    front.connect(house.address, &["http/1.1"]).await
}

fn kept(house: &House) -> usize {
    let page = house.metrics.page();
    let line = page.lines().find(|line| line.starts_with("healthcare_gateway_kept_answers{"));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap()
}

#[tokio::test]
async fn answers_are_copied_for_later_as_long_as_there_is_room() {
    let may_end = Arc::new(Semaphore::new(0));
    let end = Arc::clone(&may_end);
    let backend = Backend::raw(move |mut stream, _| {
        let end = Arc::clone(&end);
        async move {
            while !read_head(&mut stream).await.is_empty() {
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", ANSWER_BYTES + 3);
                let _ = stream.write_all(head.as_bytes()).await;
                let _ = stream.write_all(&vec![b'a'; ANSWER_BYTES]).await;
                let _end = end.acquire().await;
                let _ = stream.write_all(b"end").await;
            }
        }
    })
    .await;
    let stale = Fallback::StaleRead { max_age_seconds: 300 };
    let route = Route {
        service: "provider-service".to_owned(),
        fallback: Some(stale),
        timeout_ms: 60_000,
        ..public(Method::Get, "/x")
    };
    let mut config = config(Vec::new(), vec![route]);
    let endpoints = vec![backend.address.clone()];
    config.upstreams = BTreeMap::from([("provider-service".to_owned(), Upstream::from(endpoints))]);
    let house = House::with(config).await;
    let mut clients = JoinSet::new();
    for number in 0..48 {
        let mut client = house.client().await;
        clients.spawn(async move { client.ask("GET", &format!("/x?{number}"), &[], "").await.whole });
    }
    eventually("all are under way", || backend.connections() == 48).await;
    // Each is copied up to its last bytes by then.
    sleep(Duration::from_secs(1)).await;
    may_end.add_permits(1_000);
    assert!(clients.join_all().await.into_iter().all(|whole| whole), "they pass all the same");
    // 8 MiB of room.
    let together = kept(&house);
    assert!((20..=34).contains(&together), "{together}");
    assert!(house.get("/x?alone").await.whole);
    eventually("there is room again", || kept(&house) == together + 1).await;
}
