//! What browsers are told with every answer, whoever gives it, and what they are not told of what stands behind the gateway.

use bytes::Bytes;
use contracts::permission::Role;
use http::Response;
use http_body_util::Full;
use settings::Method;

use crate::backend::Backend;
use crate::house::{House, config, guarded, public};
use crate::wire::Answer;

const POLICY: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Says what it is made of and more, with each answer.
async fn talkative() -> Backend {
    Backend::answering(|_| async {
        let head = Response::builder()
            .header("server", "Apache/1.3.27")
            .header("x-powered-by", "PHP/4.0.6")
            .header("strict-transport-security", "max-age=0")
            .header("access-control-allow-origin", "*")
            .header("access-control-allow-credentials", "true")
            .header("timing-allow-origin", "*")
            .header("x-content-type-options", "sniff")
            .header("server-timing", "db;dur=3")
            .header("cache-control", "private, no-cache");
        head.body(Full::new(Bytes::from_static(b"{}"))).unwrap()
    })
    .await
}

#[track_caller]
fn assert_set(answer: &Answer) {
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", POLICY),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
        ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
        ("cache-control", "no-store"),
    ] {
        let lines = answer.headers.iter().filter(|(known, _)| known == name);
        let lines: Vec<&str> = lines.map(|(_, value)| value.as_str()).collect();
        assert_eq!(lines, [value], "{name} of {answer:?}");
    }
}

#[tokio::test]
async fn every_answer_has_the_set_whoever_gives_it() {
    let backend = talkative().await;
    let routes = vec![public(Method::Post, "/open"), guarded(Method::Get, "/secret", &[])];
    let house = House::before(&backend, routes).await;
    let token = house.token("usr_1", Role::Patient);
    assert_set(&house.get_as(&token, "/secret").await);
    for (path, status) in [("/secret", 401), ("/nowhere", 404), ("/open", 405), ("/a/../b", 400)] {
        let answer = house.get(path).await;
        assert_eq!(answer.status, status, "{path}");
        assert_set(&answer);
    }
    assert_set(&house.get("/livez").await);
    assert_set(&house.get_as(&token, "/api/gateway").await);
    // Not even a request: hyper's answer, in our words.
    let mut client = house.client().await;
    client.send("GET /\u{1} HTTP/1.1\r\n\r\n").await;
    let answer = client.answer().await.unwrap();
    answer.assert_problem(400, "malformed-request");
    assert_set(&answer);
}

#[tokio::test]
async fn what_a_service_says_of_itself_ends_here() {
    let backend = talkative().await;
    let house = House::before(&backend, vec![public(Method::Get, "/x")]).await;
    let answer = house.get("/x").await;
    assert_eq!((answer.status, answer.header("server-timing")), (200, Some("db;dur=3")));
    let told = ["server", "x-powered-by", "strict-transport-security", "timing-allow-origin"];
    let is_told = |name: &str| told.contains(&name) || name.starts_with("access-control-");
    let told: Vec<_> = answer.headers.iter().filter(|(name, _)| is_told(name)).collect();
    assert!(told.is_empty(), "{told:?}");
    // Where anybody is answered, how long that may be kept is the service's to say.
    assert_eq!(answer.header("cache-control"), Some("private, no-cache"));
    // Nor does the gateway say what it is made of.
    let own = house.get("/livez").await;
    assert!(own.header("server").is_none() && own.header("via").is_none(), "{own:?}");
}

/// RFC 6797 §7.2: over what is not TLS it must not be said; and where TLS ends at a proxy, the proxy's clients came by it.
#[tokio::test]
async fn https_alone_is_told_to_whoever_came_by_it() {
    let backend = Backend::echo().await;
    let mut config = config(vec![backend.address.clone()], vec![public(Method::Get, "/x")]);
    let https = [("x-forwarded-proto", "https")];
    let stranger = House::with(config.clone()).await;
    let answer = stranger.ask("GET", "/x", &https, "").await;
    assert_eq!(answer.header("strict-transport-security"), None, "a stranger's word");
    config.trusted_proxies = vec!["127.0.0.0/8".to_owned()];
    let house = House::with(config).await;
    let answer = house.ask("GET", "/x", &https, "").await;
    assert_eq!(answer.header("strict-transport-security"), Some("max-age=31536000; includeSubDomains"));
    let answer = house.ask("GET", "/x", &[("x-forwarded-proto", "http")], "").await;
    assert_eq!(answer.header("strict-transport-security"), None);
}

/// A browser sends cookies by itself, whoever's page asks. So nothing of ours may go by one.
#[tokio::test]
async fn a_token_in_a_cookie_or_in_the_address_opens_nothing() {
    let backend = Backend::echo().await;
    let house = House::before(&backend, vec![guarded(Method::Get, "/secret", &[])]).await;
    let token = house.token("usr_1", Role::Admin);
    assert_eq!(house.get_as(&token, "/secret").await.status, 200);
    for name in ["token", "access_token", "session", "authorization", "__Host-token"] {
        let cookie = format!("{name}={token}");
        house.ask("GET", "/secret", &[("cookie", &cookie)], "").await.assert_problem(401, "unauthenticated");
        house.get(&format!("/secret?{name}={token}")).await.assert_problem(401, "unauthenticated");
    }
}
