//! What the service sees of a request, and the client of its answer.

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use settings::Method;

use crate::backend::{Backend, read_head};
use crate::house::{House, config, public};

#[tokio::test]
async fn headers_for_this_connection_alone_are_not_passed_on() {
    let backend = Backend::echo().await;
    let house = House::before(&backend, vec![public(Method::Get, "/x")]).await;
    let headers = [
        ("connection", "keep-alive, x-secret"),
        ("connection", "X-Other"),
        ("x-secret", "1"),
        ("x-other", "1"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("proxy-authorization", "Basic x"),
        ("te", "gzip"),
        ("upgrade", "websocket"),
        ("expect", "100-continue"),
        ("x-kept", "yes"),
    ];
    assert_eq!(house.ask("GET", "/x", &headers, "").await.status, 200);
    let seen = &backend.requests()[0].headers;
    for name in [
        "connection",
        "x-secret",
        "x-other",
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
        "te",
        "upgrade",
        "expect",
    ] {
        assert!(!seen.contains_key(name), "{name}");
    }
    assert_eq!(seen["x-kept"], "yes");
}

#[tokio::test]
async fn the_services_own_connection_headers_stay_with_it() {
    let backend = Backend::raw(|mut stream, _| async move {
        use tokio::io::AsyncWriteExt;
        while !read_head(&mut stream).await.is_empty() {
            let answer = "HTTP/1.1 200 OK\r\nconnection: keep-alive, x-hop\r\nx-hop: 1\r\nkeep-alive: timeout=9\r\n\
                          x-kept: yes\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    })
    .await;
    let house = House::before(&backend, vec![public(Method::Get, "/x")]).await;
    let answer = house.get("/x").await;
    assert_eq!((answer.text(), answer.header("x-kept")), ("abc", Some("yes")));
    assert_eq!((answer.header("x-hop"), answer.header("keep-alive")), (None, None));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn what_a_stranger_says_of_itself_is_replaced_by_what_we_know() {
    let backend = Backend::echo().await;
    let house = House::before(&backend, vec![public(Method::Get, "/x")]).await;
    let headers = [
        ("x-forwarded-for", "10.0.0.1"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "evil.example"),
        ("forwarded", "for=10.0.0.1"),
        ("x-real-ip", "10.0.0.1"),
        ("host", "clinic.example"),
    ];
    house.ask("GET", "/x", &headers, "").await;
    let seen = &backend.requests()[0].headers;
    assert_eq!(seen["x-forwarded-for"], "127.0.0.1");
    assert_eq!(seen["x-forwarded-proto"], "http");
    assert_eq!(seen["x-forwarded-host"], "clinic.example");
    assert_eq!(seen["forwarded"], "for=127.0.0.1;proto=http");
    assert!(!seen.contains_key("x-real-ip"));
    assert_eq!(seen["host"].to_str().unwrap(), backend.address.authority().unwrap());
}

/// RFC 9112 §3.2.2.
#[tokio::test]
async fn an_address_that_names_its_host_counts_for_more_than_host() {
    let backend = Backend::echo().await;
    let house = House::before(&backend, vec![public(Method::Get, "/x")]).await;
    house.get("http://clinic.example:8080/x").await;
    house.ask("GET", "http://named.example/x", &[("host", "other.example")], "").await;
    let seen = backend.requests();
    assert_eq!(seen[0].headers["x-forwarded-host"], "clinic.example:8080");
    assert_eq!(seen[1].headers["x-forwarded-host"], "named.example");
}

#[tokio::test]
async fn a_trusted_proxy_is_believed() {
    let backend = Backend::echo().await;
    let mut config = config(vec![backend.address.clone()], vec![public(Method::Get, "/x")]);
    config.trusted_proxies = vec!["127.0.0.1/32".to_owned()];
    let house = House::with(config).await;
    let headers = [
        ("x-forwarded-for", "6.6.6.6, 203.0.113.7"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "clinic.example"),
        ("host", "gateway.internal"),
    ];
    house.ask("GET", "/x", &headers, "").await;
    let seen = &backend.requests()[0].headers;
    assert_eq!(seen["x-forwarded-for"], "203.0.113.7");
    assert_eq!(seen["x-forwarded-host"], "clinic.example");
    assert_eq!(seen["forwarded"], "for=203.0.113.7;proto=https");
}

#[tokio::test]
async fn a_request_keeps_its_id_and_its_trace_or_gets_new_ones() {
    let backend = Backend::echo().await;
    let house = House::before(&backend, vec![public(Method::Get, "/x")]).await;
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let answer = house.ask("GET", "/x", &[("x-request-id", "order-7"), ("traceparent", parent)], "").await;
    assert_eq!(answer.header("x-request-id"), Some("order-7"));
    let bad = house.ask("GET", "/x", &[("x-request-id", "a b\"c"), ("traceparent", "nonsense")], "").await;
    let made = bad.header("x-request-id").unwrap();
    assert_eq!(made.len(), 16);
    let seen = backend.requests();
    let trace = seen[0].headers["traceparent"].to_str().unwrap();
    assert!(
        trace.starts_with(&parent[..36]) && trace.ends_with("-01") && trace != parent,
        "a child: {trace}"
    );
    assert_eq!(seen[0].headers["x-request-id"], "order-7");
    assert_eq!(seen[1].headers["x-request-id"], made);
    assert_ne!(&seen[1].headers["traceparent"].to_str().unwrap()[3..35], &parent[3..35]);
    let problem = house.ask("GET", "/nowhere", &[("traceparent", parent)], "").await.json();
    assert_eq!(problem["traceId"], "0af7651916cd43dd8448eb211c80319c");
}

#[tokio::test]
async fn bodies_pass_in_both_directions_whole() {
    let backend =
        Backend::answering(|request| async move { Response::new(Full::new(request.into_body())) }).await;
    let mut config = config(vec![backend.address.clone()], vec![public(Method::Post, "/x")]);
    config.body_bytes_max = 4 * 1024 * 1024;
    let house = House::with(config).await;
    let body = "0123456789abcdef".repeat(128 * 1024);
    let mut client = house.client().await;
    let known = client.ask("POST", "/x", &[], &body).await;
    assert!(known.whole && known.body == body.as_bytes());
    client.send("POST /x HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n").await;
    for part in body.as_bytes().chunks(300_000) {
        client.send(format!("{:x}\r\n", part.len())).await;
        client.send(part).await;
        client.send("\r\n").await;
    }
    client.send("0\r\n\r\n").await;
    let chunked = client.answer().await.unwrap();
    assert!(chunked.body == body.as_bytes());
    assert_eq!(backend.requests()[1].headers["transfer-encoding"], "chunked");
}

#[tokio::test]
async fn expect_100_is_answered_when_the_body_is_wanted() {
    let backend =
        Backend::answering(|request| async move { Response::new(Full::new(request.into_body())) }).await;
    let house = House::before(&backend, vec![public(Method::Post, "/x")]).await;
    let mut client = house.client().await;
    client.send("POST /x HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n").await;
    let go_on = client.answer_100().await;
    assert_eq!(go_on, 100);
    client.send("ok").await;
    assert_eq!(client.answer().await.unwrap().text(), "ok");
}

#[tokio::test]
async fn connections_to_a_service_are_used_again() {
    let backend = Backend::echo().await;
    let house = House::before(&backend, vec![public(Method::Get, "/x"), public(Method::Post, "/x")]).await;
    let mut client = house.client().await;
    for _ in 0..20 {
        assert_eq!(client.ask("GET", "/x", &[], "").await.status, 200);
        assert_eq!(client.ask("POST", "/x", &[], "body").await.status, 200);
    }
    assert!(backend.connections() <= 2, "{} connections", backend.connections());
}

#[tokio::test]
async fn endpoints_share_the_work() {
    let (one, two) = (Backend::echo().await, Backend::echo().await);
    let endpoints = vec![one.address.clone(), two.address.clone()];
    let house = House::with(config(endpoints, vec![public(Method::Get, "/x")])).await;
    for _ in 0..10 {
        house.get("/x").await;
    }
    assert_eq!((one.requests().len(), two.requests().len()), (5, 5));
}

#[tokio::test]
async fn an_empty_answer_stays_empty() {
    let backend = Backend::answering(|_| async {
        let mut response = Response::new(Full::new(Bytes::new()));
        *response.status_mut() = http::StatusCode::NO_CONTENT;
        response
    })
    .await;
    let house = House::before(&backend, vec![public(Method::Delete, "/x")]).await;
    let mut client = house.client().await;
    for _ in 0..2 {
        let answer = client.ask("DELETE", "/x", &[], "").await;
        assert_eq!((answer.status, answer.body.len()), (204, 0));
    }
}
