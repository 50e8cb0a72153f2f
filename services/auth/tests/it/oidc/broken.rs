//! A provider that is down, slow, or answers nonsense: a clear answer in bounded time, and all else goes on.

use std::time::{Duration, Instant};

use super::forger::{Does, Forger, Place, configuration, with_forger};
use super::*;

/// However it fails, nobody waits longer.
const BOUND: Duration = Duration::from_secs(9);

#[track_caller]
fn is_unavailable(reply: &Reply, began: Instant, what: &str) {
    assert_eq!(reply.status, 503, "{what}: {}", reply.text);
    let told = reply.json();
    assert_eq!(
        (&told["code"], &told["detail"], reply.header("retry-after")),
        (&json!("unavailable"), &json!("The identity provider does not answer as it should."), "5"),
        "{what}"
    );
    assert!(began.elapsed() < BOUND, "{what}: {:?}", began.elapsed());
}

async fn begin(stack: &Arc<TestStack>) -> Reply {
    post(stack, "/api/auth/oidc/staff/start", json!({})).await
}

/// A provider that has just failed is left alone for a second.
async fn rest() {
    tokio::time::sleep(Duration::from_millis(1_100)).await;
}

fn ways() -> Vec<Does> {
    vec![
        Does::Text("<html>"),
        Does::Text("{}"),
        Does::Text("[]"),
        Does::Text(""),
        Does::Fails(500),
        Does::Fails(404),
        Does::Fails(204),
        Does::LeadsAway,
        Does::Endless,
        Does::HangsUp,
        Does::Silent,
    ]
}

async fn at_the_start(stack: Arc<TestStack>, forger: Forger) {
    for place in [Place::Configuration, Place::Keys] {
        for way in ways() {
            let what = format!("{way:?} at {place:?}");
            forger.mends();
            forger.does(place, way);
            let began = Instant::now();
            is_unavailable(&begin(&stack).await, began, &what);
            rest().await;
        }
    }
    for (member, value) in [
        ("issuer", json!("https://login.example")),
        ("token_endpoint", json!("http://login.example/token")),
        ("jwks_uri", json!("https://")),
        ("authorization_endpoint", json!(null)),
    ] {
        let mut wrong = configuration(&forger.issuer);
        wrong[member] = value;
        forger.mends();
        forger.does(Place::Configuration, Does::Says(wrong));
        is_unavailable(&begin(&stack).await, Instant::now(), member);
        rest().await;
    }
    forger.mends();
    let _ = begin(&stack).await.expect(200);
    // What is known goes on while the provider does not answer that again.
    forger.does(Place::Configuration, Does::Silent);
    let _ = begin(&stack).await.expect(200);
}

async fn at_the_end(stack: Arc<TestStack>, forger: Forger) {
    let ways = ways().into_iter().chain([Does::Says(json!({"id_token": 7}))]);
    // A token endpoint that answers `{}` is understood: it gives nobody.
    for way in ways.filter(|way| !matches!(way, Does::Text("{}"))) {
        let what = format!("{way:?}");
        let started = start(&stack).await;
        forger.does(Place::Tokens, way);
        let began = Instant::now();
        is_unavailable(&finish(&stack, &started, &forger.back(&started)).await, began, &what);
    }
    // The flow was used up with each; another one is good.
    let started = start(&stack).await;
    forger.gives(&forger.signs(&forger.claims(&stack, &started)));
    let _ = finish(&stack, &started, &forger.back(&started)).await.expect(200);
}

async fn many_at_once(stack: Arc<TestStack>, forger: Forger) {
    forger.does(Place::Configuration, Does::Silent);
    let began = Instant::now();
    let tries: Vec<_> = (0..30)
        .map(|_| {
            let stack = Arc::clone(&stack);
            tokio::spawn(async move { begin(&stack).await })
        })
        .collect();
    // Meanwhile whoever has a password is not held up.
    let _ = try_login(&stack, "admin", ADMIN_PASSWORD).await.expect(200);
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    for one in tries {
        is_unavailable(&one.await.unwrap(), began, "one of thirty");
    }
    assert_eq!(forger.asked(Place::Configuration), 1, "they do not each ask");
}

async fn keys_that_nobody_has(stack: Arc<TestStack>, forger: Forger) {
    for _ in 0..20 {
        let started = start(&stack).await;
        let claims = forger.claims(&stack, &started);
        let token = forger.signs(&claims);
        let header = data_encoding::BASE64URL_NOPAD.encode(br#"{"alg":"EdDSA","kid":"made-up"}"#);
        let (_, rest) = token.split_once('.').unwrap();
        forger.gives(&format!("{header}.{rest}"));
        refused(&stack, finish(&stack, &started, &forger.back(&started)).await, "does not publish").await;
    }
    assert!(forger.asked(Place::Keys) <= 3, "{}", forger.asked(Place::Keys));
}

async fn from_one_address(stack: Arc<TestStack>, forger: Forger) {
    let from = |path: &str| {
        let request = stack.request(ServiceName::AuthService, Method::POST, path);
        request.header("x-forwarded-for", "192.0.2.1").header("content-type", "application/json")
    };
    let begin = || send(from("/api/auth/oidc/staff/start").body("{}"));
    for _ in 0..60 {
        let started = Started::of(&begin().await.expect(200));
        forger.does(Place::Tokens, Does::Fails(500));
        let body = body(&started, &forger.back(&started)).to_string();
        let _ = send(from("/api/auth/oidc/staff/finish").body(body)).await.expect(503);
    }
    forger.does(Place::Configuration, Does::Fails(500));
    for _ in 0..110 {
        let _ = send(from("/api/auth/oidc/other/start").body("{}")).await.expect(503);
    }
    let _ = try_login_from(&stack, "192.0.2.1", "admin", ADMIN_PASSWORD).await.expect(200);
}

#[test]
fn a_provider_that_is_down_locks_no_address_out() {
    with_forger(Engine::Sqlite, from_one_address);
}

#[test]
fn a_login_is_begun_only_at_a_provider_that_says_what_it_is() {
    with_forger(Engine::Sqlite, at_the_start);
}

#[test]
fn a_provider_that_answers_nonsense_for_a_code_logs_nobody_in() {
    with_forger(Engine::Sqlite, at_the_end);
}

#[test]
fn many_who_come_while_the_provider_is_silent_wait_no_longer_than_one() {
    with_forger(Engine::Sqlite, many_at_once);
}

#[test]
fn keys_that_are_made_up_are_not_asked_for_each_time() {
    with_forger(Engine::Sqlite, keys_that_nobody_has);
}

with_providers! {
    async fn a_provider_that_is_down_is_no_way_in_and_passwords_go_on(scene: Scene) {
        let (started, back) = scene.visit("jane").await;
        let tokens = scene.tokens("joe").await;
        scene.provider.cut();
        is_unavailable(&finish(&scene.stack, &started, &back).await, Instant::now(), "down");
        assert!(is_good(&scene.stack, &tokens.access).await, "who is logged in stays so");
        let _ = try_refresh(&scene.stack, &tokens.refresh).await.expect(200);
        let _ = login(&scene.stack, "admin", ADMIN_PASSWORD).await;
    }
}
