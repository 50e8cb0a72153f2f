//! A provider that says whatever a test has it say.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::Listener;
use contracts::auth::{Jwk, JwkSet};
use http_kit::identity::generate_key;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use testkit::oidc::settings_of;
use tokio::net::TcpListener;

use super::*;

/// Where it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Configuration,
    Keys,
    Tokens,
}

/// What it does there.
#[derive(Clone, Debug)]
pub(super) enum Does {
    Says(Value),
    Text(&'static str),
    Fails(u16),
    LeadsAway,
    Endless,
    Silent,
    HangsUp,
}

struct Inside {
    configuration: Does,
    keys: Does,
    tokens: Does,
    asked: Vec<Place>,
}

type Shared = Arc<Mutex<Inside>>;

/// The provider; gone when dropped.
pub(super) struct Forger {
    pub(super) issuer: String,
    key: EncodingKey,
    pub(super) jwk: Jwk,
    inside: Shared,
    serves: tokio::task::JoinHandle<()>,
}

impl Forger {
    /// One that says what it should, but gives no token yet.
    pub(super) fn start<L: Listener>(listener: L, issuer: String) -> Self
    where
        L::Addr: std::fmt::Debug,
    {
        let (key, jwk) = generate_key("k1").unwrap();
        let inside = Arc::new(Mutex::new(Inside {
            configuration: Does::Says(configuration(&issuer)),
            keys: Does::Says(serde_json::to_value(JwkSet { keys: vec![jwk.clone()] }).unwrap()),
            tokens: Does::Fails(400),
            asked: Vec::new(),
        }));
        let routes = Router::new()
            .route(
                "/.well-known/openid-configuration",
                get(|State(it): State<Shared>| answer(it, Place::Configuration)),
            )
            .route("/jwks", get(|State(it): State<Shared>| answer(it, Place::Keys)))
            .route("/token", post(|State(it): State<Shared>| answer(it, Place::Tokens)))
            .with_state(Arc::clone(&inside));
        let serves = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { issuer, key: EncodingKey::from_ed_der(&key), jwk, inside, serves }
    }

    pub(super) fn does(&self, place: Place, what: Does) {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        match place {
            Place::Configuration => inside.configuration = what,
            Place::Keys => inside.keys = what,
            Place::Tokens => inside.tokens = what,
        }
    }

    /// Has it do again what it should.
    pub(super) fn mends(&self) {
        self.does(Place::Configuration, Does::Says(configuration(&self.issuer)));
        self.does(
            Place::Keys,
            Does::Says(serde_json::to_value(JwkSet { keys: vec![self.jwk.clone()] }).unwrap()),
        );
    }

    /// How often it was asked there.
    pub(super) fn asked(&self, place: Place) -> usize {
        let inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        inside.asked.iter().filter(|asked| **asked == place).count()
    }

    /// Gives this ID token from now on.
    pub(super) fn gives(&self, id_token: &str) {
        let tokens = json!({"access_token": "an access token", "token_type": "Bearer", "id_token": id_token});
        self.does(Place::Tokens, Does::Says(tokens));
    }

    /// What an ID token of a login should say.
    pub(super) fn claims(&self, stack: &Arc<TestStack>, started: &Started) -> Value {
        let now = stack.clock.now().timestamp();
        json!({
            "iss": self.issuer, "aud": "healthcare-stack", "sub": "jane", "exp": now + 300, "iat": now, "nonce": started.says("nonce"),
            "roles": ["doctors"], "preferred_username": "jane",
        })
    }

    pub(super) fn header(&self) -> Header {
        Header { kid: Some(self.jwk.kid.clone()), ..Header::new(Algorithm::EdDSA) }
    }

    pub(super) fn signs(&self, claims: &Value) -> String {
        jsonwebtoken::encode(&self.header(), claims, &self.key).unwrap()
    }

    /// What the browser comes back with.
    pub(super) fn back(&self, started: &Started) -> Back {
        let pairs = [("code", "a code"), ("state", &started.says("state")), ("iss", &self.issuer)];
        Back(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into())
    }
}

impl Drop for Forger {
    fn drop(&mut self) {
        self.serves.abort();
    }
}

pub(super) fn configuration(issuer: &str) -> Value {
    json!({
        "issuer": issuer, "authorization_endpoint": format!("{issuer}/auth"), "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/jwks"), "authorization_response_iss_parameter_supported": true,
    })
}

async fn answer(inside: Shared, place: Place) -> Response {
    let does = {
        let mut inside = inside.lock().unwrap_or_else(PoisonError::into_inner);
        inside.asked.push(place);
        match place {
            Place::Configuration => inside.configuration.clone(),
            Place::Keys => inside.keys.clone(),
            Place::Tokens => inside.tokens.clone(),
        }
    };
    match does {
        Does::Says(json) => json.to_string().into_response(),
        Does::Text(text) => text.into_response(),
        Does::Fails(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Does::LeadsAway => {
            (StatusCode::TEMPORARY_REDIRECT, [("location", "http://127.0.0.1:9/")]).into_response()
        }
        Does::Endless => {
            let spaces = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b' '; 16 * 1024]));
            Body::from_stream(spaces).into_response()
        }
        Does::Silent => {
            tokio::time::sleep(Duration::from_mins(1)).await;
            StatusCode::OK.into_response()
        }
        Does::HangsUp => {
            let cut = futures_util::stream::iter([Ok(b"{".to_vec()), Err(std::io::Error::other("cut"))]);
            Body::from_stream(cut).into_response()
        }
    }
}

/// Runs a test with one, on an engine.
pub(super) fn with_forger<F, T>(engine: Engine, test: F)
where
    F: FnOnce(Arc<TestStack>, Forger) -> T + Send + 'static,
    T: Future<Output = ()> + Send + 'static,
{
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    let named = settings_of("staff", &issuer);
    let other = settings::IdentityProvider { name: "other".to_owned(), ..named.clone() };
    let settings = move |settings: &mut ServiceSettings| {
        settings.auth.identity_providers = vec![named.clone(), other.clone()];
    };
    testkit::stack::run_with(engine, SERVICES, settings, |stack| async move {
        let _ = stack.secret(ServiceName::AuthService, "outside", "client-secret", CLIENT_SECRET.as_bytes());
        let forger = Forger::start(TcpListener::from_std(listener).unwrap(), issuer);
        test(stack, forger).await;
    });
}
