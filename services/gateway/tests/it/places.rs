//! Who holds a place at a service, and until when: as long as it is the service that is waited for, and no longer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use settings::{Breaker, Concurrency, GatewayConfig, Method, Route};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

use crate::backend::{Backend, eventually, read_head};
use crate::house::{House, config, public};
use crate::overload::in_flight;
use crate::wire::{Client, request};

const LARGE: usize = 16 << 20;

/// A service that is given one request at once.
pub(crate) fn of_one_hand(backend: &Backend, routes: Vec<Route>) -> GatewayConfig {
    let mut config = config(vec![backend.address.clone()], routes);
    config.body_bytes_max = 1 << 20;
    config.upstreams.get_mut("patient-service").unwrap().concurrency =
        Concurrency { max: 1, adaptive: false, min: 1, fast_ms: 100 };
    config
}

fn patient(method: Method) -> Route {
    Route { timeout_ms: 60_000, ..public(method, "/x") }
}

pub(crate) async fn has_places(house: &House, taken: f64) {
    eventually(&format!("{taken} places are taken"), || in_flight(house, "patient-service") == Some(taken))
        .await;
}

/// A service that gives half of an answer, and as much again when it may.
pub(crate) async fn slow_to_give(half: usize) -> (Backend, Arc<Semaphore>) {
    let may_end = Arc::new(Semaphore::new(0));
    let end = Arc::clone(&may_end);
    let backend = Backend::raw(move |mut stream, _| {
        let end = Arc::clone(&end);
        async move {
            read_head(&mut stream).await;
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", 2 * half);
            let _ = stream.write_all(head.as_bytes()).await;
            let _ = stream.write_all(&vec![b'a'; half]).await;
            let _end = end.acquire().await;
            let _ = stream.write_all(&vec![b'z'; half]).await;
        }
    })
    .await;
    (backend, may_end)
}

#[tokio::test]
async fn a_small_body_that_trickles_in_holds_no_place() {
    let backend = Backend::echo().await;
    let house = House::with(of_one_hand(&backend, vec![patient(Method::Post), patient(Method::Put)])).await;
    for method in ["POST", "PUT"] {
        let mut slow = house.client().await;
        slow.send(format!(
            "{method} /x HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\n{}",
            "x".repeat(10)
        ))
        .await;
        sleep(Duration::from_millis(200)).await;
        for _ in 0..3 {
            assert_eq!(house.ask(method, "/x", &[], "body").await.text(), format!("{method} /x 4"));
            slow.send("x".repeat(330)).await;
        }
        assert_eq!(
            slow.answer().await.unwrap().text(),
            format!("{method} /x 1000"),
            "it is as good as any other"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_large_body_that_trickles_in_holds_no_place_for_long_and_is_refused() {
    let backend = Backend::echo().await;
    let house = House::with(of_one_hand(&backend, vec![patient(Method::Post)])).await;
    for (framing, part) in
        [("content-length: 100000", "xxxxxxxx"), ("transfer-encoding: chunked", "8\r\nxxxxxxxx\r\n")]
    {
        let mut slow = house.client().await;
        slow.send(format!("POST /x HTTP/1.1\r\nhost: a\r\n{framing}\r\n\r\n")).await;
        let since = Instant::now();
        has_places(&house, 1.0).await;
        for _ in 0..10 {
            sleep(Duration::from_millis(100)).await;
            slow.send(part).await;
        }
        assert_eq!(in_flight(&house, "patient-service"), Some(0.0), "{framing}: it holds its place on");
        // Never so long without a byte that it would be given up for that.
        let trickle = async {
            loop {
                sleep(Duration::from_millis(500)).await;
                slow.stream.write_all(part.as_bytes()).await.unwrap();
                assert!(since.elapsed() < Duration::from_secs(20), "{framing}");
            }
        };
        tokio::select! {
            () = trickle => {}
            () = eventually("it is refused", || crate::house::counts(&house, "requests_in_flight", 0)) => {}
        }
        let took = since.elapsed();
        assert!(took >= Duration::from_secs(5) && took < Duration::from_secs(8), "{framing}: {took:?}");
        slow.answer().await.unwrap().assert_problem(400, "malformed-request");
        assert_eq!(house.ask("POST", "/x", &[], "body").await.text(), "POST /x 4");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_comes_at_a_slow_clients_pace_arrives() {
    let backend = Backend::echo().await;
    let house = House::with(of_one_hand(&backend, vec![patient(Method::Post)])).await;
    let mut slow = house.client().await;
    slow.send("POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n").await;
    for _ in 0..20 {
        sleep(Duration::from_millis(1_500)).await;
        slow.send("x".repeat(5_000)).await;
    }
    assert_eq!(slow.answer().await.unwrap().text(), "POST /x 100000");
}

#[tokio::test]
async fn a_large_answer_that_nobody_takes_holds_no_place() {
    let backend =
        Backend::answering(|_| async { Response::new(Full::new(Bytes::from(vec![b'x'; LARGE]))) }).await;
    let house = House::with(of_one_hand(&backend, vec![patient(Method::Get)])).await;
    let mut slow = Vec::new();
    for _ in 0..3 {
        let mut client = house.client().await;
        client.send(request("GET", "/x", &[], "")).await;
        let mut head = [0; 12];
        client.stream.read_exact(&mut head).await.unwrap();
        assert_eq!(&head, b"HTTP/1.1 200");
        has_places(&house, 0.0).await;
        slow.push(client);
    }
    assert_eq!(house.get("/x").await.text().len(), LARGE);
    // Who takes it in the end gets all of it, and gives nothing back twice.
    for mut client in slow {
        let mut taken = 12;
        let mut buffer = vec![0; 1 << 20];
        while taken < LARGE {
            taken += client.stream.read(&mut buffer).await.unwrap();
        }
    }
    has_places(&house, 0.0).await;
}

#[tokio::test]
async fn a_large_answer_that_the_service_is_slow_to_give_holds_its_place() {
    let (backend, may_end) = slow_to_give(65_536).await;
    let house = House::with(of_one_hand(&backend, vec![patient(Method::Get)])).await;
    let mut client = house.client().await;
    client.send(request("GET", "/x", &[], "")).await;
    has_places(&house, 1.0).await;
    sleep(Duration::from_millis(1_200)).await;
    assert_eq!(in_flight(&house, "patient-service"), Some(1.0));
    may_end.add_permits(1);
    assert_eq!(client.answer().await.unwrap().body.len(), 131_072);
    has_places(&house, 0.0).await;
}

/// Else a stranger could have more done at once than the service can do.
#[tokio::test]
async fn a_streamed_body_has_its_place_again_when_all_of_it_has_come() {
    let may_answer = Arc::new(Semaphore::new(0));
    let answers = Arc::clone(&may_answer);
    let backend = Backend::raw(move |mut stream, _| {
        let answers = Arc::clone(&answers);
        async move {
            let mut heard = read_head(&mut stream).await.into_bytes();
            if heard.starts_with(b"POST") {
                let is_chunked = String::from_utf8_lossy(&heard).contains("chunked");
                while is_chunked && !heard.ends_with(b"\r\n0\r\n\r\n") {
                    if !matches!(stream.read_buf(&mut heard).await, Ok(1..)) {
                        return;
                    }
                }
                drop(answers.acquire().await);
            }
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok")
                .await;
        }
    })
    .await;
    // With a bound of its own beside.
    let bounded = |method| Route { concurrency_max: Some(1), ..patient(method) };
    let routes = [Method::Post, Method::Get].map(bounded).to_vec();
    let house = House::with(of_one_hand(&backend, routes)).await;
    let mut slow = house.client().await;
    slow.send("POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n4\r\nslow\r\n").await;
    eventually("it is at the service", || backend.connections() == 1).await;
    has_places(&house, 0.0).await;
    assert_eq!(house.get("/x").await.text(), "ok");
    let mut other = house.client().await;
    other.send(request("POST", "/x", &[], "body")).await;
    has_places(&house, 1.0).await;
    slow.send("0\r\n\r\n").await;
    // There is room for one.
    sleep(Duration::from_millis(700)).await;
    has_places(&house, 1.0).await;
    drop(other);
    sleep(Duration::from_millis(200)).await;
    has_places(&house, 1.0).await;
    house.get("/x").await.assert_problem(503, "unavailable");
    may_answer.add_permits(1);
    assert_eq!(slow.answer().await.unwrap().text(), "ok");
    has_places(&house, 0.0).await;
    // Nor does who goes in between give one back twice.
    slow = house.client().await;
    slow.send("POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n4\r\nslow\r\n").await;
    eventually("it is at the service", || backend.connections() == 4).await;
    has_places(&house, 0.0).await;
    drop(slow);
    eventually("it is gone", || crate::house::counts(&house, "requests_in_flight", 0)).await;
    has_places(&house, 0.0).await;
}

/// A client that is asked for a body by its service, and sends none, is one that trickles.
#[tokio::test(start_paused = true)]
async fn who_was_told_to_go_on_and_does_not_gives_its_place_back() {
    let backend = Backend::echo().await;
    let house = House::with(of_one_hand(&backend, vec![patient(Method::Post)])).await;
    let mut client: Client = house.client().await;
    client.send("POST /x HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n").await;
    assert_eq!(client.answer_100().await, 100);
    has_places(&house, 1.0).await;
    let since = Instant::now();
    client.answer().await.unwrap().assert_problem(400, "malformed-request");
    assert!(since.elapsed() < Duration::from_secs(8), "{:?}", since.elapsed());
    has_places(&house, 0.0).await;
}

/// Else slow clients could have a service given a rest.
#[tokio::test(start_paused = true)]
async fn how_long_a_body_takes_makes_no_call_slow() {
    let backend = Backend::echo().await;
    let breaker =
        Breaker { consecutive_failures: 1, slow_call_ms: 2_000, open_ms: 60_000, ..Breaker::default() };
    let route = Route { circuit_breaker: Some(breaker), ..patient(Method::Post) };
    let house = House::with(of_one_hand(&backend, vec![route])).await;
    for (framing, first, last) in [
        ("content-length: 8", "slow", "body"),
        ("transfer-encoding: chunked", "4\r\nslow\r\n", "4\r\nbody\r\n0\r\n\r\n"),
    ] {
        let mut slow = house.client().await;
        slow.send(format!("POST /x HTTP/1.1\r\nhost: a\r\n{framing}\r\n\r\n{first}")).await;
        sleep(Duration::from_secs(3)).await;
        slow.send(last).await;
        assert_eq!(slow.answer().await.unwrap().text(), "POST /x 8");
        assert_eq!(house.ask("POST", "/x", &[], "body").await.text(), "POST /x 4", "{framing}");
    }
}

/// Bodies that were waited for may end all at once: their service gets no more of them at a time than it may have.
#[tokio::test]
async fn those_who_come_back_with_the_last_of_their_bodies_wait_for_room() {
    const MANY: usize = 6;
    let (working, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (count, peak) = (Arc::clone(&working), Arc::clone(&most));
    let backend = Backend::raw(move |mut stream, _| {
        let (count, peak) = (Arc::clone(&count), Arc::clone(&peak));
        async move {
            let mut heard = read_head(&mut stream).await.into_bytes();
            while !heard.ends_with(b"\r\n0\r\n\r\n") {
                if !matches!(stream.read_buf(&mut heard).await, Ok(1..)) {
                    return;
                }
            }
            peak.fetch_max(count.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            sleep(Duration::from_millis(30)).await;
            count.fetch_sub(1, Ordering::SeqCst);
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok")
                .await;
        }
    })
    .await;
    let house = House::with(of_one_hand(&backend, vec![patient(Method::Post)])).await;
    let mut slow = Vec::new();
    for number in 1..=MANY {
        let mut client = house.client().await;
        client.send("POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n4\r\nslow\r\n").await;
        eventually("it is at the service", || backend.connections() == number).await;
        has_places(&house, 0.0).await;
        slow.push(client);
    }
    for client in &mut slow {
        client.send("0\r\n\r\n").await;
    }
    for mut client in slow {
        assert_eq!(client.answer().await.unwrap().text(), "ok");
    }
    assert_eq!(most.load(Ordering::SeqCst), 1);
    has_places(&house, 0.0).await;
}

/// Who finds no room in its time is told that the service has too much to do, and speaks against nobody.
#[tokio::test]
async fn who_finds_no_room_for_the_last_of_its_body_is_told_so() {
    let may_answer = Arc::new(Semaphore::new(0));
    let answers = Arc::clone(&may_answer);
    let backend = Backend::raw(move |mut stream, _| {
        let answers = Arc::clone(&answers);
        async move {
            read_head(&mut stream).await;
            drop(answers.acquire().await);
        }
    })
    .await;
    let hurried = Route { timeout_ms: 1_500, ..public(Method::Post, "/x") };
    let house = House::with(of_one_hand(&backend, vec![hurried, patient(Method::Get)])).await;
    let mut slow = house.client().await;
    slow.send("POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n4\r\nslow\r\n").await;
    eventually("it is at the service", || backend.connections() == 1).await;
    has_places(&house, 0.0).await;
    let mut other = house.client().await;
    other.send(request("GET", "/x", &[], "")).await;
    has_places(&house, 1.0).await;
    slow.send("0\r\n\r\n").await;
    slow.answer().await.unwrap().assert_problem(503, "unavailable");
    may_answer.add_permits(2);
}
