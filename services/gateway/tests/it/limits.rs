//! How often.

use contracts::permission::Role;
use settings::{Method, RateLimit, RateLimits};

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
    config.rate_limits = RateLimits { per_client: Some(slow(3)), per_user: None };
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
    config.rate_limits = RateLimits { per_client: Some(slow(100)), per_user: Some(slow(2)) };
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
    login.rate_limits = Some(RateLimits { per_client: Some(slow(1)), per_user: None });
    let mut config = config(vec![backend.address.clone()], vec![login, public(Method::Get, "/x")]);
    config.rate_limits = RateLimits { per_client: Some(slow(50)), per_user: None };
    let house = House::with(config).await;
    assert_eq!(house.ask("POST", "/login", &[], "").await.status, 200);
    assert_eq!(house.ask("POST", "/login", &[], "").await.status, 429);
    assert!(house.get("/x").await.header("ratelimit").unwrap().contains("r=49"));
}

#[tokio::test]
async fn a_forged_token_is_limited_by_address_before_it_is_looked_at() {
    let backend = Backend::echo().await;
    let mut config = config(vec![backend.address.clone()], vec![guarded(Method::Get, "/x", &[])]);
    config.rate_limits = RateLimits { per_client: Some(slow(2)), per_user: None };
    let house = House::with(config).await;
    assert_eq!(house.get_as("forged", "/x").await.status, 401);
    assert_eq!(house.get_as("forged", "/x").await.status, 401);
    assert_eq!(house.get_as("forged", "/x").await.status, 429);
}

#[tokio::test]
async fn a_limit_survives_a_change_of_the_configuration() {
    let backend = Backend::echo().await;
    let mut config = config(vec![backend.address.clone()], vec![public(Method::Get, "/x")]);
    config.rate_limits = RateLimits { per_client: Some(slow(2)), per_user: None };
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
    config.rate_limits = RateLimits { per_client: Some(slow(1)), per_user: None };
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
    config.rate_limits = RateLimits { per_client: Some(slow(1)), per_user: None };
    let house = House::with(config).await;
    for _ in 0..5 {
        assert_eq!(house.get("/livez").await.status, 200);
        assert_eq!(house.get("/readyz").await.status, 200);
    }
}
