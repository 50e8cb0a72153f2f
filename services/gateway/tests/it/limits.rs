//! How often.

use contracts::permission::Role;
use settings::{HeaderMatch, KeyLimit, Method, RateLimit, RateLimits, Route};

use crate::backend::Backend;
use crate::house::{House, config, guarded, public};

/// So slow that no test runs long enough to earn another request.
const fn slow(burst: u32) -> RateLimit {
    RateLimit { requests_per_second: 1, burst }
}

#[tokio::test]
async fn an_address_gets_its_burst_and_then_429_with_the_time_to_wait() {
    let backend = Backend::echo().await;
    let mut config = config(vec![backend.address.clone()], vec![public(Method::Get, "/x")]);
    config.rate_limits = RateLimits { per_client: Some(slow(3)), ..RateLimits::default() };
    let house = House::with(config).await;
    for left in [2, 1, 0] {
        let answer = house.get("/x").await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("ratelimit-policy"), Some("\"client\";q=3;w=3"));
        assert!(
            answer.header("ratelimit").unwrap().starts_with(&format!("\"client\";r={left};t=")),
            "{answer:?}"
        );
    }
    let refused = house.get("/x").await;
    refused.assert_problem(429, "rate-limited");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(refused.header("ratelimit"), Some("\"client\";r=0;t=1"));
    assert_eq!(backend.requests().len(), 3);
    assert!(
        house.metrics.page().contains("gateway_rate_limited_total{service=\"api-gateway\",by=\"client\"} 1")
    );
}

#[tokio::test]
async fn a_user_has_one_bucket_however_many_tokens() {
    let backend = Backend::echo().await;
    let routes = vec![guarded(Method::Get, "/x", &[])];
    let mut config = config(vec![backend.address.clone()], routes);
    config.rate_limits =
        RateLimits { per_client: Some(slow(100)), per_user: Some(slow(2)), ..RateLimits::default() };
    let house = House::with(config).await;
    let mut tokens = Vec::new();
    for _ in 0..3 {
        house.clock.advance(chrono::TimeDelta::seconds(1));
        tokens.push(house.token("usr_1", Role::Admin));
    }
    let first = house.get_as(&tokens[0], "/x").await;
    assert_eq!(first.header("ratelimit-policy"), Some("\"client\";q=100;w=100, \"user\";q=2;w=2"));
    assert!(first.header("ratelimit").unwrap().starts_with("\"user\";r=1;"));
    assert_eq!(house.get_as(&tokens[1], "/x").await.status, 200);
    house.get_as(&tokens[2], "/x").await.assert_problem(429, "rate-limited");
    assert_eq!(house.get_as(&house.token("usr_2", Role::Admin), "/x").await.status, 200);
}

#[tokio::test]
async fn a_route_with_limits_of_its_own_has_buckets_of_its_own() {
    let backend = Backend::echo().await;
    let mut login = public(Method::Post, "/login");
    login.rate_limits = Some(RateLimits { per_client: Some(slow(1)), ..RateLimits::default() });
    let mut config = config(vec![backend.address.clone()], vec![login, public(Method::Get, "/x")]);
    config.rate_limits = RateLimits { per_client: Some(slow(50)), ..RateLimits::default() };
    let house = House::with(config).await;
    assert_eq!(house.ask("POST", "/login", &[], "").await.status, 200);
    assert_eq!(house.ask("POST", "/login", &[], "").await.status, 429);
    assert!(house.get("/x").await.header("ratelimit").unwrap().contains("r=49"));
}

#[tokio::test]
async fn a_forged_token_is_limited_by_address_before_it_is_looked_at() {
    let backend = Backend::echo().await;
    let mut config = config(vec![backend.address.clone()], vec![guarded(Method::Get, "/x", &[])]);
    config.rate_limits = RateLimits { per_client: Some(slow(2)), ..RateLimits::default() };
    let house = House::with(config).await;
    assert_eq!(house.get_as("forged", "/x").await.status, 401);
    assert_eq!(house.get_as("forged", "/x").await.status, 401);
    assert_eq!(house.get_as("forged", "/x").await.status, 429);
}

#[tokio::test]
async fn a_limit_survives_a_change_of_the_configuration() {
    let backend = Backend::echo().await;
    let mut config = config(vec![backend.address.clone()], vec![public(Method::Get, "/x")]);
    config.rate_limits = RateLimits { per_client: Some(slow(2)), ..RateLimits::default() };
    let house = House::with(config.clone()).await;
    assert_eq!(house.get("/x").await.status, 200);
    assert_eq!(house.get("/x").await.status, 200);
    config.routes.push(public(Method::Get, "/y"));
    house.gateway.apply(config).unwrap();
    assert_eq!(house.get("/y").await.status, 429);
}

#[tokio::test]
async fn clients_behind_a_trusted_proxy_are_told_apart_and_strangers_cannot_pose() {
    let backend = Backend::echo().await;
    let mut config = config(vec![backend.address.clone()], vec![public(Method::Get, "/x")]);
    config.rate_limits = RateLimits { per_client: Some(slow(1)), ..RateLimits::default() };
    let house = House::with(config.clone()).await;
    let from = async |address: &str| house.ask("GET", "/x", &[("x-forwarded-for", address)], "").await.status;
    assert_eq!((from("192.0.2.1").await, from("192.0.2.2").await), (200, 429), "nobody is trusted");
    config.trusted_proxies = vec!["127.0.0.0/8".to_owned()];
    house.gateway.apply(config).unwrap();
    assert_eq!((from("192.0.2.1").await, from("192.0.2.2").await, from("192.0.2.2").await), (200, 200, 429));
    assert_eq!((from("2001:db8::1").await, from("2001:db8::2").await), (200, 429), "one /64");
}

#[tokio::test]
async fn probes_are_never_limited() {
    let backend = Backend::echo().await;
    let mut config = config(vec![backend.address.clone()], vec![public(Method::Get, "/x")]);
    config.rate_limits = RateLimits { per_client: Some(slow(1)), ..RateLimits::default() };
    let house = House::with(config).await;
    for _ in 0..5 {
        assert_eq!(house.get("/livez").await.status, 200);
        assert_eq!(house.get("/readyz").await.status, 200);
    }
}

/// What a route lets through to `askers`, each with a connection of its own that asks so many times.
async fn let_through(house: &House, askers: usize, times: usize, headers: &[(&str, &str)]) -> usize {
    let ask = |_| async {
        let mut client = house.client().await;
        let mut through = 0;
        for _ in 0..times {
            let answer = client.ask("GET", "/x", headers, "").await;
            assert!(answer.status == 200 || answer.status == 429, "{answer:?}");
            through += usize::from(answer.status == 200);
        }
        through
    };
    futures_util::future::join_all((0..askers).map(ask)).await.into_iter().sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn threads_make_no_more_of_a_user_or_an_address() {
    let backend = Backend::echo().await;
    let mut config = config(vec![backend.address.clone()], vec![guarded(Method::Get, "/x", &[])]);
    let hourly = RateLimit { requests_per_second: 1, burst: 40 };
    for limits in [
        RateLimits { per_user: Some(hourly), ..RateLimits::default() },
        RateLimits { per_client: Some(hourly), ..RateLimits::default() },
    ] {
        config.rate_limits = limits;
        let house = House::on_threads(config.clone(), 3).await;
        let token = format!("Bearer {}", house.token("usr_1", Role::Admin));
        let begun = std::time::Instant::now();
        let through = let_through(&house, 12, 10, &[("authorization", &token)]).await;
        let earned = usize::try_from(begun.elapsed().as_secs()).unwrap() + 1;
        assert!((40..=40 + earned).contains(&through), "{through}");
    }
}

#[tokio::test]
async fn a_route_as_a_whole_has_a_limit_beside_those_of_its_callers() {
    let backend = Backend::echo().await;
    let mut busy = public(Method::Get, "/x");
    busy.rate_limits =
        Some(RateLimits { per_client: Some(slow(2)), total: Some(slow(3)), ..RateLimits::default() });
    let mut config = config(vec![backend.address.clone()], vec![busy, public(Method::Get, "/y")]);
    config.trusted_proxies = vec!["127.0.0.0/8".to_owned()];
    let house = House::with(config).await;
    let from = async |address: &str| house.ask("GET", "/x", &[("x-forwarded-for", address)], "").await;
    let first = from("192.0.2.1").await;
    assert_eq!(first.header("ratelimit-policy"), Some("\"client\";q=2;w=2, \"total\";q=3;w=3"));
    assert!(first.header("ratelimit").unwrap().starts_with("\"client\";r=1;"));
    assert_eq!(from("192.0.2.1").await.status, 200);
    for _ in 0..5 {
        from("192.0.2.1").await.assert_problem(429, "rate-limited");
    }
    // Those five took nothing of what is everybody's.
    let third = from("192.0.2.2").await;
    assert_eq!((third.status, third.header("ratelimit")), (200, Some("\"total\";r=0;t=3")));
    let refused = from("192.0.2.3").await;
    refused.assert_problem(429, "rate-limited");
    assert!(refused.text().contains("all callers together"), "{}", refused.text());
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(house.get("/y").await.status, 200);
    let page = house.metrics.page();
    assert!(page.contains("gateway_rate_limited_total{service=\"api-gateway\",by=\"total\"} 1"), "{page}");
    assert!(page.contains("gateway_rate_limited_total{service=\"api-gateway\",by=\"client\"} 5"), "{page}");
}

#[tokio::test]
async fn whom_everybodys_limit_refuses_keeps_what_is_theirs() {
    let backend = Backend::echo().await;
    let mut config = config(vec![backend.address.clone()], vec![public(Method::Get, "/x")]);
    let quick = RateLimit { requests_per_second: 20, burst: 1 };
    config.rate_limits =
        RateLimits { per_client: Some(slow(10)), total: Some(quick), ..RateLimits::default() };
    let house = House::with(config).await;
    assert_eq!(house.get("/x").await.status, 200);
    for _ in 0..20 {
        house.get("/x").await;
    }
    // Without that, the address would have been refused by its own limit for seconds.
    let begun = std::time::Instant::now();
    while house.get("/x").await.status != 200 {
        assert!(begun.elapsed() < std::time::Duration::from_millis(900));
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn routes_of_one_group_count_together() {
    let backend = Backend::echo().await;
    let group = |path: &str| {
        let mut route = public(Method::Get, path);
        route.rate_limits = Some(RateLimits { total: Some(slow(2)), ..RateLimits::default() });
        route.rate_limits_as = Some("/reports".to_owned());
        route
    };
    let config = config(vec![backend.address.clone()], vec![group("/reports"), group("/reports/{id}")]);
    let house = House::with(config).await;
    assert_eq!(house.get("/reports").await.status, 200);
    assert_eq!(house.get("/reports/1").await.status, 200);
    assert_eq!(house.get("/reports").await.status, 429);
    assert_eq!(house.get("/reports/2").await.status, 429);
}

/// They have one bucket, and a bucket has one size.
#[tokio::test]
async fn routes_that_count_together_must_have_the_same_limits() {
    let backend = Backend::echo().await;
    let limited = |burst, header: Option<&str>| Route {
        rate_limits: Some(RateLimits { total: Some(slow(burst)), ..RateLimits::default() }),
        headers: header.map(|name| HeaderMatch { name: name.to_owned(), value: None }).into_iter().collect(),
        ..public(Method::Get, "/x")
    };
    let of = |routes: Vec<Route>| config(vec![backend.address.clone()], routes);
    let house = House::with(of(vec![limited(2, None), limited(2, Some("x-new"))])).await;
    assert_eq!(house.get("/x").await.status, 200);
    assert_eq!(house.ask("GET", "/x", &[("x-new", "1")], "").await.status, 200);
    assert_eq!(house.get("/x").await.status, 429, "routes that differ in headers are one route to a limit");
    assert_eq!(house.ask("GET", "/x", &[("x-new", "1")], "").await.status, 429);

    let told = |routes| house.gateway.apply(of(routes)).map_err(|error| error.faults);
    let other = |number: u32| {
        Err(vec![format!(
            "routes[{number}].rateLimits: are not those of the routes that it counts together with"
        )])
    };
    assert_eq!(told(vec![limited(2, None), limited(3, Some("x-new"))]), other(1));
    let group = |burst, path: &str| Route {
        rate_limits_as: Some("g".to_owned()),
        path: path.to_owned(),
        ..limited(burst, None)
    };
    assert_eq!(told(vec![group(2, "/a"), limited(9, None), group(3, "/b")]), other(2));
    // One that has the gateway's limits counts with those, whatever route stands beside it.
    let without = Route { rate_limits: None, ..limited(1, Some("x-new")) };
    assert_eq!(told(vec![limited(2, None), without, group(2, "/a"), group(2, "/b")]), Ok(()));
}

#[tokio::test]
async fn programs_that_name_themselves_are_told_apart_and_their_names_told_nobody() {
    let log = crate::house::captured_log();
    let backend = Backend::echo().await;
    let mut config = config(vec![backend.address.clone()], vec![public(Method::Get, "/x")]);
    let per_key = KeyLimit { header: "X-API-Key".to_owned(), requests_per_second: 1, burst: 2 };
    config.rate_limits =
        RateLimits { per_client: Some(slow(50)), per_key: Some(per_key), ..RateLimits::default() };
    let house = House::with(config).await;
    let with = async |key: &str| house.ask("GET", "/x", &[("x-api-key", key)], "").await;
    let first = with("lab-secret-1").await;
    assert_eq!(first.header("ratelimit-policy"), Some("\"client\";q=50;w=50, \"key\";q=2;w=2"));
    assert!(first.header("ratelimit").unwrap().starts_with("\"key\";r=1;"));
    assert_eq!(with("lab-secret-1").await.status, 200);
    let refused = with("lab-secret-1").await;
    refused.assert_problem(429, "rate-limited");
    assert_eq!(with("lab-secret-2").await.status, 200);
    let without = house.get("/x").await;
    assert_eq!(without.header("ratelimit-policy"), Some("\"client\";q=50;w=50"));
    assert_eq!(with("").await.header("ratelimit-policy"), Some("\"client\";q=50;w=50"));
    assert!(!log.lock().unwrap().contains("lab-secret"), "a key is in the log");
    assert!(!house.metrics.page().contains("lab-secret") && !refused.text().contains("lab-secret"));
}

#[tokio::test]
async fn replicas_have_fair_shares_of_every_limit() {
    let backend = Backend::echo().await;
    let mut config = config(vec![backend.address.clone()], vec![public(Method::Get, "/x")]);
    config.rate_limits = RateLimits { per_client: Some(slow(20)), ..RateLimits::default() };
    config.replicas = 3;
    let houses = [
        House::with(config.clone()).await,
        House::with(config.clone()).await,
        House::with(config.clone()).await,
    ];
    let begun = std::time::Instant::now();
    let mut through = 0;
    for house in &houses {
        let each = let_through(house, 4, 5, &[]).await;
        assert!(each >= 6, "a third of the burst: {each}");
        through += each;
    }
    assert!(through <= 20 + usize::try_from(begun.elapsed().as_secs()).unwrap(), "{through}");
    let refused = houses[0].get("/x").await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("3")), "a third of the rate");
    assert_eq!(refused.header("ratelimit-policy"), Some("\"client\";q=20;w=20"), "the limit is what it is");

    // One is left: it has all of it, and owes what it owed.
    config.replicas = 1;
    houses[0].gateway.apply(config).unwrap();
    assert!(let_through(&houses[0], 4, 5, &[]).await <= 16);
}

#[tokio::test]
async fn every_answer_of_a_limited_route_says_how_one_stands() {
    let backend = Backend::echo().await;
    let routes = vec![guarded(Method::Get, "/x", &["bills:read"]), public(Method::Post, "/b")];
    let mut config = config(vec![backend.address.clone()], routes);
    config.rate_limits = RateLimits { per_client: Some(slow(50)), ..RateLimits::default() };
    let house = House::with(config).await;
    let patient = house.token("usr_1", Role::Billing);
    let answers = [
        (401, house.get("/x").await),
        (403, house.get_as(&house.token("usr_2", Role::PrivacyOfficer), "/x").await),
        (200, house.get_as(&patient, "/x").await),
        (200, house.ask("HEAD", "/x", &[("authorization", &format!("Bearer {patient}"))], "").await),
        (413, house.ask("POST", "/b", &[], &"x".repeat(2000)).await),
    ];
    for (left, (status, answer)) in (0..50).rev().zip(answers) {
        assert_eq!(answer.status, status, "{answer:?}");
        let standing = answer.header("ratelimit").unwrap();
        assert!(standing.starts_with(&format!("\"client\";r={left};t=")), "{answer:?}");
        assert_eq!(answer.header("ratelimit-policy"), Some("\"client\";q=50;w=50"));
    }
}

#[tokio::test]
async fn a_header_or_a_store_that_cannot_be_is_refused_by_name() {
    let backend = Backend::echo().await;
    let mut config = config(vec![backend.address.clone()], vec![public(Method::Get, "/x")]);
    let house = House::with(config.clone()).await;
    let per_key = KeyLimit { header: "x api key".to_owned(), requests_per_second: 1, burst: 2 };
    config.rate_limits.per_key = Some(per_key.clone());
    config.routes[0].rate_limits = Some(RateLimits { per_key: Some(per_key), ..RateLimits::default() });
    let store = serde_json::json!({ "host": "no host", "timeoutMs": 0 });
    config.rate_limit_store = Some(serde_json::from_value(store).unwrap());
    let error = house.gateway.apply(config).unwrap_err();
    assert_eq!(
        error.faults,
        [
            "routes[0].rateLimits.perKey.header: x api key is no header's name",
            "rateLimits.perKey.header: x api key is no header's name",
            "rateLimitStore.host: no host is neither a name nor an address",
            "rateLimitStore.timeoutMs: must be more than nothing",
        ]
    );
}
