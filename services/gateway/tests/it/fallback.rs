//! Services that cannot answer, and what stands in for them: never unmarked, never another's, never too old.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use bytes::Bytes;
use contracts::auth::Revocation;
use contracts::permission::Role;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use settings::{Address, Breaker, Fallback, GatewayConfig, Method, Route, StaticAnswer, Upstream};
use tokio::io::AsyncWriteExt;

use crate::backend::{Backend, eventually, read_head};
use crate::house::{House, captured_log, config, counts, guarded, public};
use crate::wire::Answer;

/// A route of a service that tells of nobody's health.
fn stale(seconds: u32, route: Route) -> Route {
    Route { fallback: Some(Fallback::StaleRead { max_age_seconds: seconds }), ..providers(route) }
}

fn fixed(body: &str, route: Route) -> Route {
    let answer = StaticAnswer {
        status: 200,
        content_type: "application/json".to_owned(),
        body: body.to_owned(),
        headers: BTreeMap::from([("x-note".to_owned(), "from the configuration".to_owned())]),
    };
    Route { fallback: Some(Fallback::Static(answer)), ..route }
}

/// A route to another service than that of patients, which has the same endpoints here.
fn providers(route: Route) -> Route {
    Route { service: "provider-service".to_owned(), ..route }
}

fn with_providers(endpoints: Vec<Address>, routes: Vec<Route>) -> GatewayConfig {
    let mut config = config(endpoints.clone(), routes);
    config.upstreams.insert("provider-service".to_owned(), Upstream::from(endpoints));
    config
}

/// Before one backend, whichever service a route is of.
async fn before(backend: &Backend, routes: Vec<Route>) -> House {
    House::with(with_providers(vec![backend.address.clone()], routes)).await
}

/// A service that answers with a status that can be changed, and tells in its body which request it was asked.
struct Service {
    backend: Backend,
    status: Arc<AtomicU16>,
}

impl Service {
    async fn well() -> Self {
        Self::with(|| Bytes::from_static(b"{}"), &[]).await
    }

    async fn with(
        body: impl Fn() -> Bytes + Clone + Send + Sync + 'static,
        headers: &[(&'static str, &'static str)],
    ) -> Self {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        let status = Arc::new(AtomicU16::new(200));
        let now = Arc::clone(&status);
        let backend = Backend::answering(move |request| {
            let status = StatusCode::from_u16(now.load(Ordering::SeqCst)).unwrap();
            let (body, headers) = (body(), headers.clone());
            async move {
                if status == 599 {
                    std::future::pending::<()>().await;
                }
                let mut response = Response::new(Full::new(body));
                *response.status_mut() = status;
                response.headers_mut().insert("etag", HeaderValue::from_static("\"1\""));
                response.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
                response.headers_mut().extend(headers);
                if status == 200 && request.headers().get("if-none-match").is_some() {
                    *response.status_mut() = StatusCode::NOT_MODIFIED;
                    *response.body_mut() = Full::default();
                }
                response
            }
        })
        .await;
        Self { backend, status }
    }

    fn answers(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }
}

fn kind(answer: &Answer) -> (u16, Option<&str>) {
    (answer.status, answer.header("x-fallback"))
}

const STALE: (u16, Option<&str>) = (200, Some("stale"));

#[tokio::test]
async fn a_static_answer_stands_in_for_a_read_and_says_what_it_is() {
    let service = Service::well().await;
    let route = fixed(r#"{"items":[]}"#, providers(public(Method::Get, "/providers")));
    let house = House::with(with_providers(vec![service.backend.address.clone()], vec![route])).await;
    assert_eq!(kind(&house.get("/providers").await), (200, None));
    service.answers(503);
    let answer = house.get("/providers").await;
    assert_eq!((kind(&answer), answer.text()), ((200, Some("static")), r#"{"items":[]}"#));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("x-note"), Some("from the configuration"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(answer.header("x-request-id").is_some() && answer.header("age").is_none());
    assert_eq!(kind(&house.ask("HEAD", "/providers", &[], "").await), (200, Some("static")));
    service.answers(404);
    assert_eq!(kind(&house.get("/providers").await), (404, None), "an answer is an answer");
    let line = r#"gateway_fallbacks_total{service="api-gateway",route="/providers",kind="static"} 2"#;
    eventually("it is counted", || house.metrics.page().contains(line)).await;
}

#[tokio::test]
async fn the_last_good_answer_stands_in_with_its_age() {
    let log = captured_log();
    let service = Service::with(|| Bytes::from_static(br#"{"name":"Jane"}"#), &[]).await;
    let route = Route { timeout_ms: 300, ..stale(60, public(Method::Get, "/stale-people/{id}")) };
    let house = before(&service.backend, vec![route.clone()]).await;
    assert_eq!(kind(&house.get("/stale-people/1").await), (200, None));
    for down in [502, 503, 504, 599] {
        service.answers(down);
        let answer = house.get("/stale-people/1").await;
        assert_eq!((kind(&answer), answer.text()), (STALE, r#"{"name":"Jane"}"#), "{down}");
        let age: u64 = answer.header("age").unwrap().parse().unwrap();
        let told = answer.header("cache-status").unwrap();
        assert!(age < 30 && told.starts_with("healthcare-gateway; fwd=stale; "), "{told}");
        assert_eq!(told.contains(&format!("fwd-status={down}")), down != 599, "{told}");
        assert_eq!(
            answer.header("etag"),
            Some("\"1\""),
            "a write that is made by it is refused if it is old"
        );
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(house.get("/stale-people/2").await.header("x-fallback"), None, "of that nothing is known");
    }
    // A fault of the service's own is told: what is old would hide it.
    service.answers(500);
    assert_eq!(kind(&house.get("/stale-people/1").await), (500, None));
    // Its endpoints may go, which is a change of the configuration.
    house.gateway.apply(with_providers(Vec::new(), vec![route.clone()])).unwrap();
    assert_eq!(kind(&house.get("/stale-people/1").await), STALE);
    house.gateway.apply(with_providers(vec![Backend::nobody()], vec![route])).unwrap();
    assert_eq!(kind(&house.get("/stale-people/1").await), STALE);
    eventually("the log says so", || {
        log.lock().unwrap().lines().any(|line| {
            line.contains("/stale-people/{id}")
                && line.contains(r#""fallback":"stale""#)
                && line.contains(r#""status":200"#)
        })
    })
    .await;
}

#[tokio::test]
async fn while_all_endpoints_rest_the_service_is_left_alone() {
    let service = Service::well().await;
    let breaker = Breaker { window_calls: 2, min_calls: 2, open_ms: 60_000, ..Breaker::default() };
    let route = Route { circuit_breaker: Some(breaker), ..stale(60, public(Method::Get, "/x")) };
    let house = before(&service.backend, vec![route]).await;
    house.get("/x").await;
    service.answers(502);
    for _ in 0..5 {
        assert_eq!(kind(&house.get("/x").await), STALE);
    }
    assert_eq!(service.backend.requests().len(), 2, "one good, one bad, and half is enough");
}

#[tokio::test]
async fn nobody_gets_what_another_was_answered_or_they_themselves_might_see_no_more() {
    let service = Service::well().await;
    let route = stale(60, guarded(Method::Get, "/bills/{id}", &["bills:read"]));
    let house = before(&service.backend, vec![route]).await;
    let jane = house.token("jane", Role::Admin);
    assert_eq!(kind(&house.get_as(&jane, "/bills/1").await), (200, None));
    service.answers(503);
    assert_eq!(kind(&house.get_as(&jane, "/bills/1").await), STALE);
    assert_eq!(house.get("/bills/1").await.status, 401);
    assert_eq!(house.get_as(&house.token("joe", Role::Admin), "/bills/1").await.status, 503, "another");
    assert_eq!(
        house.get_as(&house.token("jane", Role::Billing), "/bills/1").await.status,
        503,
        "she may see less, and what the service would leave out cannot be known here"
    );
    assert_eq!(house.get_as(&jane, "/bills/1?a=b").await.status, 503);
    let mut patient = house.claims("jane", Role::Admin);
    patient.patient_id = Some("pat_1".to_owned());
    assert_eq!(house.get_as(&house.sign(patient), "/bills/1").await.status, 503, "as whom she asks");
    house.clock.advance(chrono::TimeDelta::seconds(2));
    let again = house.token("jane", Role::Admin);
    assert_eq!(kind(&house.get_as(&again, "/bills/1").await), STALE, "another token of hers");
    house.clock.advance(chrono::TimeDelta::seconds(1));
    let now = house.clock.now();
    let revocation = Revocation {
        session: Some("session-jane".to_owned()),
        user: None,
        issued_before: now.timestamp_millis(),
        expires_at: now.timestamp() + 600,
    };
    house.revoked.apply(&[revocation], &house.clock);
    assert_eq!(house.get_as(&again, "/bills/1").await.status, 401);
}

#[tokio::test]
async fn another_form_of_it_is_another_answer() {
    let service = Service::well().await;
    let house = before(&service.backend, vec![stale(60, public(Method::Get, "/x"))]).await;
    let csv = [("accept", "text/csv")];
    house.ask("GET", "/x", &csv, "").await;
    service.answers(503);
    assert_eq!(kind(&house.ask("GET", "/x", &csv, "").await), STALE);
    assert_eq!(kind(&house.ask("HEAD", "/x", &csv, "").await), STALE);
    assert_eq!(house.get("/x").await.status, 503);
    assert_eq!(house.ask("GET", "/x?page=2", &csv, "").await.status, 503);
    for who in [("authorization", "Bearer x"), ("cookie", "a=b")] {
        assert_eq!(house.ask("GET", "/x", &[csv[0], who], "").await.status, 503, "{who:?}");
    }
}

#[tokio::test]
async fn what_is_too_old_is_not_served_and_not_kept() {
    let service = Service::well().await;
    let house = before(&service.backend, vec![stale(1, public(Method::Get, "/x"))]).await;
    house.get("/x").await;
    service.answers(503);
    assert_eq!(kind(&house.get("/x").await), STALE);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(kind(&house.get("/x").await), (503, None));
    let none = "gateway_kept_answers{service=\"api-gateway\"} 0\n";
    eventually("it is gone", || house.metrics.page().contains(none)).await;
}

#[tokio::test]
async fn what_the_client_is_told_it_has_already_is_as_new_as_that() {
    let service = Service::well().await;
    let house = before(&service.backend, vec![stale(3, public(Method::Get, "/x"))]).await;
    house.get("/x").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(house.ask("GET", "/x", &[("if-none-match", "\"1\"")], "").await.status, 304);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    service.answers(503);
    assert_eq!(kind(&house.get("/x").await), STALE);
}

#[tokio::test]
async fn a_write_ends_what_was_read_there_before() {
    let service = Service::well().await;
    let routes = vec![
        stale(60, public(Method::Get, "/p")),
        stale(60, public(Method::Get, "/p/{id}")),
        public(Method::Put, "/p/{id}"),
    ];
    let house = before(&service.backend, routes).await;
    let read = async || {
        for path in ["/p", "/p/1", "/p/2"] {
            service.answers(200);
            assert_eq!(house.get(path).await.status, 200);
        }
    };
    let left = async || {
        service.answers(503);
        let mut left = Vec::new();
        for path in ["/p", "/p/1", "/p/2"] {
            left.push(house.get(path).await.header("x-fallback").is_some());
        }
        left
    };
    read().await;
    assert_eq!(left().await, [true, true, true]);
    service.answers(200);
    assert_eq!(house.ask("PUT", "/p/1", &[], "{}").await.status, 200);
    assert_eq!(left().await, [false, false, true]);
    read().await;
    service.answers(409);
    assert_eq!(house.ask("PUT", "/p/1", &[], "{}").await.status, 409);
    assert_eq!(left().await, [true, true, true], "nothing was written");
    service.answers(500);
    assert_eq!(house.ask("PUT", "/p/1", &[], "{}").await.status, 500);
    assert_eq!(left().await, [false, false, true], "it may have been");
    read().await;
    service.answers(404);
    house.get("/p/2").await;
    assert_eq!(left().await, [true, true, false], "the service says that it is gone");
}

#[tokio::test]
async fn after_a_write_without_an_answer_nothing_stands_in_while_its_service_may_still_do_it() {
    let service = Service::well().await;
    let routes = vec![
        stale(60, public(Method::Get, "/p/{id}")),
        Route { timeout_ms: 200, ..public(Method::Put, "/p/{id}") },
        Route { concurrency_max: Some(1), ..public(Method::Post, "/p/{id}") },
    ];
    let house = Arc::new(before(&service.backend, routes).await);
    // What was read since then is good, and may be old a moment later.
    let is_left = async |path: &str| {
        service.answers(200);
        assert_eq!(house.get(path).await.status, 200);
        service.answers(503);
        house.get(path).await.header("x-fallback").is_some()
    };
    assert!(is_left("/p/1").await);
    service.answers(599);
    assert_eq!(house.ask("PUT", "/p/1", &[], "{}").await.status, 504);
    assert!(!is_left("/p/1").await, "nobody waits for it, and it may be done yet");
    assert!(is_left("/p/2").await);
    service.answers(502);
    assert_eq!(house.ask("PUT", "/p/2", &[], "{}").await.status, 502);
    assert!(!is_left("/p/2").await, "somebody between may have said that");

    assert!(is_left("/p/3").await);
    service.answers(599);
    let (hangs, path) = (Arc::clone(&house), "/p/3");
    let client = tokio::spawn(async move { hangs.ask("POST", path, &[], "{}").await });
    eventually("it is under way", || service.backend.requests().iter().any(|one| one.method == "POST")).await;
    assert_eq!(house.ask("POST", "/p/4", &[], "{}").await.status, 503, "there is room for one");
    client.abort();
    let _ = client.await;
    eventually("the gateway has let go of it", || counts(&house, "requests_in_flight", 0)).await;
    assert!(!is_left("/p/3").await, "its client is gone, and it is not");
    assert!(is_left("/p/4").await, "what did not reach the service is no write");
}

#[tokio::test]
async fn what_is_secret_or_large_or_broken_is_passed_on_and_not_kept() {
    let small = || Bytes::from_static(b"{}");
    let large = || Bytes::from(vec![b' '; 256 * 1024 + 1]);
    let services = [
        Service::with(small, &[("cache-control", "private, no-store")]).await,
        Service::with(small, &[("set-cookie", "a=b")]).await,
        Service::with(small, &[("vary", "accept, x-tenant")]).await,
        Service::with(large, &[]).await,
    ];
    for (number, service) in services.iter().enumerate() {
        let house = before(&service.backend, vec![stale(60, public(Method::Get, "/x"))]).await;
        assert_eq!(kind(&house.get("/x").await), (200, None), "{number}");
        service.answers(503);
        assert_eq!(kind(&house.get("/x").await), (503, None), "{number}");
    }
    let breaks_off = Backend::raw(|mut stream, number| async move {
        read_head(&mut stream).await;
        if number == 0 {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").await;
        }
    })
    .await;
    let house = before(&breaks_off, vec![stale(60, public(Method::Get, "/x"))]).await;
    assert!(!house.get("/x").await.whole);
    assert_eq!(kind(&house.get("/x").await), (503, None));
}

#[tokio::test]
async fn what_is_kept_has_a_bound_and_the_least_used_goes_first() {
    let service = Service::with(|| Bytes::from(vec![b' '; 200 * 1024]), &[]).await;
    let house = before(&service.backend, vec![stale(600, public(Method::Get, "/x/{id}"))]).await;
    let mut client = house.client().await;
    for number in 0..100 {
        assert_eq!(client.ask("GET", &format!("/x/{number}"), &[], "").await.status, 200);
        assert_eq!(client.ask("GET", "/x/0", &[], "").await.status, 200);
    }
    let page = house.metrics.page();
    let bytes = page.lines().find(|line| line.starts_with("healthcare_gateway_kept_answer_bytes")).unwrap();
    let bytes: usize = bytes.rsplit(' ').next().unwrap().parse().unwrap();
    assert!((12 << 20..=16 << 20).contains(&bytes), "{bytes}");
    service.answers(503);
    for (number, known) in [(0, true), (1, false), (99, true)] {
        let answer = client.ask("GET", &format!("/x/{number}"), &[], "").await;
        assert_eq!(answer.header("x-fallback").is_some(), known, "{number}");
    }
}

#[tokio::test]
async fn fallbacks_that_would_do_harm_are_refused_by_name() {
    let service = Service::well().await;
    let house = before(&service.backend, vec![public(Method::Get, "/x")]).await;
    let of = |service: &str, route| Route { service: service.to_owned(), ..route };
    let mut odd = fixed("{", providers(public(Method::Get, "/b")));
    if let Some(Fallback::Static(answer)) = &mut odd.fallback {
        answer.status = 204;
        answer.headers.insert("content-length".to_owned(), "7".to_owned());
        answer.headers.insert("access-control-allow-origin".to_owned(), "*".to_owned());
    }
    let routes = vec![
        stale(60, public(Method::Post, "/a")),
        fixed("{}", providers(public(Method::Put, "/a"))),
        stale(0, public(Method::Get, "/a")),
        odd,
        stale(60, guarded(Method::Get, "/records/{id}", &["records:read"])),
        stale(301, guarded(Method::Get, "/bills/{id}", &["bills:read"])),
        stale(300, guarded(Method::Get, "/bills", &["bills:read"])),
        fixed("{}", providers(guarded(Method::Get, "/visits", &["appointments:read"]))),
        of("patient-service", stale(60, public(Method::Get, "/people"))),
        fixed("{}", public(Method::Get, "/person")),
    ];
    let faults = house.gateway.apply(with_providers(Vec::new(), routes)).unwrap_err().faults;
    let old = "is refused for patients and medical records: an old allergy list looks like a current one";
    let empty = "is refused for what tells of a person's health: what is empty would look like none known";
    let expected = [
        "routes[0].fallback.staleRead: is for reads alone: nothing stands in for a write".to_owned(),
        "routes[1].fallback.static: is for reads alone: nothing stands in for a write".to_owned(),
        "routes[2].fallback.staleRead.maxAgeSeconds: must be from 1 to 3600".to_owned(),
        "routes[3].fallback.static.status: 204 is no status of an answer with a body".to_owned(),
        "routes[3].fallback.static.body: is not application/json".to_owned(),
        "routes[3].fallback.static.headers: access-control-allow-origin cannot be sent".to_owned(),
        "routes[3].fallback.static.headers: content-length cannot be sent".to_owned(),
        format!("routes[4].fallback.staleRead: {old}"),
        "routes[5].fallback.staleRead.maxAgeSeconds: must be from 1 to 300".to_owned(),
        format!("routes[7].fallback.static: {empty}"),
        format!("routes[8].fallback.staleRead: {old}"),
        format!("routes[9].fallback.static: {empty}"),
    ];
    assert_eq!(faults, expected);
}

#[tokio::test]
async fn what_may_stand_in_goes_by_the_canary_as_well() {
    let service = Service::well().await;
    let house = before(&service.backend, vec![public(Method::Get, "/x")]).await;
    let canary = |upstream: &str| Some(settings::Canary { upstream: upstream.to_owned(), percent: 1.0 });
    let route = |upstream, route| Route { canary: canary(upstream), ..route };
    let routes = vec![
        route("patient-service", stale(60, public(Method::Get, "/a"))),
        route("patient-service", fixed("{}", providers(public(Method::Get, "/b")))),
        route("providers-next", fixed("{}", providers(public(Method::Get, "/c")))),
    ];
    let mut config = with_providers(vec![service.backend.address.clone()], routes);
    config.upstreams.insert("providers-next".to_owned(), Upstream::from(Vec::new()));
    let faults = house.gateway.apply(config).unwrap_err().faults;
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(faults[0].starts_with("routes[0].fallback.staleRead: is refused"), "{faults:?}");
    assert!(faults[1].starts_with("routes[1].fallback.static: is refused"), "{faults:?}");
}

#[tokio::test]
async fn what_is_for_one_is_kept_for_nobody_where_nobody_signs_in() {
    let service =
        Service::with(|| Bytes::from_static(b"{}"), &[("cache-control", "private, no-cache")]).await;
    let route = stale(60, public(Method::Get, "/p"));
    let house = before(&service.backend, vec![route]).await;
    assert_eq!(house.get("/p").await.status, 200);
    service.answers(503);
    assert_eq!(kind(&house.get("/p").await), (503, None));
}
