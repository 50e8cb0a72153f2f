//! The auth service over real sockets, on both engines.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says so by failing")]

mod attempts;
mod audited;
mod bad_input;
mod forgery;
mod keys;
mod login;
mod oidc;
mod outside;
mod password;
mod refresh;
mod revocations;
mod roles;
mod second_factor;
mod sessions;
mod signing_keys;
mod start;
mod ties;
mod told;
mod users;

use std::sync::Arc;

use contracts::permission::Role;
use reqwest::Method;
use serde_json::{Value, json};
use settings::ServiceName;
use testkit::stack::{Who, send};
use testkit::{Reply, TestStack};

/// The first administrator's, in every test.
pub(crate) const ADMIN_PASSWORD: &str = "correct horse battery staple";
/// That of every other user.
pub(crate) const PASSWORD: &str = "kX9#mQ2$vL7&";

/// Calls with a token that the test signed.
pub(crate) async fn call(
    stack: &Arc<TestStack>,
    who: impl Into<Who>,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> Reply {
    stack
        .call(ServiceName::AuthService, who, method, path, body.map(|body| body.to_string()).as_deref())
        .await
}

/// Calls with a token that the service issued.
pub(crate) async fn call_with(
    stack: &Arc<TestStack>,
    token: &str,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> Reply {
    let mut request = stack.request(ServiceName::AuthService, method, path).bearer_auth(token);
    if let Some(body) = body {
        request = request.header("content-type", "application/json").body(body.to_string());
    }
    send(request).await
}

/// Posts without a token.
pub(crate) async fn post(stack: &Arc<TestStack>, path: &str, body: Value) -> Reply {
    let request = stack.request(ServiceName::AuthService, Method::POST, path);
    send(request.header("content-type", "application/json").body(body.to_string())).await
}

pub(crate) async fn try_login(stack: &Arc<TestStack>, username: &str, password: &str) -> Reply {
    post(stack, "/api/auth/login", json!({"username": username, "password": password})).await
}

/// Logs in from an address.
pub(crate) async fn try_login_from(
    stack: &Arc<TestStack>,
    address: &str,
    username: &str,
    password: &str,
) -> Reply {
    let request = stack.request(ServiceName::AuthService, Method::POST, "/api/auth/login");
    let body = json!({"username": username, "password": password}).to_string();
    send(request.header("content-type", "application/json").header("x-forwarded-for", address).body(body))
        .await
}

/// A pair of tokens.
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
}

impl Tokens {
    pub(crate) fn of(reply: &Reply) -> Self {
        let text = |member: &str| reply.json()[member].as_str().unwrap().to_owned();
        Self { access: text("token"), refresh: text("refreshToken") }
    }
}

pub(crate) async fn login(stack: &Arc<TestStack>, username: &str, password: &str) -> Tokens {
    Tokens::of(&try_login(stack, username, password).await.expect(200))
}

/// Whether a token is good.
pub(crate) async fn is_good(stack: &Arc<TestStack>, token: &str) -> bool {
    match call_with(stack, token, Method::GET, "/api/auth/me", None).await.status {
        200 => true,
        401 => false,
        status => panic!("{status}"),
    }
}

pub(crate) async fn try_refresh(stack: &Arc<TestStack>, token: &str) -> Reply {
    post(stack, "/api/auth/refresh", json!({"refreshToken": token})).await
}

/// Creates a user with [`PASSWORD`], and gives the id.
pub(crate) async fn create(stack: &Arc<TestStack>, username: &str, roles: &[&str]) -> String {
    let body = json!({"username": username, "password": PASSWORD, "roles": roles});
    let created = call(stack, Role::Admin, Method::POST, "/api/auth/users", Some(body)).await.expect(201);
    created.json()["userId"].as_str().unwrap().to_owned()
}

/// The id of the user with this name.
pub(crate) async fn id_of(stack: &Arc<TestStack>, username: &str) -> String {
    let path = format!("/api/auth/users?username={username}");
    let list = call(stack, Role::Admin, Method::GET, &path, None).await.expect(200);
    list.json()["items"][0]["userId"].as_str().unwrap().to_owned()
}

/// Changes a user.
pub(crate) async fn change(stack: &Arc<TestStack>, id: &str, patch: Value) -> Reply {
    call(stack, Role::Admin, Method::PUT, &format!("/api/auth/users/{id}"), Some(patch)).await
}

#[test]
fn every_statement_prepares_on_both_engines() {
    testkit::engines::every_statement_prepares(ServiceName::AuthService, &auth::MIGRATIONS, "auth");
}
