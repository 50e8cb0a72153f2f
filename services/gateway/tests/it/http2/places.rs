//! A stream has a place at its service as long as it is the service that is waited for.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::Response;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use settings::{Method, Route};
use tokio::sync::Semaphore;
use tokio::time::sleep;

use super::frames::{DATA, END_HEADERS, END_STREAM, HEADERS, RST_STREAM, Raw, WINDOW_UPDATE, get};
use super::{client, full, request, text};
use crate::backend::{Backend, eventually};
use crate::front::Front;
use crate::house::{House, public};
use crate::overload::in_flight;
use crate::places::{has_places, of_one_hand, slow_to_give};

const LARGE: usize = 1_000_000;

async fn narrow(backend: &Backend) -> (Front, House) {
    let front = Front::new();
    let route = |method| Route { timeout_ms: 60_000, ..public(method, "/x") };
    let routes = vec![route(Method::Get), route(Method::Post)];
    let house = House::on(of_one_hand(backend, routes), |socket| front.listener(socket)).await;
    (front, house)
}

async fn status(front: &Front, house: &House) -> u16 {
    client(front, house).await.send_request(request("GET", "/x", full(""))).await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_request_has_a_place_until_it_is_answered_reset_or_its_client_is_gone() {
    let may_answer = Arc::new(Semaphore::new(0));
    let answers = Arc::clone(&may_answer);
    let backend = Backend::answering(move |_| {
        let answers = Arc::clone(&answers);
        async move {
            let _may = answers.acquire().await;
            Response::new(Full::new(Bytes::from_static(b"done")))
        }
    })
    .await;
    let (front, house) = narrow(&backend).await;
    let mut raw = Raw::connect(&front, house.address).await;
    raw.send(HEADERS, END_HEADERS | END_STREAM, 1, &get("/x")).await;
    has_places(&house, 1.0).await;
    assert_eq!(status(&front, &house).await, 503);
    raw.send(RST_STREAM, 0, 1, &8_u32.to_be_bytes()).await;
    has_places(&house, 0.0).await;
    raw.send(HEADERS, END_HEADERS | END_STREAM, 3, &get("/x")).await;
    has_places(&house, 1.0).await;
    drop(raw);
    has_places(&house, 0.0).await;
    let mut raw = Raw::connect(&front, house.address).await;
    raw.send(HEADERS, END_HEADERS | END_STREAM, 1, &get("/x")).await;
    has_places(&house, 1.0).await;
    may_answer.add_permits(10);
    assert_eq!(raw.until(&[HEADERS]).await.0, HEADERS);
    has_places(&house, 0.0).await;
    assert_eq!(status(&front, &house).await, 200);
}

#[tokio::test]
async fn a_body_that_is_waited_for_holds_no_place() {
    let backend = Backend::echo().await;
    let (front, house) = narrow(&backend).await;
    let mut client = client(&front, &house).await;
    let parts = stream::iter([Ok(Frame::data(Bytes::from_static(b"slow")))]).chain(stream::pending());
    let slow = client.send_request(request("POST", "/x", StreamBody::new(parts).boxed_unsync()));
    let slow = tokio::spawn(slow);
    eventually("it is at the service", || backend.connections() == 1).await;
    has_places(&house, 0.0).await;
    let other = client.send_request(request("POST", "/x", full("body"))).await.unwrap();
    assert_eq!(text(other).await, "POST /x 4");
    slow.abort();
}

#[tokio::test]
async fn a_large_answer_that_is_hardly_taken_holds_no_place() {
    let backend =
        Backend::answering(|_| async { Response::new(Full::new(Bytes::from(vec![b'x'; LARGE]))) }).await;
    let (front, house) = narrow(&backend).await;
    let mut raw = Raw::connect(&front, house.address).await;
    raw.send(HEADERS, END_HEADERS | END_STREAM, 1, &get("/x")).await;
    assert_eq!(raw.until(&[DATA]).await.0, DATA);
    // Room for one more byte, again and again.
    let crumbs = async {
        loop {
            raw.send(WINDOW_UPDATE, 0, 1, &1_u32.to_be_bytes()).await;
            sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        () = crumbs => {}
        () = has_places(&house, 0.0) => {}
    }
    let answer = client(&front, &house).await.send_request(request("GET", "/x", full(""))).await.unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes().len(), LARGE);
}

#[tokio::test]
async fn an_answer_that_its_service_is_slow_to_give_holds_its_place() {
    let (backend, may_end) = slow_to_give(50_000).await;
    let (front, house) = narrow(&backend).await;
    let mut client = client(&front, &house).await;
    let answer = client.send_request(request("GET", "/x", full(""))).await.unwrap();
    sleep(Duration::from_millis(1_200)).await;
    assert_eq!(in_flight(&house, "patient-service"), Some(1.0));
    may_end.add_permits(1);
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes().len(), 100_000);
    has_places(&house, 0.0).await;
}
