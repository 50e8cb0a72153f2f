//! What the gateway answers itself.

use contracts::permission::Role;
use contracts::problem::ProblemCode;
use settings::{Canary, Method, Route};

use crate::backend::{Backend, eventually};
use crate::house::{House, config, guarded, public};

#[tokio::test]
async fn the_status_has_the_documented_shape_and_counts() {
    let backend = Backend::echo().await;
    let house = House::before(&backend, vec![public(Method::Get, "/x")]).await;
    house.get("/api/gateway").await.assert_problem(401, "unauthenticated");
    assert_eq!(house.get("/x").await.status, 200);
    let token = house.token("usr_1", Role::Patient);
    eventually("both are counted", || house.gateway.report().metrics.requests == 2).await;
    let answer = house.get_as(&token, "/api/gateway").await;
    assert_eq!(
        answer.text(),
        r#"{"status":"Running","metrics":{"requests":2,"errors":0},"source":"gateway","replicas":1}"#
    );
    let broken = Route { service: "patient-service".to_owned(), ..public(Method::Get, "/y") };
    house.gateway.apply(config(vec![Backend::nobody()], vec![broken])).unwrap();
    assert_eq!(house.get("/y").await.status, 503);
    eventually("the error is counted", || house.gateway.report().metrics.errors == 1).await;
    for _ in 0..3 {
        house.get("/livez").await;
    }
    assert_eq!(house.gateway.report().metrics.requests, 4, "probes do not count");
}

#[tokio::test]
async fn the_configuration_may_say_who_sees_the_status() {
    let backend = Backend::echo().await;
    let route =
        Route { service: "gateway".to_owned(), ..guarded(Method::Get, "/api/gateway", &["gateway:read"]) };
    let house = House::before(&backend, vec![route]).await;
    assert_eq!(house.get_as(&house.token("a", Role::Patient), "/api/gateway").await.status, 403);
    assert_eq!(house.get_as(&house.token("b", Role::Admin), "/api/gateway").await.status, 200);
}

#[tokio::test]
async fn it_is_ready_when_every_service_can_be_reached() {
    let backend = Backend::echo().await;
    let routes = vec![public(Method::Get, "/x")];
    let house = House::before(&backend, routes.clone()).await;
    assert_eq!(house.get("/readyz").await.status, 200);
    let alone = House::with(config(vec![Backend::nobody()], routes)).await;
    assert_eq!((alone.get("/livez").await.status, alone.get("/readyz").await.status), (200, 503));
}

/// Whoever cannot be sent to another version is sent to the one beside it. An upstream that a route has for itself is another matter, though a canary
/// leads there too.
#[tokio::test]
async fn a_version_that_only_a_canary_leads_to_may_be_away_and_the_gateway_is_ready() {
    let backend = Backend::echo().await;
    let route = Route {
        canary: Some(Canary { upstream: "next".to_owned(), percent: 100.0 }),
        ..public(Method::Get, "/x")
    };
    let mut config = config(vec![backend.address.clone()], vec![route]);
    config.upstreams.insert("next".to_owned(), vec![Backend::nobody()].into());
    let house = House::with(config.clone()).await;
    assert_eq!(house.get("/readyz").await.status, 200);
    config.routes.push(Route { service: "next".to_owned(), ..public(Method::Get, "/y") });
    house.gateway.apply(config.clone()).unwrap();
    assert_eq!(house.get("/readyz").await.status, 503, "now a route has no other");
    config.routes.reverse();
    house.gateway.apply(config).unwrap();
    assert_eq!(house.get("/readyz").await.status, 503, "in whatever order they stand");
}

#[tokio::test]
async fn the_documentation_is_served_with_a_strict_policy_and_nothing_from_elsewhere() {
    let backend = Backend::echo().await;
    let house = House::before(&backend, Vec::new()).await;
    for (path, media_type) in [
        ("/api/docs", "text/html; charset=utf-8"),
        ("/api/docs/", "text/html; charset=utf-8"),
        ("/api/docs/explorer.css", "text/css; charset=utf-8"),
        ("/api/docs/explorer.js", "text/javascript; charset=utf-8"),
        ("/api/docs/problems", "text/html; charset=utf-8"),
    ] {
        let answer = house.get(path).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(media_type)), "{path}");
        let policies = answer.headers.iter().filter(|(name, _)| name == "content-security-policy");
        let [policy] = policies.collect::<Vec<_>>()[..] else { panic!("one policy: {answer:?}") };
        assert!(
            policy.1.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"),
            "{policy:?}"
        );
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(answer.header("cross-origin-opener-policy"), Some("same-origin"));
        assert_eq!(answer.header("cross-origin-resource-policy"), Some("same-origin"));
        assert!(answer.body.len() > 500, "{path} is empty");
        let text = answer.text();
        assert!(
            !text.contains("//cdn") && !text.contains("src=\"http") && !text.contains("url(http"),
            "{path}"
        );
        // The policy would not let them run.
        let is_inline = text.contains("<script>") || text.contains(" style=\"") || text.contains(" onclick=");
        assert!(!is_inline, "{path}");
    }
}

#[tokio::test]
async fn whoever_comes_to_the_door_is_shown_the_explorer() {
    let backend = Backend::echo().await;
    let house = House::before(&backend, Vec::new()).await;
    let answer = house.get("/").await;
    assert_eq!((answer.status, answer.header("location")), (307, Some("/api/docs")));
}

#[tokio::test]
async fn every_problem_has_its_place_on_the_page() {
    let backend = Backend::echo().await;
    let house = House::before(&backend, Vec::new()).await;
    let page = house.get("/api/docs/problems").await;
    for code in ProblemCode::ALL {
        assert!(page.text().contains(&format!("id=\"{code}\"")), "{code}");
    }
}

#[tokio::test]
async fn metrics_name_routes_by_template_and_never_by_path() {
    let backend = Backend::echo().await;
    let house = House::before(&backend, vec![public(Method::Get, "/api/patients/{patientId}")]).await;
    house.get("/api/patients/pat_secret").await;
    house.get("/nowhere/secret").await;
    eventually("both are counted", || house.gateway.report().metrics.requests == 2).await;
    let page = house.metrics.page();
    assert!(page.contains(r#"gateway_requests_total{service="api-gateway",method="GET",route="/api/patients/{patientId}",status="2xx"} 1"#), "{page}");
    assert!(!page.contains("secret"));
}

#[tokio::test]
async fn the_access_log_has_the_template_and_neither_path_nor_query() {
    let lines = crate::house::captured_log();
    let backend = Backend::echo().await;
    let house = House::before(&backend, vec![public(Method::Get, "/api/charts/{chartId}")]).await;
    house.ask("GET", "/api/charts/secret?name=secret", &[("x-request-id", "log-test-1")], "").await;
    let line = || lines.lock().unwrap().lines().find(|line| line.contains("log-test-1")).map(str::to_owned);
    eventually("the line is written", || line().is_some()).await;
    let line = line().unwrap();
    let json: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(json["target"], "access");
    assert_eq!(json["fields"]["route"], "/api/charts/{chartId}");
    assert_eq!(json["fields"]["status"], 200);
    assert_eq!(json["fields"]["upstream"], "patient-service");
    assert!(!line.contains("secret"), "{line}");
}
