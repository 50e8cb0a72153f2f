//! Two versions of a service side by side, and who gets which.

use std::collections::BTreeMap;

use bytes::Bytes;
use contracts::permission::Role;
use http::{Response, StatusCode};
use http_body_util::Full;
use settings::{Canary, GatewayConfig, Method};

use crate::backend::Backend;
use crate::house::{House, captured_log, config, guarded, public};

const NEXT: &str = "patient-service-next";
const PEOPLE: usize = 200;

async fn version(name: &'static str) -> Backend {
    Backend::answering(move |_| async move { Response::new(Full::new(Bytes::from_static(name.as_bytes()))) })
        .await
}

fn split(stable: &Backend, next: &Backend, percent: f64) -> GatewayConfig {
    let mut routes = vec![guarded(Method::Get, "/x", &["patients:read"]), public(Method::Get, "/y")];
    for route in &mut routes {
        route.canary = Some(Canary { upstream: NEXT.to_owned(), percent });
    }
    let mut config = config(vec![stable.address.clone()], routes);
    config.upstreams.insert(NEXT.to_owned(), vec![next.address.clone()].into());
    config
}

/// What each of many people sees.
async fn seen(house: &House) -> BTreeMap<usize, String> {
    let mut seen = BTreeMap::new();
    let mut client = house.client().await;
    for person in 0..PEOPLE {
        let token = house.token(&format!("user-{person}"), Role::Receptionist);
        let bearer = format!("Bearer {token}");
        let answer = client.ask("GET", "/x", &[("authorization", &bearer)], "").await;
        assert_eq!(answer.status, 200);
        seen.insert(person, answer.text().to_owned());
    }
    seen
}

fn of_the_next(seen: &BTreeMap<usize, String>) -> Vec<usize> {
    seen.iter().filter(|(_, version)| *version == "next").map(|(person, _)| *person).collect()
}

#[tokio::test]
async fn a_person_stays_with_a_version_and_a_larger_share_only_adds_people() {
    let (stable, next) = (version("stable").await, version("next").await);
    let (first, second) =
        (House::with(split(&stable, &next, 20.0)).await, House::with(split(&stable, &next, 20.0)).await);
    let before = seen(&first).await;
    let chosen = of_the_next(&before);
    assert!((20..=60).contains(&chosen.len()), "about 40 of 200: {}", chosen.len());
    assert_eq!(seen(&first).await, before, "the same the next time");
    assert_eq!(seen(&second).await, before, "and at another gateway");

    first.gateway.apply(split(&stable, &next, 50.0)).unwrap();
    let more = of_the_next(&seen(&first).await);
    assert!((75..=125).contains(&more.len()), "about 100 of 200: {}", more.len());
    assert!(chosen.iter().all(|person| more.contains(person)));

    first.gateway.apply(split(&stable, &next, 0.0)).unwrap();
    assert!(of_the_next(&seen(&first).await).is_empty());
    first.gateway.apply(split(&stable, &next, 100.0)).unwrap();
    assert_eq!(of_the_next(&seen(&first).await).len(), PEOPLE);

    let mut rolled_back = split(&stable, &next, 100.0);
    rolled_back.routes.iter_mut().for_each(|route| route.canary = None);
    rolled_back.upstreams.remove(NEXT);
    first.gateway.apply(rolled_back).unwrap();
    assert!(of_the_next(&seen(&first).await).is_empty(), "taken away, all are back");
}

#[tokio::test]
async fn who_is_not_signed_in_stays_with_a_version_by_address() {
    let (stable, next) = (version("stable").await, version("next").await);
    let mut config = split(&stable, &next, 50.0);
    config.trusted_proxies = vec!["127.0.0.0/8".to_owned()];
    let house = House::with(config).await;
    let mut chosen = 0;
    for address in 0..60 {
        let forwarded = format!("192.0.2.{address}");
        let headers = [("x-forwarded-for", &*forwarded)];
        let ask = || house.ask("GET", "/y", &headers, "");
        let version = ask().await.text().to_owned();
        assert_eq!(ask().await.text(), version);
        chosen += usize::from(version == "next");
    }
    assert!((15..=45).contains(&chosen), "about 30 of 60: {chosen}");
}

#[tokio::test]
async fn while_no_endpoint_of_the_canary_is_well_nobody_is_sent_there() {
    let (stable, next) = (version("stable").await, version("next").await);
    let mut empty = split(&stable, &next, 100.0);
    empty.upstreams.get_mut(NEXT).unwrap().endpoints.clear();
    let house = House::with(empty).await;
    assert_eq!(house.get("/y").await.text(), "stable");

    let mut gone = split(&stable, &next, 100.0);
    gone.upstreams.get_mut(NEXT).unwrap().endpoints = vec![Backend::nobody()];
    house.gateway.apply(gone).unwrap();
    let mut refused = 0;
    for _ in 0..20 {
        refused += usize::from(house.get("/y").await.status == 503);
    }
    assert_eq!(refused, 2, "until it is set aside");
}

#[tokio::test]
async fn log_and_metrics_tell_the_versions_apart() {
    let log = captured_log();
    let stable = version("stable").await;
    let next = Backend::answering(|_| async {
        let mut response = Response::new(Full::new(Bytes::new()));
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
    })
    .await;
    let house = House::with(split(&stable, &next, 100.0)).await;
    let answer = house.ask("GET", "/y", &[("x-request-id", "of-the-canary")], "").await;
    assert_eq!(answer.status, 500);
    house.gateway.apply(split(&stable, &next, 0.0)).unwrap();
    assert_eq!(house.get("/y").await.status, 200);
    let page = house.metrics.page();
    for line in ["by=\"canary\",status=\"5xx\"} 1", "by=\"stable\",status=\"2xx\"} 1"] {
        let line = format!("gateway_canary_requests_total{{service=\"api-gateway\",canary=\"{NEXT}\",{line}");
        assert!(page.contains(&line), "{line} is missing in\n{page}");
    }
    crate::backend::eventually("it is logged", || {
        let log = log.lock().unwrap();
        log.lines()
            .any(|line| line.contains("of-the-canary") && line.contains(&format!("\"upstream\":\"{NEXT}\"")))
    })
    .await;
}
