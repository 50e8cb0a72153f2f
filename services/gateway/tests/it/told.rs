//! What the log says of a request whose service did not answer it as usual, and of endpoints that fail: what is so, in a word each.

use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use serde_json::Value;
use settings::{
    Address, Breaker, Concurrency, Fallback, GatewayConfig, HealthCheck, Hedge, Method, Route, StaticAnswer,
    Upstream,
};

use crate::backend::{Backend, eventually};
use crate::house::{House, captured_log, config, public};

/// Asks once, and gives what the access log says of it.
async fn logged(house: &House, path: &str, id: &str) -> Value {
    let log = captured_log();
    house.ask("GET", path, &[("x-request-id", id)], "").await;
    let id = format!(r#""{id}""#);
    let line = || log.lock().unwrap().lines().find(|line| line.contains(&id)).map(str::to_owned);
    eventually("the line is written", || line().is_some()).await;
    serde_json::from_str::<Value>(&line().unwrap()).unwrap()["fields"].take()
}

/// The lines of the log that speak of an endpoint and say this.
fn says(endpoint: &Address, what: &str) -> usize {
    says_from(0, endpoint, what)
}

fn says_from(begin: usize, endpoint: &Address, what: &str) -> usize {
    let endpoint = format!(r#""endpoint":"{endpoint}""#);
    let log = captured_log();
    let log = log.lock().unwrap();
    log[begin..].lines().filter(|line| line.contains(&endpoint) && line.contains(what)).count()
}

fn to_providers(path: &str) -> Route {
    Route { service: "provider-service".to_owned(), timeout_ms: 200, ..public(Method::Get, path) }
}

/// `/plain/<which>` and `/with/<which>`: without a fallback and with one.
fn before(upstream: Upstream, breaker: Option<Breaker>) -> GatewayConfig {
    let instead = Fallback::Static(StaticAnswer {
        status: 200,
        content_type: "application/json".to_owned(),
        body: "[]".to_owned(),
        headers: std::collections::BTreeMap::new(),
    });
    let plain = Route { circuit_breaker: breaker, ..to_providers("/plain/{which}") };
    let with = Route { circuit_breaker: breaker, fallback: Some(instead), ..to_providers("/with/{which}") };
    let mut config = config(upstream.endpoints.clone(), vec![plain, with]);
    config.upstreams.insert("provider-service".to_owned(), upstream);
    config
}

#[tokio::test]
async fn the_access_log_says_why_a_service_did_not_answer_whatever_stood_in() {
    let _ = captured_log();
    let silent = Backend::raw(|stream, _| async move {
        let _open = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let (broken, sick) = (Backend::raw(|_, _| async {}).await, Backend::status(503).await);
    let rests = Breaker { consecutive_failures: 1, ..Breaker::default() };
    for (upstream, breaker, cause, own) in [
        (vec![Backend::nobody()].into(), None, "unreached", 503),
        (vec![silent.address.clone()].into(), None, "deadline", 504),
        (vec![broken.address.clone()].into(), None, "broken", 503),
        (vec![sick.address.clone()].into(), Some(rests), "breaker-open", 503),
    ] as [(Upstream, _, _, _); 4]
    {
        let house = House::with(before(upstream, breaker)).await;
        if breaker.is_some() {
            house.get("/plain/first").await;
        }
        let plain = logged(&house, "/plain/x", &format!("told-plain-{cause}")).await;
        assert_eq!((&plain["failure"], &plain["status"]), (&cause.into(), &own.into()), "{plain}");
        assert_eq!(plain["fallback"], "-", "{plain}");
        let with = logged(&house, "/with/x", &format!("told-with-{cause}")).await;
        assert_eq!((&with["failure"], &with["status"]), (&cause.into(), &200.into()), "{with}");
        assert_eq!(with["fallback"], "static", "{with}");
    }
}

#[tokio::test]
async fn what_the_service_answered_is_told_where_something_stood_in_for_it() {
    let sick = Backend::status(503).await;
    let house = House::with(before(vec![sick.address.clone()].into(), None)).await;
    assert_eq!(logged(&house, "/with/x", "told-503").await["failure"], "503");
    let plain = logged(&house, "/plain/x", "told-own-503").await;
    assert_eq!(
        (&plain["failure"], &plain["status"]),
        (&Value::Null, &503.into()),
        "its answer was passed on"
    );
}

#[tokio::test]
async fn who_finds_no_room_is_told_from_who_finds_nobody() {
    let hung = Backend::raw(|stream, _| async move {
        let _open = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let concurrency = Concurrency { max: 1, adaptive: false, min: 1, ..Concurrency::default() };
    let upstream = Upstream { concurrency, ..Upstream::from(vec![hung.address.clone()]) };
    let mut config = before(upstream, None);
    config.routes.iter_mut().for_each(|route| route.timeout_ms = 30_000);
    let house = House::with(config).await;
    let mut waiting = house.client().await;
    waiting.send("GET /plain/x HTTP/1.1\r\nhost: a\r\n\r\n").await;
    eventually("it is let in", || hung.connections() == 1).await;
    let shed = logged(&house, "/with/x", "told-shed").await;
    assert_eq!((&shed["failure"], &shed["fallback"]), (&"shed".into(), &"static".into()), "{shed}");
}

#[tokio::test]
async fn the_access_log_says_that_a_read_was_made_twice_and_what_that_was_good_for() {
    let takes = |millis, name: &'static str| {
        Backend::answering(move |_| async move {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            Response::new(Full::new(Bytes::from_static(name.as_bytes())))
        })
    };
    let (slow, quick) = (takes(3_000, "slow").await, takes(0, "quick").await);
    let hedge = Some(Hedge { after_ms: 50, percent_max: 100 });
    let route = || Route { hedge, ..public(Method::Get, "/x") };
    let house = House::with(config(vec![slow.address.clone(), quick.address.clone()], vec![route()])).await;
    let mut words = vec![
        logged(&house, "/x", "told-hedge-1").await["hedged"].take(),
        logged(&house, "/x", "told-hedge-2").await["hedged"].take(),
    ];
    words.sort_by_key(Value::is_string);
    assert_eq!(words, [Value::Null, "won".into()], "one of two comes to the slow one first");

    let (slow, sick) = (takes(300, "slow").await, Backend::status(503).await);
    let house = House::with(config(vec![slow.address.clone(), sick.address.clone()], vec![route()])).await;
    assert_eq!(logged(&house, "/x", "told-hedge-3").await["hedged"], "made", "the first was waited for");
}

#[tokio::test]
async fn of_an_only_endpoint_and_of_most_nobody_says_that_they_are_set_aside() {
    let only = Backend::status(500).await;
    // Its port may have been another test's before.
    let begin = captured_log().lock().unwrap().len();
    let says = |endpoint: &Address, what: &str| says_from(begin, endpoint, what);
    let house = House::with(config(vec![only.address.clone()], vec![public(Method::Get, "/x")])).await;
    for _ in 0..6 {
        house.get("/x").await;
    }
    assert_eq!(says(&only.address, "the only endpoint fails; it is sent to all the same"), 1);
    assert_eq!(says(&only.address, "set aside"), 0);

    let two = [Backend::status(500).await, Backend::status(500).await];
    let endpoints = two.iter().map(|backend| backend.address.clone()).collect();
    let house = House::with(config(endpoints, vec![public(Method::Get, "/x")])).await;
    for _ in 0..12 {
        house.get("/x").await;
    }
    let count = |what: &str| two.iter().map(|backend| says(&backend.address, what)).sum::<usize>();
    assert_eq!(count("an endpoint is set aside"), 1, "the first of them is");
    assert_eq!(count("an endpoint fails as most do: all are sent to all the same"), 1);
}

#[tokio::test]
async fn an_endpoint_has_its_whole_address_in_every_line() {
    let _ = captured_log();
    let (one, other) = (Backend::status(500).await, Backend::echo().await);
    let check = HealthCheck { interval_ms: 20, ..HealthCheck::default() };
    let endpoints = vec![one.address.clone(), other.address.clone()];
    let mut config = config(endpoints, vec![public(Method::Get, "/x")]);
    config.upstreams.get_mut("patient-service").unwrap().health_check = Some(check);
    let _house = House::with(config).await;
    assert!(one.address.0.starts_with("http://"), "{}", one.address);
    eventually("it is told", || says(&one.address, "does not say that it is well") == 1).await;
}
