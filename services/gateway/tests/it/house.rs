//! A gateway for one test: its configuration in a few lines, its keys, its callers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeZone;
use contracts::ambient::{Clock, Random};
use contracts::auth::JwkSet;
use contracts::permission::Role;
use gateway::{Gateway, GatewayWorld};
use http_kit::identity::generate_key;
use http_kit::keys::KeyRing;
use http_kit::revocation::RevocationList;
use http_kit::telemetry::Metrics;
use http_kit::token::{Claims, Verifier};
use settings::{
    Address, GatewayAuth, GatewayConfig, Method, Observability, RateLimits, Route, RouteAccess, ServiceName,
    Upstream,
};
use tls::Credentials;
use traces::Tracer;

use crate::backend::{Backend, socket};
use crate::wire::{Answer, Client};

const ISSUER: &str = "healthcare";
const AUDIENCE: &str = "healthcare-api";
const SEED: u64 = 7;

/// A gateway that runs, and what a test needs to talk to it.
pub(crate) struct House {
    pub(crate) gateway: Gateway,
    pub(crate) address: SocketAddr,
    pub(crate) clock: Clock,
    pub(crate) revoked: Arc<RevocationList>,
    pub(crate) metrics: Metrics,
    pub(crate) tracer: Tracer,
    key: jsonwebtoken::EncodingKey,
}

/// A configuration with one upstream `patient-service`.
pub(crate) fn config(endpoints: Vec<Address>, routes: Vec<Route>) -> GatewayConfig {
    let upstream = Upstream::from(endpoints);
    GatewayConfig {
        routes,
        upstreams: BTreeMap::from([("patient-service".to_owned(), upstream)]),
        zone: None,
        auth: GatewayAuth {
            issuer: ISSUER.to_owned(),
            audience: AUDIENCE.to_owned(),
            service: ServiceName::AuthService,
            revocations_stale_seconds: 120,
        },
        rate_limits: RateLimits::default(),
        rate_limit_store: None,
        replicas: 1,
        peers: None,
        trusted_proxies: Vec::new(),
        cors: None,
        body_bytes_max: 1024,
        access_log: true,
        prometheus: None,
        observability: Observability::default(),
    }
}

/// A route that anybody may pass.
pub(crate) fn public(method: Method, path: &str) -> Route {
    Route::new(method, path, "patient-service", RouteAccess::Public, 5_000)
}

/// A route that needs these permissions.
pub(crate) fn guarded(method: Method, path: &str, permissions: &[&str]) -> Route {
    let names = permissions.iter().map(|name| (*name).to_owned()).collect();
    Route { access: RouteAccess::Permissions(names), ..public(method, path) }
}

impl House {
    /// Before one backend, with these routes.
    pub(crate) async fn before(backend: &Backend, routes: Vec<Route>) -> Self {
        Self::with(config(vec![backend.address.clone()], routes)).await
    }

    pub(crate) async fn with(config: GatewayConfig) -> Self {
        Self::on(config, Into::into).await
    }

    /// With chances of its own, as each gateway has them.
    pub(crate) async fn seeded(config: GatewayConfig, seed: u64) -> Self {
        Self::start(config, Into::into, None, None, seed).await
    }

    /// Before services that speak TLS.
    pub(crate) async fn with_credentials(
        config: GatewayConfig,
        credentials: Option<Arc<Credentials>>,
    ) -> Self {
        Self::start(config, Into::into, credentials, None, SEED).await
    }

    /// With secrets in a folder.
    pub(crate) async fn with_secrets(config: GatewayConfig, secrets: &Path) -> Self {
        Self::start(config, Into::into, None, Some(secrets.to_owned()), SEED).await
    }

    /// On threads of its own, each with a socket at the same address.
    pub(crate) async fn on_threads(config: GatewayConfig, threads: usize) -> Self {
        let shared = |socket: std::net::TcpListener| {
            let address = socket.local_addr().unwrap();
            drop(socket);
            gateway::Listener::on_threads(http_kit::listen::listen_shared(address, threads).unwrap())
        };
        Self::on(config, shared).await
    }

    pub(crate) async fn on(
        config: GatewayConfig,
        listener: impl FnOnce(std::net::TcpListener) -> gateway::Listener,
    ) -> Self {
        Self::start(config, listener, None, None, SEED).await
    }

    async fn start(
        config: GatewayConfig,
        listener: impl FnOnce(std::net::TcpListener) -> gateway::Listener,
        credentials: Option<Arc<Credentials>>,
        secrets: Option<PathBuf>,
        seed: u64,
    ) -> Self {
        let clock = Clock::set_to(chrono::Utc.with_ymd_and_hms(2026, 1, 15, 10, 0, 0).unwrap());
        let (pkcs8, jwk) = generate_key("auth-1").unwrap();
        let keys = KeyRing::fixed(&JwkSet { keys: vec![jwk] }, &JwkSet::default());
        let revoked = Arc::new(RevocationList::followed(Duration::from_mins(2)));
        revoked.hear(&[], &clock);
        let verifier = Arc::new(Verifier::new(ISSUER, AUDIENCE, keys, Arc::clone(&revoked), clock.clone()));
        let metrics = Metrics::default();
        let tracer = Tracer::new("api-gateway", 7, None);
        metrics.register_tracer("api-gateway", &tracer);
        let world = GatewayWorld {
            clock: clock.clone(),
            random: Random::seeded(seed),
            verifier,
            metrics: metrics.clone(),
            tracer: tracer.clone(),
            credentials,
            secrets,
        };
        let (socket, address) = socket();
        let gateway = Gateway::start(config, listener(socket), world).await.unwrap();
        let key = jsonwebtoken::EncodingKey::from_ed_der(&pkcs8);
        Self { gateway, address, clock, revoked, metrics, tracer, key }
    }

    /// A token of a user with a role, good for ten minutes.
    pub(crate) fn token(&self, user: &str, role: Role) -> String {
        self.sign(self.claims(user, role))
    }

    pub(crate) fn claims(&self, user: &str, role: Role) -> Claims {
        let now = self.clock.now();
        Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: user.to_owned(),
            sid: Some(format!("session-{user}")),
            jti: format!("{user}-{}", now.timestamp_micros()),
            iat: now.timestamp(),
            iat_ms: Some(now.timestamp_millis()),
            exp: now.timestamp() + 600,
            name: Some(user.to_owned()),
            roles: vec![role.as_str().to_owned()],
            scope: role.permissions().to_scope(),
            grants: Vec::new(),
            only_enrols: false,
            patient_id: None,
            provider_id: None,
        }
    }

    pub(crate) fn sign(&self, claims: Claims) -> String {
        claims.sign(&self.key, "auth-1")
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.address).await
    }

    /// One request on a connection of its own.
    pub(crate) async fn ask(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        self.client().await.ask(method, target, headers, body).await
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.ask("GET", target, &[], "").await
    }

    pub(crate) async fn get_as(&self, token: &str, target: &str) -> Answer {
        self.ask("GET", target, &[("authorization", &format!("Bearer {token}"))], "").await
    }
}

/// Whether the gateway's metrics say so.
pub(crate) fn counts(house: &House, name: &str, count: u32) -> bool {
    let line = format!("healthcare_gateway_{name}{{service=\"api-gateway\"}} {count}\n");
    house.metrics.page().contains(&line)
}

/// What the whole test process logs, as JSON lines.
pub(crate) fn captured_log() -> Arc<std::sync::Mutex<String>> {
    #[derive(Clone)]
    struct Sink(Arc<std::sync::Mutex<String>>);
    impl std::io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().push_str(&String::from_utf8_lossy(bytes));
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    static LOG: std::sync::OnceLock<Arc<std::sync::Mutex<String>>> = std::sync::OnceLock::new();
    Arc::clone(LOG.get_or_init(|| {
        let log = Arc::default();
        let sink = Sink(Arc::clone(&log));
        tracing_subscriber::fmt().json().with_writer(move || sink.clone()).init();
        log
    }))
}
