//! Pages of other origins: those that are named may call, to the letter, without what a browser adds by itself; all others hear nothing.

use contracts::permission::Role;
use settings::{Cors, GatewayConfig, HeaderMatch, KeyLimit, Method, RateLimits, Route};

use crate::backend::Backend;
use crate::house::{House, config, guarded, public};
use crate::wire::Answer;

const PORTAL: &str = "https://portal.example.org";

fn with_portal(backend: &Backend, routes: Vec<Route>) -> GatewayConfig {
    let origins = vec!["https://Portal.example.org:443".to_owned(), "http://localhost:5173".to_owned()];
    GatewayConfig {
        cors: Some(Cors { origins, max_age_seconds: 300 }),
        ..config(vec![backend.address.clone()], routes)
    }
}

fn routes() -> Vec<Route> {
    vec![
        guarded(Method::Get, "/api/patients/{patientId}", &["patients:read"]),
        guarded(Method::Put, "/api/patients/{patientId}", &["patients:write"]),
        public(Method::Post, "/api/auth/login"),
    ]
}

/// What a browser is told of who may read along.
fn told(answer: &Answer) -> Vec<(&str, &str)> {
    let is_told = |name: &str| name.starts_with("access-control-");
    let told = answer.headers.iter().filter(|(name, _)| is_told(name));
    told.map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

fn depends_on_origin(answer: &Answer) -> bool {
    answer.headers.iter().any(|(name, value)| name == "vary" && value.eq_ignore_ascii_case("origin"))
}

async fn preflight(house: &House, origin: &str, path: &str, method: &str) -> Answer {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", method),
        ("access-control-request-headers", "authorization,x-other"),
    ];
    house.ask("OPTIONS", path, &headers, "").await
}

#[tokio::test]
async fn without_a_word_in_the_configuration_no_page_of_another_origin_may_call() {
    let backend = Backend::echo().await;
    let house = House::before(&backend, routes()).await;
    let asked = preflight(&house, PORTAL, "/api/patients/1", "GET").await;
    assert_eq!((asked.status, told(&asked), asked.header("vary")), (204, vec![], None));
    let called = house.ask("POST", "/api/auth/login", &[("origin", PORTAL)], "").await;
    assert_eq!((called.status, told(&called), called.header("vary")), (200, vec![], None));
}

#[tokio::test]
async fn a_page_that_may_is_told_beforehand_which_methods_the_path_has() {
    let backend = Backend::echo().await;
    let house = House::with(with_portal(&backend, routes())).await;
    let sent = "authorization, content-type, idempotency-key, if-match, if-modified-since, if-none-match, if-unmodified-since, \
                traceparent, x-request-id, x-request-timeout-ms";
    for (path, methods) in
        [("/api/patients/1", "GET, HEAD, PUT, OPTIONS"), ("/api/auth/login", "POST, OPTIONS")]
    {
        let answer = preflight(&house, PORTAL, path, "PUT").await;
        assert_eq!((answer.status, answer.body.len(), answer.header("allow")), (204, 0, Some(methods)));
        for (name, value) in [
            ("access-control-allow-origin", PORTAL),
            ("access-control-allow-methods", methods),
            ("access-control-allow-headers", sent),
            ("access-control-max-age", "300"),
        ] {
            assert!(told(&answer).contains(&(name, value)), "{name}: {answer:?}");
        }
        assert!(answer.header("access-control-allow-credentials").is_none() && depends_on_origin(&answer));
    }
    assert_eq!(preflight(&house, PORTAL, "/api/nothing", "GET").await.status, 404);
    // Without asking for a method it is no such question.
    let plain = house.ask("OPTIONS", "/api/patients/1", &[("origin", PORTAL)], "").await;
    assert!(plain.header("access-control-allow-methods").is_none(), "{plain:?}");
    assert!(backend.requests().is_empty(), "services are asked nothing");
}

#[tokio::test]
async fn a_page_that_may_reads_answers_and_refusals_alike() {
    let backend = Backend::echo().await;
    let house = House::with(with_portal(&backend, routes())).await;
    let token = format!("Bearer {}", house.token("usr_1", Role::Clinician));
    let known = ("origin", PORTAL);
    for (headers, status) in [(vec![known, ("authorization", token.as_str())], 200), (vec![known], 401)] {
        let answer = house.ask("GET", "/api/patients/1", &headers, "").await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (status, Some(PORTAL)));
        let read = answer.header("access-control-expose-headers").unwrap();
        assert!(read.contains("etag") && read.contains("x-fallback") && !read.contains('*'), "{read}");
        assert!(answer.header("access-control-allow-credentials").is_none() && depends_on_origin(&answer));
    }
    let local = house.ask("POST", "/api/auth/login", &[("origin", "http://localhost:5173")], "").await;
    assert_eq!(local.header("access-control-allow-origin"), Some("http://localhost:5173"));
}

#[tokio::test]
async fn every_other_origin_is_told_nothing_but_that_it_matters_who_asks() {
    let backend = Backend::echo().await;
    let house = House::with(with_portal(&backend, routes())).await;
    for origin in [
        "null",
        "*",
        "",
        "http://portal.example.org",
        "https://portal.example.org.evil.example",
        "https://evilportal.example.org",
        "https://portal.example.org:8443",
        "https://PORTAL.example.org",
        "https://portal.example.org/",
        "https://portal.example.org, https://evil.example",
        "http://localhost",
        "http://localhost:51730",
    ] {
        let asked = preflight(&house, origin, "/api/patients/1", "GET").await;
        assert_eq!((asked.status, told(&asked)), (204, vec![]), "{origin}");
        let called = house.ask("POST", "/api/auth/login", &[("origin", origin)], "").await;
        assert_eq!((called.status, told(&called)), (200, vec![]), "{origin}");
        assert!(depends_on_origin(&asked) && depends_on_origin(&called), "{origin}");
    }
    let twice = [("origin", PORTAL), ("origin", "https://evil.example")];
    let called = house.ask("POST", "/api/auth/login", &twice, "").await;
    assert_eq!(told(&called), vec![], "two origins are none");
    let called = house.ask("POST", "/api/auth/login", &[], "").await;
    assert!(told(&called).is_empty() && depends_on_origin(&called), "no page at all");
}

/// Both are sent with the call and not beforehand; who goes by them must be let send them.
#[tokio::test]
async fn headers_that_routes_and_limits_go_by_may_be_sent() {
    let backend = Backend::echo().await;
    let version = HeaderMatch { name: "X-Report-Format".to_owned(), value: Some("2".to_owned()) };
    let route = Route { headers: vec![version], ..public(Method::Get, "/api/reports") };
    let key = KeyLimit { header: "X-API-Key".to_owned(), requests_per_second: 9, burst: 9 };
    let mut config = with_portal(&backend, vec![route]);
    config.rate_limits = RateLimits { per_key: Some(key), ..RateLimits::default() };
    let house = House::with(config).await;
    let asked = preflight(&house, PORTAL, "/api/reports", "GET").await;
    let sent = asked.header("access-control-allow-headers").unwrap();
    assert!(sent.contains("x-report-format") && sent.contains("x-api-key"), "{sent}");
    assert_eq!(asked.header("access-control-allow-methods"), Some("GET, HEAD, OPTIONS"));
}

#[tokio::test]
async fn a_change_of_origins_is_in_force_with_the_next_request_and_a_pattern_is_refused() {
    let backend = Backend::echo().await;
    let with = with_portal(&backend, routes());
    let house = House::with(with.clone()).await;
    let may = async || {
        let answer = house.ask("POST", "/api/auth/login", &[("origin", PORTAL)], "").await;
        answer.header("access-control-allow-origin").is_some()
    };
    assert!(may().await);
    for (origins, max_age_seconds, fault) in [
        (vec!["*"], 0, "cors.origins[0]: * is no origin"),
        (vec![PORTAL, "https://*.example.org"], 0, "cors.origins[1]: https://*.example.org is no origin"),
        (vec!["http://portal.example.org"], 0, "cors.origins[0]: http://portal.example.org must be https"),
        (vec![], 0, "cors.origins: must not be empty"),
        (vec![PORTAL], 86_401, "cors.maxAgeSeconds: must be at most 86400"),
    ] {
        let origins = origins.into_iter().map(str::to_owned).collect();
        let bad = GatewayConfig { cors: Some(Cors { origins, max_age_seconds }), ..with.clone() };
        let refused = house.gateway.apply(bad).unwrap_err().to_string();
        assert!(refused.contains(fault), "{refused}");
    }
    assert!(may().await, "what was refused has changed nothing");
    house.gateway.apply(GatewayConfig { cors: None, ..with.clone() }).unwrap();
    assert!(!may().await);
    house.gateway.apply(with).unwrap();
    assert!(may().await);
}
