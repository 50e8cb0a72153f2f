//! ID tokens that must not be believed, and browsers that come back from elsewhere.

use data_encoding::BASE64URL_NOPAD;
use http_kit::identity::generate_key;
use jsonwebtoken::{Algorithm, EncodingKey, Header};

use super::forger::{Does, Forger, Place, configuration, with_forger};
use super::*;

/// A token whose header and claims are these, signed with nothing.
fn unsigned(header: &Value, claims: &Value) -> String {
    let part = |part: &Value| BASE64URL_NOPAD.encode(part.to_string().as_bytes());
    format!("{}.{}.", part(header), part(claims))
}

/// A login with what comes of the claims that it should have.
async fn try_with(stack: &Arc<TestStack>, forger: &Forger, token: impl Fn(Value) -> String) -> Reply {
    let started = start(stack).await;
    forger.gives(&token(forger.claims(stack, &started)));
    finish(stack, &started, &forger.back(&started)).await
}

fn changed(claims: &Value, name: &str, value: &Value) -> Value {
    let mut claims = claims.clone();
    claims[name] = value.clone();
    claims
}

async fn forged_tokens(stack: Arc<TestStack>, forger: Forger) {
    let _ = try_with(&stack, &forger, |claims| forger.signs(&claims)).await.expect(200);
    let now = stack.clock.now().timestamp();
    for (name, value, why) in [
        ("nonce", json!("another"), "nonce"),
        ("nonce", Value::Null, "nonce"),
        ("iss", json!("https://login.example"), "iss"),
        ("aud", json!("another"), "aud"),
        ("aud", json!(["healthcare-stack", "another"]), "azp"),
        ("azp", json!("another"), "azp"),
        ("exp", json!(now - 61), "exp"),
        ("iat", json!(now + 61), "iat"),
        ("iat", json!(now - 3_600), "iat"),
        ("at_hash", json!("AAAAAAAAAAAAAAAAAAAAAA"), "at_hash"),
        ("sub", json!(""), "sub"),
    ] {
        let reply = try_with(&stack, &forger, |claims| forger.signs(&changed(&claims, name, &value))).await;
        refused(&stack, reply, &format!("the ID token's {why} ")).await;
    }
    let (foreign, _) = generate_key("k1").unwrap();
    let foreign = EncodingKey::from_ed_der(&foreign);
    let public = EncodingKey::from_secret(forger.jwk.x.as_deref().unwrap().as_bytes());
    let hs256 = Header { kid: Some("k1".to_owned()), ..Header::new(Algorithm::HS256) };
    let jwk = serde_json::to_value(&forger.jwk).unwrap();
    let sign = |header: &Header, claims: &Value, key| jsonwebtoken::encode(header, claims, key).unwrap();
    let believed = "the ID token is not believed";
    refused(
        &stack,
        try_with(&stack, &forger, |claims| sign(&forger.header(), &claims, &foreign)).await,
        believed,
    )
    .await;
    refused(&stack, try_with(&stack, &forger, |claims| sign(&hs256, &claims, &public)).await, believed).await;
    for header in [
        json!({"alg": "none", "kid": "k1"}),
        json!({"alg": "none"}),
        json!({"alg": "EdDSA", "kid": "k1"}),
        json!({"alg": "EdDSA", "jwk": jwk}),
    ] {
        refused(&stack, try_with(&stack, &forger, |claims| unsigned(&header, &claims)).await, believed).await;
    }
    for text in ["", "a.b.c", "nonsense"] {
        refused(&stack, try_with(&stack, &forger, |_| text.to_owned()).await, believed).await;
    }
    let users = call(&stack, Role::Admin, Method::GET, "/api/auth/users", None).await.expect(200).json();
    assert_eq!(users["items"].as_array().unwrap().len(), 2, "jane was made once: {users}");
}

async fn answers_without_a_token(stack: Arc<TestStack>, forger: Forger) {
    for (tokens, why) in [
        (json!({"access_token": "x", "token_type": "Bearer"}), "gives no ID token"),
        (json!({"id_token": null}), "gives no ID token"),
    ] {
        let started = start(&stack).await;
        forger.does(Place::Tokens, Does::Says(tokens));
        refused(&stack, finish(&stack, &started, &forger.back(&started)).await, why).await;
    }
}

async fn browsers_from_elsewhere(stack: Arc<TestStack>, forger: Forger) {
    let elsewhere = |iss: Option<&str>| {
        let (stack, iss) = (Arc::clone(&stack), iss.map(str::to_owned));
        let forger = &forger;
        async move {
            let started = start(&stack).await;
            forger.gives(&forger.signs(&forger.claims(&stack, &started)));
            let mut back = forger.back(&started);
            let _ = back.0.remove("iss");
            back.0.extend(iss.map(|iss| ("iss".to_owned(), iss)));
            let reply = finish(&stack, &started, &back).await;
            refused(&stack, reply, "comes back from another issuer").await;
        }
    };
    elsewhere(Some("https://login.example")).await;
    elsewhere(Some(&format!("{}/", forger.issuer))).await;
    elsewhere(None).await;
    assert_eq!(forger.asked(Place::Tokens), 0, "nobody was shown the code");

    // One that was begun at a provider is not finished at another.
    let started = start(&stack).await;
    let mixed = body(&started, &forger.back(&started));
    let reply = post(&stack, "/api/auth/oidc/other/finish", mixed.clone()).await;
    refused(&stack, reply, "begun at another identity provider").await;
    let reply = post(&stack, "/api/auth/oidc/staff/finish", mixed).await;
    refused(&stack, reply, "no such flow").await;
}

async fn without_a_promise_to_say_who(stack: Arc<TestStack>, forger: Forger) {
    let mut promises_nothing = configuration(&forger.issuer);
    promises_nothing["authorization_response_iss_parameter_supported"] = json!(false);
    forger.does(Place::Configuration, Does::Says(promises_nothing));
    let started = start(&stack).await;
    forger.gives(&forger.signs(&forger.claims(&stack, &started)));
    let mut back = forger.back(&started);
    let _ = back.0.remove("iss");
    let _ = finish(&stack, &started, &back).await.expect(200);
}

#[test]
fn a_token_that_must_not_be_believed_lets_nobody_in_sqlite() {
    with_forger(Engine::Sqlite, forged_tokens);
}

#[test]
fn a_token_that_must_not_be_believed_lets_nobody_in_postgres() {
    with_forger(Engine::Postgres, forged_tokens);
}

#[test]
fn without_a_token_nobody_is_let_in() {
    with_forger(Engine::Sqlite, answers_without_a_token);
}

#[test]
fn a_browser_that_comes_back_from_another_issuer_is_not_let_in() {
    with_forger(Engine::Sqlite, browsers_from_elsewhere);
}

#[test]
fn a_provider_that_does_not_say_who_it_is_need_not() {
    with_forger(Engine::Sqlite, without_a_promise_to_say_who);
}
