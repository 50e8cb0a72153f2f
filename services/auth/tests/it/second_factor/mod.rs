//! A second factor: enrolled, asked for, used once, lost and taken away; and whoever must have one and has none.

mod enrolling;
mod login;
mod required;
mod store;

use auth::domain::totp::Totp;
use chrono::TimeDelta;
use data_encoding::BASE32_NOPAD;

use super::*;

const OWN: &str = "/api/auth/me/second-factor";
const CONFIRM: &str = "/api/auth/me/second-factor/confirm";
const REMOVE: &str = "/api/auth/me/second-factor/remove";

/// Somebody's phone, with the codes that they wrote down.
struct Enrolled {
    tokens: Tokens,
    app: Totp,
    recovery: Vec<String>,
}

/// What an app makes of what it is offered.
fn app(offered: &Value) -> Totp {
    let secret = offered["secret"].as_str().unwrap();
    assert!(offered["uri"].as_str().unwrap().contains(&format!("?secret={secret}&")));
    Totp::kept(BASE32_NOPAD.decode(secret.as_bytes()).unwrap())
}

/// What an app shows now.
fn code(stack: &Arc<TestStack>, app: &Totp) -> String {
    app.code(Totp::step(stack.clock.now())).to_string()
}

/// A code that an app does not show, neither now nor half a minute before or after.
fn wrong_code(stack: &Arc<TestStack>, app: &Totp) -> String {
    let now = Totp::step(stack.clock.now());
    let shown: Vec<_> = (now - 2..=now + 2).map(|step| app.code(step).to_string()).collect();
    let mut others = (0..).map(|number| format!("{number:06}"));
    others.find(|other| !shown.contains(other)).unwrap()
}

/// The next half minute.
fn later(stack: &Arc<TestStack>) {
    stack.clock.advance(TimeDelta::seconds(30));
}

async fn login_with(stack: &Arc<TestStack>, username: &str, code: &str) -> Reply {
    post(stack, "/api/auth/login", json!({"username": username, "password": PASSWORD, "code": code})).await
}

async fn post_with(stack: &Arc<TestStack>, token: &str, path: &str, body: Value) -> Reply {
    call_with(stack, token, Method::POST, path, Some(body)).await
}

async fn offer(stack: &Arc<TestStack>, token: &str) -> Totp {
    app(&post_with(stack, token, OWN, json!({"currentPassword": PASSWORD})).await.expect(201).json())
}

async fn enrol(stack: &Arc<TestStack>, tokens: Tokens) -> Enrolled {
    let app = offer(stack, &tokens.access).await;
    let confirmed = post_with(stack, &tokens.access, CONFIRM, json!({"code": code(stack, &app)}))
        .await
        .expect(200)
        .json();
    assert_eq!(confirmed["status"], "Active");
    let recovery = confirmed["recoveryCodes"].as_array().unwrap().iter();
    let recovery: Vec<_> = recovery.map(|code| code.as_str().unwrap().to_owned()).collect();
    assert_eq!(recovery.len(), 10);
    Enrolled { tokens, app, recovery }
}

/// A new user who has enrolled; the next code is not used yet.
async fn enrolled(stack: &Arc<TestStack>, username: &str) -> Enrolled {
    let _ = create(stack, username, &["billing"]).await;
    let tokens = login(stack, username, PASSWORD).await;
    let enrolled = enrol(stack, tokens).await;
    later(stack);
    enrolled
}

async fn own(stack: &Arc<TestStack>, token: &str) -> Value {
    call_with(stack, token, Method::GET, OWN, None).await.expect(200).json()
}
