//! Services with more to do than they can: who is refused, how soon, and who is not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use settings::{Address, Concurrency, GatewayConfig, Method, Priority, Route, Upstream};
use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::backend::{Backend, eventually, read_head};
use crate::house::{House, captured_log, config, public};
use crate::wire::{Answer, Client, request};

/// So long that whoever is answered within a test was not answered by it.
const FOR_EVER_MS: u64 = 600_000;

/// A service that works on so many requests at once, and lets the others wait in the order in which they came.
struct Busy {
    backend: Backend,
    hands: Arc<Semaphore>,
    arrived: Arc<AtomicUsize>,
}

impl Busy {
    async fn with(hands: usize, work: Duration) -> Self {
        let (hands, arrived) = (Arc::new(Semaphore::new(hands)), Arc::new(AtomicUsize::new(0)));
        let (working, counted) = (Arc::clone(&hands), Arc::clone(&arrived));
        let backend = Backend::answering(move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            let hands = Arc::clone(&working);
            async move {
                let _hand = hands.acquire().await;
                tokio::time::sleep(work).await;
                Response::new(Full::new(Bytes::from_static(b"done")))
            }
        })
        .await;
        Self { backend, hands, arrived }
    }

    /// One that hangs until it is freed.
    async fn hanging() -> Self {
        Self::with(0, Duration::ZERO).await
    }

    fn free(&self) {
        self.hands.add_permits(1_000);
    }

    /// Waits until so many have come, for as long as it takes.
    async fn has_met(&self, count: usize) {
        while self.arrived() < count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn arrived(&self) -> usize {
        self.arrived.load(Ordering::SeqCst)
    }
}

fn fixed(max: u32) -> Concurrency {
    Concurrency { max, adaptive: false, min: 1, ..Concurrency::default() }
}

fn upstream(address: &Address, concurrency: Concurrency) -> Upstream {
    Upstream { concurrency, ..Upstream::from(vec![address.clone()]) }
}

fn of(priority: Priority, path: &str) -> Route {
    Route { priority, timeout_ms: FOR_EVER_MS, ..public(Method::Get, path) }
}

fn before(busy: &Busy, concurrency: Concurrency, routes: Vec<Route>) -> GatewayConfig {
    let mut config = config(Vec::new(), routes);
    config.upstreams.insert("patient-service".to_owned(), upstream(&busy.backend.address, concurrency));
    config
}

/// Requests on connections of their own, of which the answers are still to come.
async fn send(house: &House, path: &str, count: usize) -> Vec<Client> {
    let mut clients = Vec::new();
    for _ in 0..count {
        let mut client = house.client().await;
        client.send(request("GET", path, &[], "")).await;
        clients.push(client);
    }
    clients
}

async fn answers(clients: Vec<Client>) -> Vec<Answer> {
    let mut answers = JoinSet::new();
    for mut client in clients {
        answers.spawn(async move { client.answer().await.expect("an answer") });
    }
    answers.join_all().await
}

/// A gauge or counter of an upstream.
fn value(house: &House, name: &str, labels: &str) -> Option<f64> {
    let page = house.metrics.page();
    let line = page.lines().find(|line| {
        let named = line.strip_prefix("healthcare_gateway_").is_some_and(|rest| rest.starts_with(name));
        named && line.contains(labels)
    })?;
    line.rsplit(' ').next()?.parse().ok()
}

fn shed(house: &House, priority: &str) -> Option<f64> {
    value(house, "shed_total", &format!("priority=\"{priority}\""))
}

pub(crate) fn in_flight(house: &House, upstream: &str) -> Option<f64> {
    value(house, "upstream_in_flight", &format!("upstream=\"{upstream}\""))
}

#[tokio::test]
async fn what_can_wait_is_refused_at_once_and_what_cannot_is_answered() {
    let busy = Busy::hanging().await;
    let routes = vec![
        of(Priority::Low, "/low"),
        of(Priority::Normal, "/normal"),
        of(Priority::High, "/high"),
        of(Priority::Critical, "/critical"),
    ];
    let house = House::with(before(&busy, fixed(20), routes)).await;
    let low = send(&house, "/low", 100).await;
    eventually("88 of 100 are refused", || shed(&house, "low") == Some(88.0)).await;
    eventually("the rest are let in", || busy.arrived() == 12).await;
    // Each of those above takes what the one below may not: 60, 80, 95, 100 % of 20.
    let mut let_in = Vec::new();
    for (path, name, room, arrived) in
        [("/normal", "normal", 4, 16), ("/high", "high", 3, 19), ("/critical", "critical", 1, 20)]
    {
        let_in.extend(send(&house, path, room).await);
        eventually("they are let in", || busy.arrived() == arrived).await;
        let one_more = house.get(path).await;
        one_more.assert_problem(503, "unavailable");
        assert_eq!(shed(&house, name), Some(1.0));
    }
    assert_eq!(in_flight(&house, "patient-service"), Some(20.0));
    busy.free();
    let answered = answers(let_in).await;
    assert!(answered.iter().all(|answer| answer.status == 200), "{answered:?}");
    let (good, refused): (Vec<_>, Vec<_>) =
        answers(low).await.into_iter().partition(|answer| answer.status == 200);
    assert_eq!((good.len(), refused.len()), (12, 88));
    for answer in refused {
        answer.assert_problem(503, "unavailable");
        assert_eq!(answer.header("retry-after"), Some("5"));
    }
    assert_eq!(busy.arrived(), 20, "the service never heard of those that were refused");
    eventually("all places are free", || in_flight(&house, "patient-service") == Some(0.0)).await;
}

#[tokio::test]
async fn a_service_that_hangs_takes_nothing_from_the_others() {
    let (hung, well) = (Busy::hanging().await, Backend::echo().await);
    let routes = vec![
        of(Priority::Normal, "/hung"),
        Route { service: "other".to_owned(), ..public(Method::Get, "/well") },
    ];
    let mut config = before(&hung, fixed(4), routes);
    config.upstreams.insert("other".to_owned(), upstream(&well.address, fixed(1)));
    let house = House::with(config).await;
    let waiting = send(&house, "/hung", 4).await;
    eventually("all hands are taken", || hung.arrived() == 4).await;
    house.get("/hung").await.assert_problem(503, "unavailable");
    assert_eq!(house.get("/well").await.status, 200);
    // Clients that give up make room for others.
    drop(waiting);
    eventually("their places are free", || in_flight(&house, "patient-service") == Some(0.0)).await;
    let waiting = send(&house, "/hung", 1).await;
    eventually("another is let in", || hung.arrived() == 5).await;
    hung.free();
    assert_eq!(answers(waiting).await[0].status, 200);
}

#[tokio::test]
async fn a_place_is_held_until_the_answers_last_byte() {
    let may_end = Arc::new(Semaphore::new(0));
    let end = Arc::clone(&may_end);
    let backend = Backend::raw(move |mut stream, _| {
        let end = Arc::clone(&end);
        async move {
            while !read_head(&mut stream).await.is_empty() {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 131072\r\n\r\n").await;
                let _ = stream.write_all(&vec![b'a'; 65_536]).await;
                let _end = end.acquire().await;
                let _ = stream.write_all(&vec![b'z'; 65_536]).await;
            }
        }
    })
    .await;
    let mut config = config(Vec::new(), vec![of(Priority::Normal, "/x")]);
    config.upstreams.insert("patient-service".to_owned(), upstream(&backend.address, fixed(1)));
    let house = House::with(config).await;
    let mut client = house.client().await;
    client.send(request("GET", "/x", &[], "")).await;
    eventually("half of it is there", || backend.connections() == 1).await;
    let mut head = [0; 12];
    tokio::io::AsyncReadExt::read_exact(&mut client.stream, &mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");
    house.get("/x").await.assert_problem(503, "unavailable");
    may_end.add_permits(100);
    eventually("the place is free", || in_flight(&house, "patient-service") == Some(0.0)).await;
    assert_eq!(house.get("/x").await.text().len(), 131_072);
}

#[tokio::test]
async fn a_route_may_have_a_bound_of_its_own() {
    let busy = Busy::hanging().await;
    let report = Route { concurrency_max: Some(2), ..of(Priority::Critical, "/report") };
    let house = House::with(before(&busy, fixed(10), vec![report, of(Priority::Normal, "/x")])).await;
    let mut waiting = send(&house, "/report", 2).await;
    eventually("they are let in", || busy.arrived() == 2).await;
    house.get("/report").await.assert_problem(503, "unavailable");
    assert_eq!(shed(&house, "critical"), Some(1.0));
    waiting.extend(send(&house, "/x", 1).await);
    busy.free();
    assert!(answers(waiting).await.iter().all(|answer| answer.status == 200));
    assert_eq!(house.get("/report").await.status, 200);
}

#[tokio::test]
async fn routes_of_one_name_share_a_bound() {
    let busy = Busy::hanging().await;
    let shares = |max, path| Route {
        concurrency_max: Some(max),
        concurrency_as: Some("reports".to_owned()),
        ..of(Priority::Normal, path)
    };
    let house = House::with(before(&busy, fixed(10), vec![shares(2, "/a"), shares(2, "/b")])).await;
    let _waiting = [send(&house, "/a", 1).await, send(&house, "/b", 1).await];
    eventually("they are let in", || busy.arrived() == 2).await;
    for path in ["/a", "/b"] {
        house.get(path).await.assert_problem(503, "unavailable");
    }
    let faults = house.gateway.apply(before(&busy, fixed(10), vec![shares(2, "/a"), shares(3, "/b")]));
    let expected = ["routes[1].concurrencyMax: is not that of the routes that it shares it with"];
    assert_eq!(faults.unwrap_err().faults, expected);
}

#[tokio::test]
async fn without_a_limit_as_many_go_through_as_come() {
    let busy = Busy::hanging().await;
    let house = House::with(before(&busy, fixed(0), vec![of(Priority::Low, "/x")])).await;
    let waiting = send(&house, "/x", 300).await;
    eventually("all are let in", || busy.arrived() == 300).await;
    assert_eq!(value(&house, "concurrency_limit", ""), None);
    busy.free();
    assert!(answers(waiting).await.iter().all(|answer| answer.status == 200));
}

#[tokio::test]
async fn what_is_under_way_is_counted_across_a_change_of_the_configuration() {
    let busy = Busy::hanging().await;
    let mut config = before(&busy, fixed(2), vec![of(Priority::Normal, "/x")]);
    let house = House::with(config.clone()).await;
    let waiting = send(&house, "/x", 2).await;
    eventually("they are let in", || busy.arrived() == 2).await;
    config.routes.push(of(Priority::Normal, "/y"));
    house.gateway.apply(config).unwrap();
    house.get("/y").await.assert_problem(503, "unavailable");
    drop(waiting);
    eventually("the places are free", || in_flight(&house, "patient-service") == Some(0.0)).await;
}

#[tokio::test]
async fn who_is_refused_is_logged_as_any_other() {
    let log = captured_log();
    let busy = Busy::hanging().await;
    let house = House::with(before(&busy, fixed(1), vec![of(Priority::Normal, "/x/{id}")])).await;
    let _waiting = send(&house, "/x/1", 1).await;
    eventually("it is let in", || busy.arrived() == 1).await;
    let refused = house.ask("GET", "/x/2", &[("x-request-id", "shed-test-1")], "").await;
    assert_eq!(refused.header("retry-after"), Some("2"));
    let line = || log.lock().unwrap().lines().find(|line| line.contains("shed-test-1")).map(str::to_owned);
    eventually("the line is written", || line().is_some()).await;
    let json: serde_json::Value = serde_json::from_str(&line().unwrap()).unwrap();
    assert_eq!(json["fields"]["status"], 503);
    assert_eq!(json["fields"]["route"], "/x/{id}");
    assert_eq!(json["fields"]["upstream"], "patient-service");
}

#[tokio::test]
async fn a_limit_that_makes_no_sense_is_refused_with_its_place() {
    let backend = Backend::echo().await;
    let house = House::before(&backend, Vec::new()).await;
    for concurrency in [
        Concurrency { min: 0, ..Concurrency::default() },
        Concurrency { min: 9, max: 8, ..Concurrency::default() },
    ] {
        let mut bad = config(vec![backend.address.clone()], Vec::new());
        bad.upstreams.get_mut("patient-service").unwrap().concurrency = concurrency;
        let faults = house.gateway.apply(bad).unwrap_err().faults;
        assert!(faults[0].starts_with("upstreams.patient-service.concurrency.min: "), "{faults:?}");
    }
}

/// Asks again and again until it is told to stop; how many were answered, and how many refused.
async fn ask_on(mut client: Client, path: &'static str, stop: Arc<AtomicBool>) -> (usize, usize) {
    let (mut good, mut refused) = (0, 0);
    while !stop.load(Ordering::SeqCst) {
        let answer = client.ask("GET", path, &[], "").await;
        match answer.status {
            200 => good += 1,
            503 => {
                assert!(answer.header("retry-after").is_some(), "{answer:?}");
                refused += 1;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            _ => panic!("{answer:?}"),
        }
    }
    (good, refused)
}

async fn crowd(
    house: &House,
    path: &'static str,
    count: usize,
    stop: &Arc<AtomicBool>,
) -> JoinSet<(usize, usize)> {
    let mut crowd = JoinSet::new();
    for _ in 0..count {
        crowd.spawn(ask_on(house.client().await, path, Arc::clone(stop)));
    }
    crowd
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_that_moves_finds_what_the_service_can_do_and_keeps_room_for_what_cannot_wait() {
    const HANDS: usize = 4;
    let busy = Busy::with(HANDS, Duration::from_millis(20)).await;
    let moves = Concurrency { max: 400, adaptive: true, min: 4, fast_ms: 0 };
    let routes = vec![of(Priority::Low, "/low"), of(Priority::Critical, "/critical")];
    let house = House::with(before(&busy, moves, routes)).await;
    let limit = || value(&house, "concurrency_limit", "upstream=\"patient-service\"").unwrap();
    // As many as it can do: it learns what is usual.
    let stop = Arc::new(AtomicBool::new(false));
    let calm = crowd(&house, "/critical", HANDS, &stop).await;
    busy.has_met(600).await;
    stop.store(true, Ordering::SeqCst);
    let calm = calm.join_all().await;
    assert!(calm.iter().all(|(_, refused)| *refused == 0), "with room nobody is refused: {calm:?}");

    // Thirty times as many that can wait, and one after the other that cannot.
    let stop = Arc::new(AtomicBool::new(false));
    let low = crowd(&house, "/low", HANDS * 30, &stop).await;
    let critical = crowd(&house, "/critical", 1, &stop).await;
    let arrived = busy.arrived();
    busy.has_met(arrived + 1_000).await;
    let found = limit();
    stop.store(true, Ordering::SeqCst);
    let (low, critical) = (low.join_all().await, critical.join_all().await);
    let refused: usize = low.iter().map(|(_, refused)| refused).sum();
    let (good, sent_away) = critical[0];
    assert!(found < 60.0, "left alone it would be above the 120 that are there; it is {found}");
    assert!(refused > 0 && good > 0);
    assert!(sent_away * 4 <= good, "of what cannot wait {sent_away} were sent away, {good} answered");
}
