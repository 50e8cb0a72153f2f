//! Configurations that change while requests are under way, and the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use settings::{Method, RouteAccess};
use tokio::sync::Semaphore;

use crate::backend::{Backend, eventually};
use crate::house::{House, config, public};
use crate::wire::Client;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_changes_under_load_lose_no_request() {
    let (one, two) = (Backend::echo().await, Backend::echo().await);
    let base = config(vec![one.address.clone()], vec![public(Method::Get, "/x")]);
    let house = House::with(base.clone()).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let (is_over, address) = (Arc::clone(&is_over), house.address);
            tokio::spawn(async move {
                let mut client = Client::connect(address).await;
                let mut answered = 0;
                while !is_over.load(Ordering::SeqCst) {
                    let answer = client.ask("GET", "/x", &[], "").await;
                    assert_eq!(answer.status, 200, "{answer:?}");
                    answered += 1;
                }
                answered
            })
        })
        .collect();
    for round in 0..100 {
        let mut changed = base.clone();
        let upstream = changed.upstreams.get_mut("patient-service").unwrap();
        match round % 3 {
            0 => upstream.endpoints.push(two.address.clone()),
            1 => upstream.endpoints = vec![two.address.clone()],
            _ => changed.routes.push(public(Method::Get, "/y")),
        }
        house.gateway.apply(changed).unwrap();
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    is_over.store(true, Ordering::SeqCst);
    for client in clients {
        assert!(client.await.unwrap() > 0);
    }
    assert_eq!(house.gateway.report().metrics.errors, 0);
}

#[tokio::test]
async fn a_change_holds_from_the_next_request_on() {
    let backend = Backend::echo().await;
    let mut changing = config(vec![backend.address.clone()], vec![public(Method::Get, "/x")]);
    let house = House::with(changing.clone()).await;
    let mut client = house.client().await;
    assert_eq!(client.ask("GET", "/x", &[], "").await.status, 200);
    changing.routes[0].access = RouteAccess::Permissions(vec!["patients:read".to_owned()]);
    house.gateway.apply(changing).unwrap();
    assert_eq!(client.ask("GET", "/x", &[], "").await.status, 401);
}

#[tokio::test]
async fn an_invalid_change_names_every_fault_and_changes_nothing() {
    let backend = Backend::echo().await;
    let good = config(vec![backend.address.clone()], vec![public(Method::Get, "/x")]);
    let house = House::with(good.clone()).await;
    let mut bad = good;
    bad.routes[0].access = RouteAccess::Permissions(vec!["patients:fly".to_owned()]);
    bad.routes[0].timeout_ms = 0;
    bad.routes.push(public(Method::Get, "/x"));
    bad.routes.push(public(Method::Get, "x"));
    bad.routes.push(public(Method::Get, "/internal/events"));
    bad.routes.push(settings::Route { service: "nobody".to_owned(), ..public(Method::Get, "/z") });
    bad.routes.push(settings::Route { service: "gateway".to_owned(), ..public(Method::Get, "/w") });
    bad.trusted_proxies = vec!["10.0.0.0/99".to_owned()];
    bad.upstreams
        .get_mut("patient-service")
        .unwrap()
        .endpoints
        .push(settings::Address("nonsense".to_owned()));
    let faults = house.gateway.apply(bad).unwrap_err().faults.join("\n");
    for part in [
        "patients:fly",
        "routes[0].timeoutMs",
        "routes[1].path",
        "routes[2].path",
        "routes[3].path",
        "upstream nobody",
        "routes[5].service",
        "10.0.0.0/99",
        "nonsense",
    ] {
        assert!(faults.contains(part), "{part} is missing in\n{faults}");
    }
    assert_eq!(house.get("/x").await.status, 200);

    let mut clash = config(vec![backend.address.clone()], vec![public(Method::Get, "/a/{b")]);
    clash.routes.push(public(Method::Get, "/x"));
    assert_eq!(house.gateway.apply(clash).unwrap_err().faults.len(), 1);
    assert_eq!(house.get("/x").await.status, 200);
}

/// A backend that answers when it is let.
async fn held() -> (Backend, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    let waiting = Arc::clone(&gate);
    let backend = Backend::answering(move |_| {
        let waiting = Arc::clone(&waiting);
        async move {
            waiting.acquire().await.unwrap().forget();
            Response::new(Full::new(Bytes::from_static(b"done")))
        }
    })
    .await;
    (backend, gate)
}

#[tokio::test]
async fn stopping_finishes_what_is_under_way_and_closes_what_idles() {
    let (backend, gate) = held().await;
    let house =
        House::before(&backend, vec![public(Method::Get, "/x"), public(Method::Get, "/api/gateway")]).await;
    let (mut busy, mut idle, mut silent) = (house.client().await, house.client().await, house.client().await);
    assert_eq!(idle.ask("GET", "/livez", &[], "").await.status, 200);
    busy.send(crate::wire::request("GET", "/x", &[], "")).await;
    eventually("the request arrived", || backend.requests().len() == 1).await;
    let address = house.address;
    let stopping = tokio::spawn(house.gateway.stop());
    assert!(idle.is_closed().await && silent.is_closed().await);
    assert!(!stopping.is_finished());
    gate.add_permits(1);
    let answer = busy.answer().await.unwrap();
    assert_eq!((answer.status, answer.text()), (200, "done"));
    stopping.await.unwrap();
    assert!(busy.is_closed().await);
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn one_that_lingers_serves_whoever_comes_and_asks_them_not_to_come_back() {
    let backend = Backend::echo().await;
    let house = House::before(&backend, vec![public(Method::Get, "/x")]).await;
    let (mut idle, mut coming) = (house.client().await, house.client().await);
    assert_eq!(coming.ask("GET", "/readyz", &[], "").await.status, 200);
    house.gateway.linger();
    let answer = coming.ask("GET", "/x", &[], "").await;
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    assert!(coming.is_closed().await);
    assert_eq!(house.get("/readyz").await.status, 503, "a new connection is still taken");
    assert_eq!(house.get("/livez").await.status, 200);
    assert_eq!(idle.ask("GET", "/x", &[], "").await.status, 200, "one that idled is not cut off");
    house.gateway.drain().await;
    assert!(tokio::net::TcpStream::connect(house.address).await.is_err());
}

#[tokio::test]
async fn a_service_without_endpoints_answers_503_and_does_not_hold_the_gateway_up() {
    let backend = Backend::echo().await;
    let mut changing = config(Vec::new(), vec![public(Method::Get, "/x")]);
    let house = House::with(changing.clone()).await;
    house.get("/x").await.assert_problem(503, "unavailable");
    assert_eq!(house.get("/readyz").await.status, 200);
    changing.upstreams.get_mut("patient-service").unwrap().endpoints.push(backend.address.clone());
    house.gateway.apply(changing).unwrap();
    assert_eq!(house.get("/x").await.status, 200);
}

#[tokio::test]
async fn an_endpoint_that_stays_keeps_its_breaker_and_its_connections_when_others_come_and_go() {
    let (sick, well) = (Backend::status(500).await, Backend::echo().await);
    let breaker = settings::Breaker { min_calls: 2, window_calls: 2, open_ms: 60_000, ..Default::default() };
    let route = settings::Route { circuit_breaker: Some(breaker), ..public(Method::Get, "/x") };
    let mut changing = config(vec![sick.address.clone(), well.address.clone()], vec![route]);
    let house = House::with(changing.clone()).await;
    for _ in 0..8 {
        house.get("/x").await;
    }
    let (asked, connections) = (sick.requests().len(), well.connections());
    let more: Vec<_> = [Backend::echo().await, Backend::echo().await].into();
    let endpoints = &mut changing.upstreams.get_mut("patient-service").unwrap().endpoints;
    endpoints.extend(more.iter().map(|backend| backend.address.clone()));
    house.gateway.apply(changing).unwrap();
    for _ in 0..12 {
        assert_eq!(house.get("/x").await.status, 200);
    }
    assert_eq!(sick.requests().len(), asked, "its breaker is open still");
    assert_eq!(well.connections(), connections, "its connection is used again");
    assert!(more.iter().all(|backend| backend.connections() > 0));
}

#[tokio::test]
async fn a_request_under_way_ends_under_the_configuration_it_began_with() {
    let (backend, gate) = held().await;
    let house = House::before(&backend, vec![public(Method::Get, "/x")]).await;
    let mut client = house.client().await;
    client.send(crate::wire::request("GET", "/x", &[], "")).await;
    eventually("the request arrived", || backend.requests().len() == 1).await;
    house.gateway.apply(config(vec![Backend::nobody()], Vec::new())).unwrap();
    gate.add_permits(1);
    assert_eq!(client.answer().await.unwrap().text(), "done");
    assert_eq!(client.ask("GET", "/x", &[], "").await.status, 404);
}

#[tokio::test]
async fn the_example_in_the_folder_is_a_good_configuration() {
    let example = serde_saphyr::from_str(include_str!("../../examples/gateway.yaml")).unwrap();
    let house = House::with(example).await;
    house.get("/api/patients/1").await.assert_problem(401, "unauthenticated");
}

#[tokio::test]
async fn of_a_configuration_that_is_refused_nothing_is_left() {
    let backend = Backend::echo().await;
    let routes = vec![public(Method::Get, "/x")];
    let house = House::before(&backend, routes.clone()).await;
    assert_eq!(house.get("/x").await.status, 200);
    let mut refused = config(vec![backend.address.clone()], routes);
    // Only the router knows that these two are one, when all else is made.
    refused.routes.push(settings::Route { service: "ghost".to_owned(), ..public(Method::Get, "/y/{one}") });
    refused.routes.push(public(Method::Get, "/y/{other}"));
    refused.upstreams.insert("ghost".to_owned(), vec![Backend::nobody()].into());
    house.gateway.apply(refused).unwrap_err();
    let page = house.metrics.page();
    assert!(page.contains(r#"upstream="patient-service""#) && !page.contains("ghost"), "{page}");
    assert_eq!(house.get("/x").await.status, 200);
}
