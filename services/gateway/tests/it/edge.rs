//! Bytes that are no request, or one that two readers would read differently; clients that send too much or too slowly.

use std::time::Duration;

use settings::Method;

use crate::backend::Backend;
use crate::house::{House, public};

async fn house() -> (Backend, House) {
    let backend = Backend::echo().await;
    let house = House::before(&backend, vec![public(Method::Get, "/x"), public(Method::Post, "/x")]).await;
    (backend, house)
}

#[tokio::test]
async fn what_is_no_request_is_400_as_a_problem_document_and_ends_the_connection() {
    let (backend, house) = house().await;
    for text in [
        "GET /x HTTP/1.1\r\nhost: a\r\nx: y\r\n folded\r\n\r\n",
        "GET /x HTTP/1.1\r\nhost : a\r\n\r\n",
        "GET /x HTTP/1.1\r\nhost: a\r\nx: a\0b\r\n\r\n",
        "GET /x HTTP/1.1\r\nhost: a\r\n: y\r\n\r\n",
        "GET  /x HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /x HTTP/9.9\r\nhost: a\r\n\r\n",
        "GET /x\u{1}y HTTP/1.1\r\nhost: a\r\n\r\n",
        "nonsense\r\n\r\n",
        "GET /x HTTP/1.1\r\n\r\n",
        "GET /x HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
        "POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
        "POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 3, 3\r\n\r\nabc",
        "POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: +3\r\n\r\nabc",
        "POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n",
        "POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\r\n",
        "POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "POST /x HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    ] {
        let mut client = house.client().await;
        client.send(text).await;
        let answer = client.answer().await.unwrap_or_else(|| panic!("no answer to {text:?}"));
        answer.assert_problem(400, "malformed-request");
        assert_eq!(answer.header("connection"), Some("close"), "{text:?}");
        assert!(client.is_closed().await, "{text:?}");
    }
    assert!(backend.requests().is_empty());
}

#[tokio::test]
async fn content_length_beside_transfer_encoding_is_refused_whichever_comes_first() {
    let (backend, house) = house().await;
    for lines in [
        "content-length: 4\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ncontent-length: 4",
        "Transfer-Encoding: chunked\r\nX: y\r\nContent-Length: 4",
    ] {
        let mut client = house.client().await;
        client.send(format!("POST /x HTTP/1.1\r\nhost: a\r\n{lines}\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n")).await;
        client.answer().await.unwrap().assert_problem(400, "malformed-request");
        assert!(client.is_closed().await, "{lines:?}");
    }
    assert!(backend.requests().is_empty());
}

#[tokio::test]
async fn a_connection_that_rested_goes_on_where_it_was() {
    /// Longer than a connection that nobody uses keeps what it needs for requests.
    const REST: Duration = Duration::from_millis(1_200);
    const REQUEST: &str = "GET /x HTTP/1.1\r\nhost: a\r\n\r\n";
    let (backend, house) = house().await;
    let mut client = house.client().await;
    for _ in 0..2 {
        client.send(REQUEST).await;
        assert_eq!(client.answer().await.unwrap().status, 200);
        tokio::time::sleep(REST).await;
    }
    // What comes first after a rest is only half of a head, then one whole request and a half.
    let (first, second) = REQUEST.split_at(9);
    client.send(first).await;
    tokio::time::sleep(REST).await;
    client.send(format!("{second}{first}")).await;
    assert_eq!(client.answer().await.unwrap().status, 200);
    tokio::time::sleep(REST).await;
    client.send(second).await;
    assert_eq!(client.answer().await.unwrap().status, 200);
    assert_eq!(backend.requests().len(), 4);
    // One who says no more is told nothing, and one who goes is gone.
    drop(client);
    let mut client = house.client().await;
    client.send("POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\n").await;
    tokio::time::sleep(REST).await;
    client.send("abc").await;
    assert_eq!(client.answer().await.unwrap().status, 200);
}

#[tokio::test]
async fn a_chunk_that_is_none_ends_the_request() {
    let (backend, house) = house().await;
    for body in ["zz\r\nabc\r\n0\r\n\r\n", "3\r\nabcd\r\n0\r\n\r\n", "-1\r\n", "ffffffffffffffffff\r\n"] {
        let mut client = house.client().await;
        client.send(format!("POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{body}")).await;
        let answer = client.answer().await.unwrap_or_else(|| panic!("no answer to {body:?}"));
        answer.assert_problem(400, "malformed-request");
        assert!(client.is_closed().await, "{body:?}");
    }
    assert!(backend.requests().is_empty(), "{:?}", backend.requests());
}

#[tokio::test]
async fn an_overlong_address_is_414_and_an_overlong_head_431() {
    let (_backend, house) = house().await;
    let long = format!("/x?q={}", "a".repeat(8 * 1024));
    house.get(&long).await.assert_problem(414, "uri-too-long");
    let mut client = house.client().await;
    client.send(format!("GET /x?q={}", "a".repeat(100 * 1024))).await;
    client.answer().await.unwrap().assert_problem(414, "uri-too-long");
    let huge = "v".repeat(70 * 1024);
    house.ask("GET", "/x", &[("x-long", &huge)], "").await.assert_problem(431, "headers-too-large");
    let many: Vec<(String, String)> = (0..200).map(|n| (format!("x-{n}"), "v".to_owned())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    house.ask("GET", "/x", &many, "").await.assert_problem(431, "headers-too-large");
    let near = "v".repeat(50 * 1024);
    assert_eq!(house.ask("GET", "/x", &[("x-long", &near)], "").await.status, 200);
}

#[tokio::test]
async fn a_body_above_the_limit_is_413_whether_or_not_it_says_so() {
    let (backend, house) = house().await;
    let body = "x".repeat(1025);
    house.ask("POST", "/x", &[], &body).await.assert_problem(413, "payload-too-large");
    let mut client = house.client().await;
    client
        .send(format!(
            "POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n401\r\n{body}\r\n0\r\n\r\n"
        ))
        .await;
    client.answer().await.unwrap().assert_problem(413, "payload-too-large");
    assert_eq!(house.ask("POST", "/x", &[], &body[..1024]).await.status, 200);
    assert_eq!(backend.requests().len(), 1);
    // Half a megabyte more comes after the answer is clear: the client still gets to see it.
    let mut client = house.client().await;
    client.send("POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n").await;
    for _ in 0..8 {
        client.send(format!("10000\r\n{}\r\n", "x".repeat(0x10000))).await;
    }
    client.send("0\r\n\r\n").await;
    client.answer().await.unwrap().assert_problem(413, "payload-too-large");
}

#[tokio::test]
async fn a_huge_body_is_refused_before_it_is_sent() {
    let (_backend, house) = house().await;
    let mut client = house.client().await;
    client.send("POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999999\r\n\r\n").await;
    client.answer().await.unwrap().assert_problem(413, "payload-too-large");
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn a_refused_post_leaves_the_connection_usable() {
    let (_backend, house) = house().await;
    let mut client = house.client().await;
    client.ask("POST", "/nowhere", &[], &"x".repeat(500)).await.assert_problem(404, "not-found");
    assert_eq!(client.ask("GET", "/x", &[], "").await.status, 200);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let (_backend, house) = house().await;
    let mut client = house.client().await;
    let text: String = (0..5).map(|n| crate::wire::request("GET", &format!("/x?n={n}"), &[], "")).collect();
    client.send(text).await;
    for n in 0..5 {
        assert_eq!(client.answer().await.unwrap().text(), format!("GET /x?n={n} 0"));
    }
}

/// Time is tokio's own here, so that ten seconds pass at once.
#[tokio::test(start_paused = true)]
async fn a_head_that_trickles_in_is_cut_off_after_ten_seconds() {
    let (_backend, house) = house().await;
    let mut client = house.client().await;
    let started = tokio::time::Instant::now();
    client.send("GET /x HTTP/1.1\r\nhost: a\r\nx-slow: ").await;
    assert!(client.is_closed().await);
    let took = started.elapsed();
    assert!(took >= Duration::from_secs(9) && took < Duration::from_secs(20), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_says_nothing_is_cut_off_too() {
    let (_backend, house) = house().await;
    let mut client = house.client().await;
    let started = tokio::time::Instant::now();
    assert!(client.is_closed().await);
    assert!(started.elapsed() < Duration::from_secs(20));
}

/// Chooses certificates, badly.
#[derive(Debug)]
struct Panicking;

impl rustls::server::ResolvesServerCert for Panicking {
    fn resolve(
        &self,
        _: rustls::server::ClientHello<'_>,
    ) -> Option<std::sync::Arc<rustls::sign::CertifiedKey>> {
        panic!("a mistake in the program");
    }
}

/// What a client says first.
fn client_hello() -> Vec<u8> {
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let mut client = rustls::ClientConnection::new(config.into(), "localhost".try_into().unwrap()).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}

#[tokio::test]
async fn a_panic_in_a_connection_ends_that_connection_alone() {
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(std::sync::Arc::new(Panicking));
    let config = crate::house::config(Vec::new(), Vec::new());
    let house = House::on(config, |socket| gateway::Listener::from(socket).with_tls(tls.into())).await;
    for _ in 0..3 {
        let mut client = house.client().await;
        client.send(client_hello()).await;
        assert!(client.is_closed().await);
    }
    let mut stream = tokio::net::TcpStream::connect(house.address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, b"no TLS at all, and long enough\r\n").await.unwrap();
    let alert = tokio::io::AsyncReadExt::read_u8(&mut stream).await.unwrap();
    assert_eq!(alert, 21, "the next connection is served: what it sent is refused in TLS's own way");
    house.gateway.drain().await;
}
