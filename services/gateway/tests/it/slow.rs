//! Clients that dawdle, and crowds: bounded, and told so where somebody listens. Where time is tokio's own, minutes pass at once.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use settings::Method;
use tokio::time::{Instant, sleep, timeout};

use crate::backend::Backend;
use crate::house::{House, config, counts, public};
use crate::wire::Client;

const HALF: &str = "GET /x HTTP/1.1\r\nhost: a\r\nx-slow: ";

async fn house() -> (Backend, House) {
    let backend = Backend::echo().await;
    let house = House::before(&backend, vec![public(Method::Get, "/x"), public(Method::Post, "/x")]).await;
    (backend, house)
}

/// A house with room for so many.
async fn narrow(backend: &Backend, room: u32) -> House {
    let config = config(vec![backend.address.clone()], vec![public(Method::Get, "/x")]);
    House::on(config, |socket| gateway::Listener::from(socket).with_room_for(room)).await
}

#[tokio::test(start_paused = true)]
async fn a_body_that_trickles_in_has_as_long_as_the_route() {
    let (_backend, house) = house().await;
    let mut client = house.client().await;
    let since = Instant::now();
    client.send("POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\n").await;
    for _ in 0..3 {
        sleep(Duration::from_millis(1_500)).await;
        client.send("x").await;
    }
    client.answer().await.unwrap().assert_problem(400, "malformed-request");
    assert!(client.is_closed().await);
    assert!(since.elapsed() < Duration::from_secs(12), "{:?}", since.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_head_that_trickles_in_after_a_rest_has_ten_seconds_too() {
    let (_backend, house) = house().await;
    let mut client = house.client().await;
    assert_eq!(client.ask("GET", "/x", &[], "").await.status, 200);
    sleep(Duration::from_secs(3)).await;
    let since = Instant::now();
    for part in HALF.as_bytes().chunks(10) {
        client.send(part).await;
        sleep(Duration::from_secs(1)).await;
    }
    assert!(client.is_closed().await);
    let took = since.elapsed();
    assert!(took >= Duration::from_secs(9) && took < Duration::from_secs(20), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_takes_is_given_up_after_half_a_minute() {
    let backend =
        Backend::answering(|_| async { Response::new(Full::new(Bytes::from(vec![b'x'; 16 << 20]))) }).await;
    let house = House::before(&backend, vec![public(Method::Get, "/x")]).await;
    let mut client = house.client().await;
    let since = Instant::now();
    client.send("GET /x HTTP/1.1\r\nhost: a\r\n\r\n").await;
    while !counts(&house, "aborted_total", 1) {
        sleep(Duration::from_secs(1)).await;
        assert!(since.elapsed() < Duration::from_mins(1), "{}", house.metrics.page());
    }
    assert!(since.elapsed() >= Duration::from_secs(29), "{:?}", since.elapsed());
    assert!(counts(&house, "requests_in_flight", 0));
}

#[tokio::test]
async fn nobody_may_take_more_than_half_of_the_room() {
    let backend = Backend::echo().await;
    let house = narrow(&backend, 6).await;
    let mut clients: Vec<Client> = Vec::new();
    for _ in 0..3 {
        let mut client = house.client().await;
        assert_eq!(client.ask("GET", "/x", &[], "").await.status, 200);
        sleep(Duration::from_millis(250)).await;
        clients.push(client);
    }
    let mut fourth = house.client().await;
    assert!(fourth.is_closed().await, "an address has half of the room at most");
    assert!(counts(&house, "turned_away_total", 1));
    assert_eq!(clients[0].ask("GET", "/x", &[], "").await.status, 200, "who is there stays");
    clients.pop();
    let mut again = None;
    for _ in 0..50 {
        let mut client = house.client().await;
        client.send("GET /x HTTP/1.1\r\nhost: a\r\n\r\n").await;
        again = client.answer().await;
        if again.is_some() {
            break;
        }
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(again.unwrap().status, 200, "there is room again");
}

/// A proxy that is believed may have all of the room: it speaks for many.
#[tokio::test]
async fn a_proxy_fills_the_house_and_those_who_rest_give_way() {
    let backend = Backend::echo().await;
    let mut config = config(vec![backend.address.clone()], vec![public(Method::Get, "/x")]);
    config.trusted_proxies = vec!["127.0.0.1/32".to_owned()];
    let house = House::on(config, |socket| gateway::Listener::from(socket).with_room_for(4)).await;
    let mut clients: Vec<Client> = Vec::new();
    for number in 0..12 {
        let mut client = house.client().await;
        let answer = timeout(Duration::from_secs(8), client.ask("GET", "/x", &[], "")).await;
        assert_eq!(answer.unwrap_or_else(|_| panic!("{number} waits")).status, 200);
        sleep(Duration::from_millis(150)).await;
        clients.push(client);
    }
    assert!(clients[0].is_closed().await);
    assert_eq!(clients[11].ask("GET", "/x", &[], "").await.status, 200);
}

/// A house that is full of connections that this address rests on, until the first of them gives way.
async fn gives_way(house: &House, first: &mut Client) {
    let mut clients = Vec::new();
    for number in 0..8 {
        let mut client = house.client().await;
        let answer = timeout(Duration::from_secs(8), client.ask("GET", "/x", &[], "")).await;
        assert_eq!(answer.unwrap_or_else(|_| panic!("{number} waits")).status, 200);
        sleep(Duration::from_millis(200)).await;
        clients.push(client);
    }
    assert!(timeout(Duration::from_secs(1), first.is_closed()).await.unwrap(), "it had rested longest");
}

#[tokio::test]
async fn who_rests_after_a_request_with_a_body_gives_way_too() {
    let backend = Backend::echo().await;
    let routes = vec![public(Method::Get, "/x"), public(Method::Post, "/x"), public(Method::Put, "/x")];
    let mut config = config(vec![backend.address.clone()], routes);
    config.trusted_proxies = vec!["127.0.0.1/32".to_owned()];
    for asked in [
        "POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nbody",
        "POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
    ] {
        let house =
            House::on(config.clone(), |socket| gateway::Listener::from(socket).with_room_for(4)).await;
        let mut first = house.client().await;
        first.send(asked).await;
        assert_eq!(first.answer().await.unwrap().text(), "POST /x 4");
        gives_way(&house, &mut first).await;
    }
}

/// The half that came with the body is not looked at again, unless somebody does.
#[tokio::test]
async fn a_head_that_begins_with_the_end_of_a_body_is_waited_for_and_looked_at() {
    let (_backend, house) = house().await;
    let ask = async |rest: &str| {
        let mut client = house.client().await;
        client
            .send("POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nbodyGET /x HTTP/1.1\r\nho")
            .await;
        assert_eq!(client.answer().await.unwrap().text(), "POST /x 4");
        // By now it would rest.
        sleep(Duration::from_millis(600)).await;
        client.send(rest).await;
        client.answer().await.unwrap()
    };
    assert_eq!(ask("st: a\r\n\r\n").await.text(), "GET /x 0");
    assert_eq!(
        ask("st: a\nx-hidden: 1\r\n\r\n").await.status,
        400,
        "a bare LF is not taken for an end of line"
    );
}

#[tokio::test(start_paused = true)]
async fn a_head_that_begins_with_the_end_of_a_body_has_ten_seconds() {
    let (_backend, house) = house().await;
    let mut client = house.client().await;
    client.send("POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nbodyGET /x HTTP/1.1\r\nho").await;
    assert_eq!(client.answer().await.unwrap().text(), "POST /x 4");
    let since = Instant::now();
    assert!(client.is_closed().await);
    assert!(since.elapsed() < Duration::from_secs(20), "{:?}", since.elapsed());
}

#[tokio::test]
async fn while_the_house_is_full_metrics_and_health_are_told_at_their_own_door() {
    let backend = Backend::echo().await;
    let mut config = config(vec![backend.address.clone()], vec![public(Method::Get, "/x")]);
    config.trusted_proxies = vec!["127.0.0.1/32".to_owned()];
    let house = House::on(config, |socket| gateway::Listener::from(socket).with_room_for(3)).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(gateway::admin::serve(listener, house.metrics.clone(), Arc::new(OnceLock::new())));
    let mut slow = Vec::new();
    for _ in 0..8 {
        let mut client = house.client().await;
        client.send(HALF).await;
        slow.push(client);
    }
    for path in ["/livez", "/metrics"] {
        let mut admin = Client::connect(address).await;
        let answer = timeout(Duration::from_secs(2), admin.ask("GET", path, &[], "")).await.unwrap();
        assert_eq!(answer.status, 200, "{path}");
    }
    // The slow ones are cut off in time, and whoever waited gets in.
    let mut patient = house.client().await;
    assert_eq!(
        timeout(Duration::from_secs(40), patient.ask("GET", "/x", &[], "")).await.unwrap().status,
        200
    );
}
