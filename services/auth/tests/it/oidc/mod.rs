//! Login at an identity provider outside the stack: a real one, and one that forges.

mod accounts;
mod authority;
mod broken;
mod forged;
mod forger;
mod login;
mod once;
mod roles;
mod second_factor;

use contracts::ambient::Clock;
use db::Engine;
use settings::ServiceSettings;
use testkit::oidc::{Back, CLIENT_SECRET, IdentityProvider};

use super::*;

const SERVICES: &[http_kit::Service] = &[auth::SERVICE];

/// A stack that names a provider.
pub(crate) struct Scene {
    pub(crate) stack: Arc<TestStack>,
    pub(crate) provider: IdentityProvider,
}

/// A login that was begun.
pub(crate) struct Started {
    pub(crate) url: String,
    pub(crate) flow: String,
}

impl Started {
    pub(crate) fn of(reply: &Reply) -> Self {
        let text = |member: &str| reply.json()[member].as_str().unwrap().to_owned();
        assert_eq!(
            (reply.json()["expiresIn"].as_u64(), reply.header("cache-control")),
            (Some(600), "no-store")
        );
        Self { url: text("authorizationUrl"), flow: text("flow") }
    }

    /// What was sent with the browser.
    pub(crate) fn says(&self, name: &str) -> String {
        let url: reqwest::Url = self.url.parse().unwrap();
        url.query_pairs().find(|(known, _)| known == name).unwrap().1.into_owned()
    }
}

/// Asks the auth service, a moment after whatever was asked before: the tests' clock stands still, and of two entries of
/// one moment in two chains of the audit nobody can say which was the later.
pub(crate) async fn post(stack: &Arc<TestStack>, path: &str, body: Value) -> Reply {
    stack.clock.advance(chrono::TimeDelta::milliseconds(1));
    crate::post(stack, path, body).await
}

/// Begins a login.
pub(crate) async fn start(stack: &Arc<TestStack>) -> Started {
    Started::of(&post(stack, "/api/auth/oidc/staff/start", json!({})).await.expect(200))
}

/// Finishes one with what the browser came back with.
pub(crate) async fn finish(stack: &Arc<TestStack>, started: &Started, back: &Back) -> Reply {
    post(stack, "/api/auth/oidc/staff/finish", body(started, back)).await
}

pub(crate) fn body(started: &Started, back: &Back) -> Value {
    let mut body = json!({"flow": started.flow, "code": back.says("code"), "state": back.says("state")});
    if !back.says("iss").is_empty() {
        body["iss"] = json!(back.says("iss"));
    }
    body
}

/// Refused, and why is said to nobody but whoever may read the audit.
pub(crate) async fn refused(stack: &Arc<TestStack>, reply: Reply, why: &str) {
    let reply = reply.expect(401);
    let mut told = reply.json();
    told.as_object_mut().unwrap().remove("traceId");
    let all = json!({
        "type": "/api/docs/problems#oidc-login-failed", "title": "The login at the identity provider did not succeed",
        "status": 401, "code": "oidc-login-failed",
    });
    assert_eq!(told, all);
    let entry = last_entry(stack).await;
    assert_eq!(
        (entry["outcome"].as_str(), entry["code"].as_str()),
        (Some("Refused"), Some("oidc-login-failed"))
    );
    let reason = entry["reason"].as_str().unwrap_or_default();
    assert!(reason.contains(why), "{reason:?} says nothing of {why:?}");
}

/// What stands last in the audit of a login.
pub(crate) async fn last_entry(stack: &Arc<TestStack>) -> Value {
    let mut all = Vec::new();
    for operation in ["finish_oidc", "finish_oidc_with_code"] {
        let path = format!("/internal/audit?limit=1&operation={operation}");
        let found = call(stack, Role::Service, Method::GET, &path, None).await.expect(200).json();
        all.extend(found["items"].as_array().unwrap().iter().cloned());
    }
    let place = |entry: &Value| (entry["at"].as_str().unwrap().to_owned(), entry["seq"].as_i64());
    all.into_iter().max_by_key(place).unwrap_or_default()
}

/// Who a token is of.
pub(crate) async fn me(stack: &Arc<TestStack>, token: &str) -> Value {
    call_with(stack, token, Method::GET, "/api/auth/me", None).await.expect(200).json()
}

impl Scene {
    /// Begins a login, goes to the provider as somebody, and finishes it.
    pub(crate) async fn log_in(&self, account: &str) -> Reply {
        let (started, back) = self.visit(account).await;
        finish(&self.stack, &started, &back).await
    }

    pub(crate) async fn tokens(&self, account: &str) -> Tokens {
        Tokens::of(&self.log_in(account).await.expect(200))
    }

    /// The same as far as the way back.
    pub(crate) async fn visit(&self, account: &str) -> (Started, Back) {
        let started = start(&self.stack).await;
        let back = self.provider.visit(&started.url, account).await;
        (started, back)
    }
}

/// Runs a test with a real provider, and lets the stack have its time.
pub(crate) fn with_provider<F, T>(engine: Engine, method: &str, change: fn(&mut ServiceSettings), test: F)
where
    F: FnOnce(Scene) -> T + Send + 'static,
    T: Future<Output = ()> + Send + 'static,
{
    let provider = IdentityProvider::start(method);
    provider.knows(json!({"jane": {"roles": ["doctors"]}, "joe": {"roles": ["it"]}}));
    let named = provider.settings("staff");
    let settings = move |settings: &mut ServiceSettings| {
        settings.auth.identity_providers = vec![named.clone()];
        change(settings);
    };
    testkit::stack::run_with(engine, SERVICES, settings, |stack| {
        let _ = stack.secret(ServiceName::AuthService, "outside", "client-secret", CLIENT_SECRET.as_bytes());
        stack.clock.advance(Clock::system().now() - stack.clock.now());
        test(Scene { stack, provider })
    });
}

/// Each test runs twice, with a provider of its own.
macro_rules! with_providers {
    ($(async fn $name:ident($scene:ident: Scene) $body:block)*) => {
        with_providers! { settings = |_| {}; $(async fn $name($scene: Scene) $body)* }
    };
    (settings = $change:expr; $(async fn $name:ident($scene:ident: Scene) $body:block)*) => {
        $(mod $name {
            #[allow(unused_imports, reason = "what the other tests use is there for every one")]
            use super::*;

            #[allow(unused_mut, reason = "some tests end their provider")]
            async fn test(mut $scene: Scene) $body

            #[test]
            fn sqlite() {
                with_provider(db::Engine::Sqlite, "client_secret_basic", $change, test);
            }

            #[test]
            fn postgres() {
                with_provider(db::Engine::Postgres, "client_secret_basic", $change, test);
            }
        })*
    };
}
pub(crate) use with_providers;
