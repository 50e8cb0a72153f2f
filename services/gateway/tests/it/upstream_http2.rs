//! HTTP/2 towards services: many requests on one connection, and everything else as ever.

mod faults;
mod service;

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, Version};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use settings::{HealthCheck, Method, Protocol, Route};
use tokio::sync::Barrier;

use self::service::{behind_tls, converse, echo, full, service, told};
use crate::backend::{Backend, eventually};
use crate::house::{House, public};
use crate::streaming::hear;
use crate::upstream_tls::{Authority, Part, SERVICE};
use crate::wire::Client;

fn routes() -> Vec<Route> {
    [Method::Get, Method::Post, Method::Put].map(|method| public(method, "/x")).into()
}

async fn before(backend: &Backend) -> House {
    House::with(told(vec![backend.address.clone()], routes())).await
}

/// Answers when so many are there.
async fn all_together(count: usize, streams_max: u32) -> Backend {
    let all = Arc::new(Barrier::new(count));
    Backend::raw(move |stream, _| {
        let all = Arc::clone(&all);
        converse(stream, streams_max, None, move |request| {
            let all = Arc::clone(&all);
            async move {
                all.wait().await;
                echo(request).await
            }
        })
    })
    .await
}

async fn at_once(house: &House, count: usize) {
    let answers = (0..count).map(|_| house.get("/x?a"));
    for answer in futures_util::future::join_all(answers).await {
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

#[tokio::test]
async fn requests_share_a_connection() {
    let backend = all_together(50, 100).await;
    let house = before(&backend).await;
    at_once(&house, 50).await;
    assert_eq!(backend.connections(), 1);
}

#[tokio::test]
async fn where_a_service_takes_fewer_at_once_there_are_more_connections() {
    let backend = all_together(10, 4).await;
    let house = before(&backend).await;
    at_once(&house, 10).await;
    assert!((3..=4).contains(&backend.connections()), "{}", backend.connections());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_thread_has_a_connection_of_its_own() {
    let backend = service(echo).await;
    let house = House::on_threads(told(vec![backend.address.clone()], routes()), 2).await;
    for _ in 0..20 {
        at_once(&house, 10).await;
    }
    assert!(backend.connections() <= 2, "{}", backend.connections());
}

#[tokio::test]
async fn a_request_is_the_same_in_other_words() {
    let seen: Arc<Mutex<Vec<http::request::Parts>>> = Arc::default();
    let notes = Arc::clone(&seen);
    let backend = service(move |request: Request<_>| {
        let notes = Arc::clone(&notes);
        async move {
            let (head, body) = request.into_parts();
            notes.lock().unwrap().push(head.clone());
            echo(Request::from_parts(head, body)).await
        }
    })
    .await;
    let house = before(&backend).await;
    let headers = [("x-note", "one"), ("te", "trailers"), ("connection", "te, x-hop"), ("x-hop", "1")];
    let answer = house.ask("POST", "/x?a=b", &headers, "body").await;
    let authority = backend.address.authority().unwrap();
    assert_eq!(answer.text(), format!("POST http://{authority}/x?a=b 4 HTTP/2.0"));
    assert_eq!(
        (answer.header("content-length"), answer.header("cache-control")),
        (Some("44"), Some("no-store"))
    );
    let head = seen.lock().unwrap().remove(0);
    let header = |name: &str| head.headers.get(name).map(|value| value.to_str().unwrap());
    assert_eq!(head.version, Version::HTTP_2);
    for (name, value) in [
        ("x-note", Some("one")),
        ("te", Some("trailers")),
        ("content-length", Some("4")),
        ("x-forwarded-for", Some("127.0.0.1")),
        ("x-forwarded-proto", Some("http")),
        ("x-forwarded-host", Some("clinic.example")),
        ("forwarded", Some("for=127.0.0.1;proto=http")),
        ("x-request-id", answer.header("x-request-id")),
        ("host", None),
        ("connection", None),
        ("x-hop", None),
    ] {
        assert_eq!(header(name), value, "{name}");
    }
    assert!(header("traceparent").is_some());
    let left: u32 = header("x-request-timeout-ms").unwrap().parse().unwrap();
    assert!((4_000..=4_900).contains(&left), "{left}");
}

#[tokio::test]
async fn an_answer_to_head_has_no_body_and_one_without_a_body_has_none() {
    let backend = service(async |request: Request<_>| {
        let mut response = Response::new(full(if request.method() == "GET" { "" } else { "long" }));
        *response.status_mut() = if request.method() == "POST" { 204 } else { 200 }.try_into().unwrap();
        response
    })
    .await;
    let house = before(&backend).await;
    let mut client = house.client().await;
    for _ in 0..2 {
        assert_eq!(client.ask("HEAD", "/x", &[], "").await.header("content-length"), Some("4"));
        assert_eq!(client.ask("GET", "/x", &[], "").await.header("content-length"), Some("0"));
    }
}

#[tokio::test]
async fn bodies_pass_piece_by_piece_both_ways() {
    let backend = service(async |request: Request<hyper::body::Incoming>| {
        Response::new(request.into_body().boxed_unsync())
    })
    .await;
    let house = before(&backend).await;
    let mut client = house.client().await;
    client.send("POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n").await;
    let mut heard = Vec::new();
    for number in 0..5 {
        client.send(format!("6\r\npart {number}\r\n")).await;
        assert!(hear(&mut client.stream, &mut heard, &format!("part {number}")).await);
    }
    client.send("0\r\n\r\n").await;
    assert!(hear(&mut client.stream, &mut heard, "\r\n0\r\n\r\n").await);
    // What no window takes at once.
    let long = "x".repeat(3_000_000);
    let answer = house.ask("POST", "/x", &[], &long).await;
    assert!(answer.whole && answer.text() == long, "{}", answer.body.len());
    assert_eq!(backend.connections(), 1);
}

#[tokio::test]
async fn trailers_pass_both_ways_and_those_that_were_not_announced_do_not() {
    let backend = service(async |request: Request<hyper::body::Incoming>| {
        let came = request.into_body().collect().await.unwrap();
        let sum = came.trailers().map(|trailers| format!("{trailers:?}")).unwrap_or_default();
        let trailers = HeaderMap::from_iter([("x-sum".parse().unwrap(), sum.parse().unwrap())]);
        let frames = [Frame::data(Bytes::from_static(b"ok")), Frame::trailers(trailers)];
        let body = StreamBody::new(futures_util::stream::iter(frames.map(Ok))).boxed_unsync();
        Response::builder().header("trailer", "x-sum").body(body).unwrap()
    })
    .await;
    let house = before(&backend).await;
    let mut client = house.client().await;
    let head = "POST /x HTTP/1.1\r\nhost: a\r\nconnection: te\r\nte: trailers\r\ntrailer: x-a, authorization\r\ntransfer-encoding: chunked\r\n\r\n";
    client.send(format!("{head}2\r\nhi\r\n0\r\nx-a: 1\r\nx-b: 2\r\nauthorization: none\r\n\r\n")).await;
    let mut heard = Vec::new();
    assert!(
        hear(&mut client.stream, &mut heard, "x-sum: {\"x-a\": \"1\"}\r\n\r\n").await,
        "{}",
        String::from_utf8_lossy(&heard)
    );
}

/// Speaks what the client begins with, as the stack's services do.
async fn either() -> (Backend, Arc<AtomicUsize>) {
    let http1 = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&http1);
    let backend = Backend::raw(move |stream, _| {
        let count = Arc::clone(&count);
        async move {
            let answer = service_fn(move |request: Request<hyper::body::Incoming>| {
                let is_http1 = request.version() == Version::HTTP_11;
                count.fetch_add(usize::from(is_http1), Ordering::SeqCst);
                async move { Ok::<_, Infallible>(echo(request).await) }
            });
            let auto = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            let _ = auto.serve_connection(TokioIo::new(stream), answer).await;
        }
    })
    .await;
    (backend, http1)
}

#[tokio::test]
async fn what_http2_cannot_carry_goes_by_http_1() {
    let (backend, http1) = either().await;
    let house = before(&backend).await;
    let asked = [("connection", "upgrade"), ("upgrade", "websocket"), ("sec-websocket-key", "k")];
    assert!(house.ask("GET", "/x", &asked, "").await.text().ends_with("HTTP/1.1"));
    let mut client = house.client().await;
    client.send("POST /x HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n").await;
    assert_eq!(client.answer_100().await, 100);
    client.send("ok").await;
    assert!(client.answer().await.unwrap().text().ends_with("2 HTTP/1.1"));
    assert_eq!(http1.load(Ordering::SeqCst), 2);
    assert!(house.get("/x").await.text().ends_with("HTTP/2.0"));
}

#[tokio::test]
async fn with_tls_that_is_spoken_which_both_ends_speak() {
    let ours = Authority::new();
    let (server, gateway) = (Part::of(&ours, &[&ours]), Part::of(&ours, &[&ours]));
    for (alpn, spoken) in
        [(&["h2", "http/1.1"][..], "HTTP/2.0"), (&["http/1.1"], "HTTP/1.1"), (&[], "HTTP/1.1")]
    {
        let backend = behind_tls(&server.credentials.server(), alpn).await;
        let mut config = told(vec![backend.address.clone()], routes());
        config.upstreams.get_mut("patient-service").unwrap().server_name = Some(SERVICE.to_owned());
        let house = House::with_credentials(config, Some(Arc::clone(&gateway.credentials))).await;
        assert!(house.gateway.is_ready().await);
        for _ in 0..5 {
            let answer = house.ask("POST", "/x", &[], "body").await;
            assert!(answer.text().ends_with(&format!("4 {spoken}")), "{alpn:?}: {}", answer.text());
        }
        assert!(backend.connections() <= 2, "{alpn:?}: it is kept");
        at_once(&house, 20).await;
    }
}

fn checked(endpoints: &[&Backend]) -> settings::GatewayConfig {
    let mut config = told(endpoints.iter().map(|backend| backend.address.clone()).collect(), routes());
    let check =
        HealthCheck { path: "/x".to_owned(), interval_ms: 20, timeout_ms: 200, ..HealthCheck::default() };
    config.upstreams.get_mut("patient-service").unwrap().health_check = Some(check);
    config
}

#[tokio::test]
async fn endpoints_are_asked_how_they_are_on_one_connection_that_stays() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let sick = service(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        let mut response = Response::new(full("no"));
        *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
        async move { response }
    })
    .await;
    let well = service(echo).await;
    let house = House::with(checked(&[&sick, &well])).await;
    eventually("both were asked often", || asked.load(Ordering::SeqCst) > 10).await;
    assert_eq!(well.connections(), 1);
    let before = asked.load(Ordering::SeqCst);
    for _ in 0..10 {
        assert_eq!(house.get("/x").await.status, 200);
    }
    assert!(asked.load(Ordering::SeqCst) - before < 10, "only checks come to one that is not well");
}

/// Clients that ask until they are told to stop; each answer must be good.
fn callers(
    house: &House,
    is_over: &Arc<std::sync::atomic::AtomicBool>,
) -> Vec<tokio::task::JoinHandle<usize>> {
    (0..8)
        .map(|number| {
            let (is_over, address) = (Arc::clone(is_over), house.address);
            tokio::spawn(async move {
                let (mut client, mut answered) = (Client::connect(address).await, 0);
                while !is_over.load(Ordering::SeqCst) {
                    let (method, body) = if number % 2 == 0 { ("GET", "") } else { ("POST", "body") };
                    let answer = client.ask(method, "/x", &[], body).await;
                    assert_eq!(answer.status, 200, "{method}: {}", answer.text());
                    answered += 1;
                }
                answered
            })
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_that_say_goodbye_all_the_time_lose_no_request() {
    let pods = async || {
        let goodbye = Some(Duration::from_millis(10));
        Backend::raw(move |stream, _| converse(stream, 100, goodbye, echo)).await
    };
    let (one, two) = (pods().await, pods().await);
    let house = House::with(told(vec![one.address.clone(), two.address.clone()], routes())).await;
    let is_over = Arc::default();
    let clients = callers(&house, &is_over);
    tokio::time::sleep(Duration::from_secs(2)).await;
    is_over.store(true, Ordering::SeqCst);
    for client in clients {
        assert!(client.await.unwrap() > 0);
    }
    assert!(one.connections() > 20 && two.connections() > 20, "{}, {}", one.connections(), two.connections());
    assert_eq!(house.gateway.report().metrics.errors, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_a_rollout_nor_a_change_of_the_protocol_loses_a_request() {
    let (mut old, _) = either().await;
    let house = House::with(checked(&[&old])).await;
    let is_over = Arc::default();
    let clients = callers(&house, &is_over);
    for round in 0..20 {
        let (new, _) = either().await;
        let mut config = checked(&[&old, &new]);
        let upstream = config.upstreams.get_mut("patient-service").unwrap();
        upstream.protocol = if round % 4 == 3 { Protocol::Http1 } else { Protocol::Http2 };
        house.gateway.apply(config.clone()).unwrap();
        tokio::time::sleep(Duration::from_millis(30)).await;
        config.upstreams.get_mut("patient-service").unwrap().endpoints.remove(0);
        house.gateway.apply(config).unwrap();
        // As pods are: gone some time after nobody sends to them any more.
        tokio::time::sleep(Duration::from_millis(50)).await;
        old = new;
    }
    is_over.store(true, Ordering::SeqCst);
    for client in clients {
        assert!(client.await.unwrap() > 0);
    }
    assert_eq!(house.gateway.report().metrics.errors, 0);
}
