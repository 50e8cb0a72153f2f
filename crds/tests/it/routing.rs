//! Routes of a stack: which are refused, and what the others do to operations.

use settings::{Balancing, Fallback, GatewayConfig, Hedge, Protocol, RateLimit, Route, RouteAccess};
use stack::{Placement, Stack, plan_gateway};

use crate::with_spec;

/// A gateway with these routes, each a line of YAML.
fn with_routes(routes: &[&str]) -> String {
    let list: Vec<_> = routes.iter().map(|route| format!("{{ {route} }}")).collect();
    with_spec(&format!("gateway: {{ routes: [{}] }}", list.join(", ")))
}

fn faults_of(routes: &[&str]) -> String {
    Stack::from_yaml(&with_routes(routes)).map_or_else(|invalid| invalid.to_string(), |_| "none".to_owned())
}

fn planned(routes: &[&str]) -> GatewayConfig {
    let stack = Stack::from_yaml(&with_routes(routes)).unwrap_or_else(|invalid| panic!("{invalid}"));
    plan_gateway(&stack, &Placement::Kubernetes)
}

/// The route of an operation such as `GET /api/patients`.
fn route<'a>(config: &'a GatewayConfig, operation: &str) -> &'a Route {
    let is_it = |route: &&Route| format!("{} {}", route.method.as_str(), route.path) == operation;
    config.routes.iter().find(is_it).unwrap_or_else(|| panic!("no route {operation}"))
}

fn permissions(names: &[&str]) -> RouteAccess {
    RouteAccess::Permissions(names.iter().map(|name| (*name).to_owned()).collect())
}

#[test]
fn a_route_that_leads_nowhere_is_refused() {
    for (routes, expected) in [
        (
            vec!["path: /api/nothing, service: patient"],
            "spec.gateway.routes[0].path: no operation has this path, or one under it",
        ),
        (
            vec!["path: /internal/events, service: patient"],
            "spec.gateway.routes[0].path: no operation has this path, or one under it",
        ),
        (
            vec!["path: /api/bills, service: patient"],
            "spec.gateway.routes[0].path: patient answers nothing here; it is for billing",
        ),
        (
            vec!["path: '/api/providers/{id}/slots', service: provider"],
            "spec.gateway.routes[0].path: provider answers nothing here; it is for appointment",
        ),
        (
            vec!["path: /api/gateway, service: auth"],
            "spec.gateway.routes[0].path: the gateway itself answers here",
        ),
        (
            vec!["path: /api/bills, service: radiology"],
            "spec.gateway.routes[0].service: must be one of patient, appointment, billing, records, notification, provider, auth",
        ),
        (
            vec!["path: /api/bills/, service: billing"],
            "spec.gateway.routes[0].path: must be a path such as /api/patients, without a slash at its end",
        ),
    ] {
        assert_eq!(faults_of(&routes), expected);
    }
}

#[test]
fn a_route_to_a_service_that_is_switched_off_is_refused() {
    let document = with_spec(
        "services: { billing: { enabled: false } }\ngateway: { routes: [{ path: /api/bills, service: billing }] }",
    );
    let invalid = Stack::from_yaml(&document).unwrap_err();
    assert_eq!(invalid.to_string(), "spec.gateway.routes[0].service: billing is not enabled");
}

#[test]
fn one_path_has_one_route() {
    assert_eq!(
        faults_of(&["path: /api/bills, service: billing", "path: /api/bills, service: billing"]),
        "spec.gateway.routes[1].path: /api/bills is there already"
    );
    assert_eq!(
        faults_of(&[
            "path: '/api/bills/{billId}', service: billing",
            "path: '/api/bills/{id}', service: billing"
        ]),
        "spec.gateway.routes[1].path: /api/bills/{billId} is there already"
    );
}

#[test]
fn no_route_opens_what_is_closed() {
    insta::assert_snapshot!(faults_of(&["path: /api/bills, service: billing, auth: None"]));
    assert_eq!(faults_of(&["path: /api/auth/login, service: auth, auth: None"]), "none");
}

#[test]
fn no_route_shuts_out_everybody() {
    for route in [
        "path: /api/auth/login, service: auth, auth: Required",
        "path: /api/auth, service: auth, permissions: ['users:read']",
        "path: /.well-known, service: auth, auth: Required",
    ] {
        assert!(faults_of(&[route]).contains("nobody could sign in"), "{route}");
    }
    let enrolling = "path: /api/auth/me/second-factor, service: auth, permissions: ['users:read']";
    assert!(
        faults_of(&[enrolling])
            .contains("nobody could enrol a second factor: POST /api/auth/me/second-factor must")
    );
    assert_eq!(
        faults_of(&["path: /api/bills, service: billing, permissions: ['internal:call', 'bills:burn']"]),
        "spec.gateway.routes[0].permissions[0]: internal:call is for services: no person has it\nspec.gateway.routes[0].permissions[1]: bills:burn is no permission; write one such as patients:read"
    );
}

#[test]
fn what_is_old_stands_in_for_nothing_that_somebody_is_treated_by() {
    for route in [
        "path: /api/records, service: records",
        "path: /api/patients, service: patient",
        "path: /api/providers, service: provider, permissions: ['patients:read']",
    ] {
        assert_eq!(
            faults_of(&[&format!("{route}, fallback: {{ staleRead: {{ maxAge: 1m }} }}")]),
            "spec.gateway.routes[0].fallback.staleRead: is refused for patients and medical records: an old allergy list looks like a current one"
        );
    }
    assert_eq!(
        faults_of(&[
            "path: /api/bills, service: billing, fallback: { staleRead: { maxAge: 2h }, unavailable: {} }"
        ]),
        "spec.gateway.routes[0].fallback: must have exactly one of unavailable, staleRead and static"
    );
    assert_eq!(
        faults_of(&["path: /api/bills, service: billing, fallback: { staleRead: { maxAge: 6m } }"]),
        "spec.gateway.routes[0].fallback.staleRead.maxAge: must be at most 5m"
    );
}

#[test]
fn what_is_empty_stands_in_for_nothing_that_tells_of_a_persons_health() {
    for route in [
        "path: /api/records, service: records",
        "path: /api/patients, service: patient",
        "path: /api/appointments, service: appointment",
        "path: /api/bills, service: billing",
        "path: /api/notifications, service: notification",
        "path: /api/providers, service: provider, permissions: ['bills:read']",
    ] {
        assert_eq!(
            faults_of(&[&format!("{route}, fallback: {{ static: {{ body: '[]' }} }}")]),
            "spec.gateway.routes[0].fallback.static: is refused for what tells of a person's health: what is empty would look like none known"
        );
    }
}

#[test]
fn a_static_answer_and_a_second_attempt_are_for_reads_alone() {
    let config = planned(&[
        "path: /api/providers, service: provider, timeout: 2s, retries: { perTry: 500ms }, hedge: { after: 50ms }, fallback: { static: { body: '{\"items\":[]}' } }",
    ]);
    let get = route(&config, "GET /api/providers");
    assert_eq!(get.hedge, Some(Hedge { after_ms: 50, percent_max: 10 }));
    assert_eq!(get.retries.and_then(|retries| retries.per_try_ms), Some(500));
    assert!(matches!(&get.fallback, Some(Fallback::Static(answer)) if answer.body == "{\"items\":[]}"));
    let post = route(&config, "POST /api/providers");
    assert_eq!((post.hedge, &post.fallback), (None, &Some(Fallback::Unavailable)));
}

#[test]
fn policies_make_sense_in_themselves() {
    for (policy, expected) in [
        ("timeout: 6m", "timeout: must be at most 5m"),
        ("timeout: 5ms", "timeout: must be at least 10ms"),
        ("retries: { attempts: 6 }", "retries.attempts: must be at most 5"),
        ("retries: { backoff: 2s }", "retries: backoff (2s) must be at most maxBackoff (1s)"),
        ("retries: { perTry: 11s }", "retries.perTry: must be at most the route's timeout (10s)"),
        ("retries: { perTry: 0ms }", "retries.perTry: must be at least 1ms"),
        ("timeout: 1s, hedge: { after: 2s }", "hedge.after: must be at most the route's timeout (1s)"),
        ("hedge: { after: 10ms, maxPercent: 101 }", "hedge.maxPercent: must be at most 100"),
        (
            "fallback: { static: { status: 304, body: '{}' } }",
            "fallback.static.status: must be the status of an answer with a body: 200 to 203, or 400 and above",
        ),
        ("fallback: { static: { body: '{' } }", "fallback.static.body: must be JSON"),
        (
            "circuitBreaker: { minCalls: 101 }",
            "circuitBreaker: minCalls (101) must be at most windowCalls (100)",
        ),
        ("circuitBreaker: { openFor: 1ms }", "circuitBreaker.openFor: must be at least 10ms"),
        ("fallback: {}", "fallback: must have exactly one of unavailable, staleRead and static"),
        (
            "rateLimits: { perUser: { requestsPerSecond: 0, burst: 1 } }",
            "rateLimits.perUser.requestsPerSecond: must be at least 1",
        ),
        (
            "rateLimits: { perKey: { header: 'X Lab', requestsPerSecond: 1, burst: 1 } }",
            "rateLimits.perKey.header: must be a header's name such as X-API-Key",
        ),
        ("loadBalancing: Random", "loadBalancing: must be one of RoundRobin, LeastConnections, PeakEwma"),
    ] {
        let expected = format!("spec.gateway.routes[0].{expected}");
        assert_eq!(faults_of(&[&format!("path: /api/providers, service: provider, {policy}")]), expected);
    }
}

#[test]
fn each_route_says_how_its_endpoints_are_picked_and_the_gateway_where_none_does() {
    let config = planned(&[
        "path: '/api/providers/{id}/slots', service: appointment, loadBalancing: PeakEwma",
        "path: /api/appointments, service: appointment, loadBalancing: LeastConnections",
        "path: /api/bills, service: billing, loadBalancing: RoundRobin",
    ]);
    let balancing = |name: &str| route(&config, name).balancing;
    assert_eq!(balancing("GET /api/providers/{providerId}/slots"), Some(Balancing::PeakEwma));
    assert_eq!(balancing("GET /api/appointments"), Some(Balancing::LeastConnections));
    assert_eq!(balancing("GET /api/bills"), None, "as the gateway has it");
    assert!(config.upstreams.values().all(|upstream| upstream.balancing == Balancing::RoundRobin));
}

#[test]
fn services_are_spoken_to_as_the_gateway_says() {
    for (said, protocol) in [
        ("", Protocol::Http1),
        ("upstreamProtocol: http1", Protocol::Http1),
        ("upstreamProtocol: http2", Protocol::Http2),
    ] {
        let stack = Stack::from_yaml(&with_spec(&format!("gateway: {{ {said} }}"))).unwrap();
        let config = plan_gateway(&stack, &Placement::Kubernetes);
        assert!(config.upstreams.values().all(|upstream| upstream.protocol == protocol), "{said}");
    }
    let fault = Stack::from_yaml(&with_spec("gateway: { upstreamProtocol: h2c }")).unwrap_err().to_string();
    assert_eq!(fault, "spec.gateway.upstreamProtocol: must be one of http1, http2");
}

#[test]
fn the_longest_path_counts_alone() {
    let config = planned(&[
        "path: /api/auth/users, service: auth, timeout: 2s, permissions: ['gateway:read']",
        "path: '/api/auth/users/{id}/password', service: auth, timeout: 3s",
        "path: /api/auth, service: auth, timeout: 1s",
    ]);
    assert_eq!(route(&config, "POST /api/auth/login").timeout_ms, 1_000);
    assert_eq!(route(&config, "GET /api/auth/users").timeout_ms, 2_000);
    assert_eq!(route(&config, "GET /api/auth/users").access, permissions(&["users:read", "gateway:read"]));
    assert_eq!(route(&config, "PUT /api/auth/users/{userId}/password").timeout_ms, 3_000);
    assert_eq!(route(&config, "PUT /api/auth/users/{userId}/password").access, permissions(&["users:write"]));
}

#[test]
fn a_route_holds_for_its_own_service_alone() {
    let config = planned(&["path: /api/providers, service: provider, timeout: 1s"]);
    assert_eq!(route(&config, "GET /api/providers/{providerId}").timeout_ms, 1_000);
    assert_eq!(route(&config, "GET /api/providers/{providerId}/slots").timeout_ms, 10_000);
}

#[test]
fn only_what_is_safe_is_repeated_and_only_reads_may_be_stale() {
    let config = planned(&[
        "path: /api/bills, service: billing, retries: { attempts: 3 }, fallback: { staleRead: { maxAge: 1m } }",
        "path: /api/patients, service: patient, retries: { attempts: 0 }",
    ]);
    let get = route(&config, "GET /api/bills");
    assert_eq!(get.retries.map(|retries| retries.attempts), Some(3));
    assert_eq!(get.fallback, Some(Fallback::StaleRead { max_age_seconds: 60 }));
    let post = route(&config, "POST /api/bills");
    assert_eq!((post.retries, &post.fallback), (None, &Some(Fallback::Unavailable)));
    assert_eq!(route(&config, "GET /api/patients").retries, None);
}

#[test]
fn a_limit_that_a_route_leaves_out_is_the_gateways() {
    let config = planned(&[
        "path: /api/auth/login, service: auth, rateLimits: { perClient: { requestsPerSecond: 5, burst: 20 } }",
    ]);
    let limits = route(&config, "POST /api/auth/login").rate_limits.clone().unwrap();
    assert_eq!(limits.per_client, Some(RateLimit { requests_per_second: 5, burst: 20 }));
    assert_eq!(limits.per_user, Some(RateLimit { requests_per_second: 100, burst: 400 }));
    assert_eq!(route(&config, "POST /api/auth/refresh").rate_limits, None);
}

#[test]
fn all_that_a_route_covers_counts_together_and_its_total_is_its_own() {
    let config = planned(&[
        "path: /api/bills, service: billing, rateLimits: { total: { requestsPerSecond: 50, burst: 100 } }",
        "path: /api/records, service: records, rateLimits: { perKey: { header: X-Lab, requestsPerSecond: 5, burst: 9 } }",
    ]);
    for operation in ["GET /api/bills", "POST /api/bills", "GET /api/bills/{billId}"] {
        let route = route(&config, operation);
        assert_eq!(route.rate_limits_as.as_deref(), Some("/api/bills"));
        let total = route.rate_limits.as_ref().unwrap().total;
        assert_eq!(total, Some(RateLimit { requests_per_second: 50, burst: 100 }));
    }
    let records = route(&config, "GET /api/records/{recordId}").rate_limits.as_ref().unwrap();
    assert_eq!(records.per_key.as_ref().map(|key| key.header.as_str()), Some("X-Lab"));
    assert_eq!(records.total, None);
    assert_eq!(route(&config, "GET /api/patients").rate_limits_as, None);
}

#[test]
fn all_that_a_route_covers_shares_its_room() {
    let config = planned(&["path: /api/bills, service: billing, maxConcurrent: 8"]);
    for operation in ["GET /api/bills", "POST /api/bills", "GET /api/bills/{billId}"] {
        let route = route(&config, operation);
        assert_eq!((route.concurrency_max, route.concurrency_as.as_deref()), (Some(8), Some("/api/bills")));
    }
    let other = route(&config, "GET /api/patients");
    assert_eq!((other.concurrency_max, &other.concurrency_as), (None, &None));
    let fault = faults_of(&["path: /api/bills, service: billing, maxConcurrent: 0"]);
    assert_eq!(fault, "spec.gateway.routes[0].maxConcurrent: must be at least 1");
}

#[test]
fn a_low_limit_can_stand_alone() {
    let planned = |spec: &str| {
        let stack = crate::stack(&format!("gateway: {{ concurrency: {spec} }}"));
        let concurrency =
            plan_gateway(&stack, &Placement::Kubernetes).upstreams["patient-service"].concurrency;
        (concurrency.min, concurrency.max)
    };
    assert_eq!(planned("{ max: 10 }"), (10, 10));
    assert_eq!(planned("{ max: 100 }"), (64, 100));
    assert_eq!(planned("{ max: 100, min: 50 }"), (50, 100));
    let refused = Stack::from_yaml(&with_spec("gateway: { concurrency: { max: 10, min: 11 } }")).unwrap_err();
    assert_eq!(refused.to_string(), "spec.gateway.concurrency: min (11) must be at most max (10)");
}
