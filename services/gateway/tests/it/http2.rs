//! HTTP/2 at the gateway's front: the same way, and what a client cannot make the gateway do.

pub(crate) mod frames;
mod places;

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Request, Response, Version};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use settings::{Method, Route};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use self::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, RST_STREAM, Raw, SETTINGS, get,
};
use crate::backend::{Backend, eventually};
use crate::front::{Front, NAME};
use crate::house::{House, config, counts, public};

pub(crate) type Sent = http_body_util::combinators::UnsyncBoxBody<Bytes, std::convert::Infallible>;

/// A house behind TLS.
pub(crate) async fn house(backend: &Backend, routes: Vec<Route>) -> (Front, House) {
    let front = Front::new();
    let mut config = config(vec![backend.address.clone()], routes);
    config.body_bytes_max = 4 * 1024 * 1024;
    let house = House::on(config, |socket| front.listener(socket)).await;
    (front, house)
}

pub(crate) async fn client(front: &Front, house: &House) -> SendRequest<Sent> {
    let stream = front.connect(house.address, &["h2", "http/1.1"]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

pub(crate) fn request(method: &str, target: &str, body: Sent) -> Request<Sent> {
    Request::builder().method(method).uri(format!("https://{NAME}{target}")).body(body).unwrap()
}

fn full(text: &'static str) -> Sent {
    Full::new(Bytes::from_static(text.as_bytes())).boxed_unsync()
}

async fn text(answer: Response<Incoming>) -> String {
    String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn requests_share_a_connection_and_go_the_same_way() {
    let backend = Backend::echo().await;
    let (front, house) = house(&backend, vec![public(Method::Get, "/x"), public(Method::Post, "/x")]).await;
    let mut client = client(&front, &house).await;
    let answers = [
        client.send_request(request("GET", "/x?a", full(""))),
        client.send_request(request("POST", "/x", full("body"))),
        client.send_request(request("GET", "/nowhere", full(""))),
    ];
    let [first, second, third] = futures_util::future::join_all(answers).await.try_into().unwrap();
    let first = first.unwrap();
    assert_eq!((first.version(), first.status().as_u16()), (Version::HTTP_2, 200));
    assert!(
        first.headers().contains_key("x-request-id")
            && first.headers().contains_key("strict-transport-security")
    );
    assert_eq!(text(first).await, "GET /x?a 0");
    assert_eq!(text(second.unwrap()).await, "POST /x 4");
    let third = third.unwrap();
    assert_eq!(
        (third.status().as_u16(), &third.headers()["content-type"]),
        (404, &"application/problem+json".parse().unwrap())
    );
    let seen = &backend.requests()[0].headers;
    assert_eq!(seen["x-forwarded-host"], NAME);
    assert_eq!(
        (&seen["x-forwarded-proto"], &seen["forwarded"]),
        (&"https".parse().unwrap(), &"for=127.0.0.1;proto=https".parse().unwrap())
    );
}

/// RFC 9113 §8.2.3: the sender may divide them, and a service that reads HTTP/1.1 may look at the first line alone.
#[tokio::test]
async fn cookies_in_several_lines_reach_the_service_in_one() {
    let backend = Backend::echo().await;
    let (front, house) = house(&backend, vec![public(Method::Get, "/x")]).await;
    let mut client = client(&front, &house).await;
    let mut asked = request("GET", "/x", full(""));
    for cookie in ["a=1", "b=2; c=3", "d=4"] {
        asked.headers_mut().append("cookie", cookie.parse().unwrap());
    }
    assert_eq!(client.send_request(asked).await.unwrap().status(), 200);
    let seen = &backend.requests()[0].headers;
    assert_eq!(seen.get_all("cookie").iter().collect::<Vec<_>>(), ["a=1; b=2; c=3; d=4"]);
}

#[tokio::test]
async fn who_does_not_offer_http2_gets_http_1() {
    let backend = Backend::echo().await;
    let (front, house) = house(&backend, vec![public(Method::Get, "/x")]).await;
    for alpn in [&["http/1.1"][..], &[]] {
        let mut stream = front.connect(house.address, alpn).await;
        stream.write_all(b"GET /x HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
}

#[tokio::test]
async fn bodies_and_trailers_pass_both_ways() {
    let backend = Backend::raw(|mut stream, _| async move {
        let mut heard = Vec::new();
        while !heard.ends_with(b"x-sum: 5\r\n\r\n") {
            if !matches!(stream.read_buf(&mut heard).await, Ok(1..)) {
                return;
            }
        }
        let heard = String::from_utf8(heard).unwrap();
        assert!(
            heard.contains("\r\nte: trailers\r\n") && heard.contains("\r\n0\r\nx-sum: 5\r\n\r\n"),
            "{heard}"
        );
        let answer = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-sum: 7\r\n\r\n";
        stream.write_all(answer.as_bytes()).await.unwrap();
    })
    .await;
    let (front, house) = house(&backend, vec![public(Method::Post, "/x")]).await;
    let mut client = client(&front, &house).await;
    let trailers = HeaderMap::from_iter([("x-sum".parse().unwrap(), "5".parse().unwrap())]);
    let frames = [Frame::data(Bytes::from_static(b"hello")), Frame::trailers(trailers)];
    let body = StreamBody::new(stream::iter(frames.map(Ok))).boxed_unsync();
    let mut request = request("POST", "/x", body);
    request.headers_mut().insert("te", "trailers".parse().unwrap());
    request.headers_mut().insert("trailer", "x-sum".parse().unwrap());
    let answer = client.send_request(request).await.unwrap().into_body().collect().await.unwrap();
    assert_eq!(answer.trailers().unwrap()["x-sum"], "7");
    assert_eq!(answer.to_bytes(), "ok");
}

#[tokio::test]
async fn heads_that_are_none_in_http2_reach_nobody() {
    let backend = Backend::echo().await;
    let (front, house) = house(&backend, vec![public(Method::Post, "/x")]).await;
    // RFC 9113 §8.2.2, §8.2.1, §8.3, §8.1.1
    let odd: [&[(&str, &str)]; 6] = [
        &[
            (":method", "POST"),
            (":path", "/x"),
            (":scheme", "https"),
            (":authority", "a"),
            ("transfer-encoding", "chunked"),
        ],
        &[
            (":method", "POST"),
            (":path", "/x"),
            (":scheme", "https"),
            (":authority", "a"),
            ("connection", "close"),
        ],
        &[(":method", "POST"), (":path", "/x"), (":scheme", "https"), (":authority", "a"), ("X", "y")],
        &[(":method", "POST"), (":path", "/x"), (":scheme", "https"), (":authority", "a"), (":path", "/y")],
        &[(":method", "POST"), (":path", "/x"), (":scheme", "https"), (":authority", "a"), ("te", "gzip")],
        &[(":path", "/x"), (":scheme", "https"), (":authority", "a")],
    ];
    for headers in odd {
        let mut raw = Raw::connect(&front, house.address).await;
        raw.send(HEADERS, END_HEADERS | END_STREAM, 1, &frames::head(headers)).await;
        let (kind, _) = raw.until(&[RST_STREAM, GOAWAY]).await;
        assert!(kind == RST_STREAM || kind == GOAWAY, "{headers:?}");
    }
    // What is well-formed, and refused in HTTP/1.1, is refused here too.
    for (path, authority, host) in
        [("/x", "a", Some("b")), ("/x", "a/b", None), ("/x/../y", "a", None), ("//x", "a", None)]
    {
        let mut headers =
            vec![(":method", "POST"), (":path", path), (":scheme", "https"), (":authority", authority)];
        headers.extend(host.map(|host| ("host", host)));
        let mut raw = Raw::connect(&front, house.address).await;
        raw.send(HEADERS, END_HEADERS | END_STREAM, 1, &frames::head(&headers)).await;
        let (kind, payload) = raw.until(&[HEADERS, RST_STREAM, GOAWAY]).await;
        // The first field is the status: 400 stands in HPACK's table (RFC 7541, appendix A).
        assert!(kind != HEADERS || payload[0] == 0x8c, "{path} {authority} {host:?}: {payload:?}");
    }
    assert!(backend.requests().is_empty());
}

/// CVE-2023-44487.
#[tokio::test]
async fn requests_that_are_reset_at_once_end_the_connection_and_cost_the_service_little() {
    let backend = Backend::echo().await;
    let (front, house) = house(&backend, vec![public(Method::Get, "/x")]).await;
    let mut raw = Raw::connect(&front, house.address).await;
    let mut flood = Vec::new();
    for number in 0..2_000 {
        let stream = 2 * number + 1;
        flood.extend(frames::frame(HEADERS, END_HEADERS | END_STREAM, stream, &get("/x")));
        flood.extend(frames::frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
    }
    raw.pour(&flood).await;
    let (_, payload) = raw.until(&[GOAWAY]).await;
    assert_eq!(payload[4..8], 11_u32.to_be_bytes(), "ENHANCE_YOUR_CALM");
    assert!(raw.is_closed().await);
    assert!(backend.requests().len() < 400, "{}", backend.requests().len());
    let mut other = client(&front, &house).await;
    assert_eq!(other.send_request(request("GET", "/x", full(""))).await.unwrap().status(), 200);
}

/// CVE-2024-27316 and its kin.
#[tokio::test]
async fn a_head_that_goes_on_without_end_ends_the_connection() {
    let backend = Backend::echo().await;
    let (front, house) = house(&backend, vec![public(Method::Get, "/x")]).await;
    let mut raw = Raw::connect(&front, house.address).await;
    let mut flood = frames::frame(HEADERS, END_STREAM, 1, &get("/x"));
    for _ in 0..4_000 {
        flood.extend(frames::frame(CONTINUATION, 0, 1, &frames::field("x", &"y".repeat(100))));
    }
    raw.pour(&flood).await;
    assert!(raw.is_closed().await);
    assert!(backend.requests().is_empty());
}

#[tokio::test]
async fn a_head_that_is_too_large_is_431_and_streams_beyond_the_hundredth_are_refused() {
    let backend = Backend::raw(|_stream, _| std::future::pending()).await;
    let (front, house) = house(&backend, vec![public(Method::Get, "/x")]).await;
    let mut raw = Raw::connect(&front, house.address).await;
    let mut large = get("/x");
    for _ in 0..5 {
        large.extend(frames::field("x", &"y".repeat(15_000)));
    }
    let mut parts = large.chunks(16_000).peekable();
    raw.send(HEADERS, END_STREAM, 1, parts.next().unwrap()).await;
    while let Some(part) = parts.next() {
        raw.send(CONTINUATION, if parts.peek().is_none() { END_HEADERS } else { 0 }, 1, part).await;
    }
    let (kind, payload) = raw.until(&[HEADERS, RST_STREAM, GOAWAY]).await;
    assert_eq!(kind, HEADERS);
    // `:status: 431`, in Huffman's code (RFC 7541, appendix B).
    assert!(payload.starts_with(&[0x48, 0x83, 0x69, 0x90, 0xff]), "{payload:?}");

    let mut raw = Raw::connect(&front, house.address).await;
    for number in 0..101 {
        raw.send(HEADERS, END_HEADERS | END_STREAM, 2 * number + 1, &get("/x")).await;
    }
    let (_, payload) = raw.until(&[RST_STREAM]).await;
    assert_eq!(payload, 7_u32.to_be_bytes(), "REFUSED_STREAM");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_taken_ends_and_the_connection_goes_on() {
    let backend =
        Backend::answering(|_| async { Response::new(Full::new(Bytes::from(vec![b'x'; 1_000_000]))) }).await;
    let (front, house) = house(&backend, vec![public(Method::Get, "/x")]).await;
    let mut raw = Raw::connect(&front, house.address).await;
    let since = Instant::now();
    raw.send(HEADERS, END_HEADERS | END_STREAM, 1, &get("/x")).await;
    // 65,535 bytes come, and no room is given for more.
    let (_, payload) = raw.until(&[RST_STREAM]).await;
    assert_eq!(payload, 8_u32.to_be_bytes(), "CANCEL");
    let took = since.elapsed();
    assert!(took >= Duration::from_secs(35) && took < Duration::from_mins(1), "{took:?}");
    raw.send(HEADERS, END_HEADERS | END_STREAM, 3, &get("/nowhere")).await;
    assert_eq!(raw.until(&[HEADERS, DATA]).await.0, HEADERS);
}

/// A client that gives no room takes not one byte, and must not keep others out by that.
#[tokio::test]
async fn small_answers_that_are_not_taken_hold_no_place_at_their_service() {
    let backend = Backend::echo().await;
    let front = Front::new();
    let mut config = config(vec![backend.address.clone()], vec![public(Method::Get, "/x")]);
    config.upstreams.get_mut("patient-service").unwrap().concurrency =
        settings::Concurrency { max: 1, adaptive: false, min: 1, fast_ms: 100 };
    let house = House::on(config, |socket| front.listener(socket)).await;
    let mut raw = Raw::connect(&front, house.address).await;
    // SETTINGS_INITIAL_WINDOW_SIZE (RFC 9113 §6.5.2).
    raw.send(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]).await;
    raw.send(HEADERS, END_HEADERS | END_STREAM, 1, &get("/x")).await;
    assert_eq!(raw.until(&[HEADERS]).await.0, HEADERS);
    let mut other = client(&front, &house).await;
    assert_eq!(other.send_request(request("GET", "/x", full(""))).await.unwrap().status(), 200);
}

#[tokio::test]
async fn an_answer_of_the_gateways_own_to_head_is_a_head() {
    let backend = Backend::echo().await;
    let (front, house) = house(&backend, vec![public(Method::Get, "/x")]).await;
    let mut client = client(&front, &house).await;
    let answer = client.send_request(request("HEAD", "/nowhere", full(""))).await.unwrap();
    assert_eq!(answer.status(), 404);
    assert!(answer.headers().contains_key("content-length"));
    assert_eq!(text(answer).await, "");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_nobody_uses_is_told_so_and_ends() {
    let backend = Backend::echo().await;
    let (front, house) = house(&backend, vec![public(Method::Get, "/x")]).await;
    let since = Instant::now();
    let mut raw = Raw::connect(&front, house.address).await;
    assert_eq!(raw.until(&[GOAWAY]).await.0, GOAWAY);
    assert!(raw.is_closed().await);
    let took = since.elapsed();
    assert!(took >= Duration::from_secs(9) && took < Duration::from_secs(20), "{took:?}");
    // Half a head says no more than none.
    let since = Instant::now();
    let mut raw = Raw::connect(&front, house.address).await;
    raw.send(HEADERS, END_STREAM, 1, &get("/x")).await;
    assert!(raw.is_closed().await);
    assert!(since.elapsed() < Duration::from_secs(30), "{:?}", since.elapsed());
}

#[tokio::test]
async fn a_gateway_that_stops_finishes_what_is_under_way_and_says_that_it_goes() {
    let backend = Backend::answering(|_| async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        Response::new(Full::new(Bytes::from_static(b"late")))
    })
    .await;
    let (front, house) = house(&backend, vec![public(Method::Get, "/x")]).await;
    let mut client = client(&front, &house).await;
    let under_way = tokio::spawn(client.send_request(request("GET", "/x", full(""))));
    eventually("the request is under way", || counts(&house, "requests_in_flight", 1)).await;
    let since = Instant::now();
    house.gateway.drain().await;
    assert!(since.elapsed() < Duration::from_secs(5));
    assert_eq!(text(under_way.await.unwrap().unwrap()).await, "late");
    let after =
        timeout(Duration::from_secs(5), client.send_request(request("GET", "/x", full("")))).await.unwrap();
    assert!(after.is_err(), "the connection has ended");
}

#[tokio::test]
async fn who_rests_gives_way_to_those_who_come() {
    let (backend, front) = (Backend::echo().await, Front::new());
    let mut config = config(vec![backend.address.clone()], vec![public(Method::Get, "/x")]);
    config.trusted_proxies = vec!["127.0.0.1/32".to_owned()];
    let house = House::on(config, |socket| front.listener(socket).with_room_for(3)).await;
    let mut clients = Vec::new();
    for number in 0..5 {
        let mut client = timeout(Duration::from_secs(10), client(&front, &house))
            .await
            .unwrap_or_else(|_| panic!("{number} waits"));
        assert_eq!(client.send_request(request("GET", "/x", full(""))).await.unwrap().status(), 200);
        clients.push(client);
    }
    eventually("two have gone", || clients.iter().filter(|client| client.is_closed()).count() >= 2).await;
    assert_eq!(
        clients[4].send_request(request("GET", "/x", full(""))).await.unwrap().status(),
        200,
        "who has just come stays"
    );
}
