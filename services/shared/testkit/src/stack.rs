//! [`TestStack`]: some services running as they do in one process, on real sockets and a real database, with a clock that stands
//! still until the test moves it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::DateTime;
use contracts::ambient::{Clock, Random};
use contracts::auth::JwkSet;
use contracts::permission::{Permissions, Role};
use contracts::secret::Secret;
use db::{Engine, Secrets};
use http_kit::identity::{generate_key, public_jwk};
use http_kit::keys::KeyRing;
use http_kit::kit::{Service, World};
use http_kit::revocation::RevocationList;
use http_kit::serve::{self, Running};
use http_kit::telemetry::Metrics;
use http_kit::token::{Claims, Verifier};
use jsonwebtoken::EncodingKey;
use reqwest::Method;
use serde_json::Value;
use settings::{
    Address, AuthSettings, Encryption, Integrations, Observability, PasswordPolicy, Peer, SecretRef,
    ServiceName, ServiceSettings,
};
use tempfile::TempDir;
use traces::Tracer;

use crate::engines::{EPOCH_SECONDS, TestDb};

const ISSUER: &str = "https://clinic.test";
const AUDIENCE: &str = "healthcare-stack";
/// A test's tokens outlive whatever the test does to the clock.
const TOKEN_SECONDS: i64 = 10 * 365 * 86_400;

/// Some services, running.
pub struct TestStack {
    /// Everybody's time.
    pub clock: Clock,
    sockets: TempDir,
    databases: Vec<TestDb>,
    running: Vec<Running>,
    signing_key: EncodingKey,
    random: Random,
    metrics: Metrics,
    /// Makes the services' spans; goes nowhere until the test says where to.
    pub tracer: Tracer,
    clients: Mutex<BTreeMap<ServiceName, reqwest::Client>>,
}

/// Who calls, in a test.
#[derive(Clone, Debug)]
pub struct Who {
    /// The user's id.
    pub user: String,
    /// What they are.
    pub roles: Vec<Role>,
    /// The patient they are.
    pub patient_id: Option<String>,
    /// The provider they are.
    pub provider_id: Option<String>,
}

impl From<Role> for Who {
    fn from(role: Role) -> Self {
        Self { user: format!("usr_{role}"), roles: vec![role], patient_id: None, provider_id: None }
    }
}

impl Who {
    /// The account of a provider who treats patients.
    pub fn clinician(provider: &str) -> Self {
        let (user, provider_id) = (format!("usr_{provider}"), Some(provider.to_owned()));
        Self { user, provider_id, ..Self::from(Role::Clinician) }
    }

    /// A patient's own account.
    pub fn patient(id: &str) -> Self {
        Self { patient_id: Some(id.to_owned()), ..Self::from(Role::Patient) }
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: reqwest::header::HeaderMap,
    /// The body's text.
    pub text: String,
}

impl Reply {
    /// The body as JSON; null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// A header's text; empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The paths of the fields at fault.
    pub fn faults(&self) -> Vec<String> {
        let faults = self.json()["errors"].as_array().cloned().unwrap_or_default();
        faults.iter().filter_map(|fault| fault["field"].as_str().map(str::to_owned)).collect()
    }

    /// The same answer, if its status is this one.
    ///
    /// # Panics
    /// With the body, if it is not.
    #[track_caller]
    #[must_use]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }
}

impl TestStack {
    /// Starts the services. Settings can be changed before each starts.
    ///
    /// # Panics
    /// If one does not start.
    pub async fn start(engine: Engine, services: &[Service], change: impl Fn(&mut ServiceSettings)) -> Self {
        let clock = Clock::set_to(DateTime::from_timestamp(EPOCH_SECONDS, 0).expect("a time"));
        let random = Random::seeded(7);
        let sockets = tempfile::tempdir().expect("a folder for sockets");
        let (user_key, user_jwk) = generate_key("test").expect("a key");
        let mut identities = JwkSet::default();
        let mut keys = Vec::new();
        for name in ServiceName::ALL {
            let (key, _) = generate_key(name.as_str()).expect("a key");
            identities.keys.push(public_jwk(name.as_str(), &key).expect("a key"));
            keys.push((name, key));
        }
        let ring = KeyRing::fixed(&JwkSet { keys: vec![user_jwk] }, &identities);
        let revoked = Arc::new(RevocationList::default());
        let verifier = Arc::new(Verifier::new(ISSUER, AUDIENCE, ring, revoked, clock.clone()));
        let mut stack = Self {
            clock,
            sockets,
            databases: Vec::new(),
            running: Vec::new(),
            signing_key: EncodingKey::from_ed_der(&user_key),
            random,
            metrics: Metrics::default(),
            tracer: Tracer::new("test", 7, None),
            clients: Mutex::default(),
        };
        for service in services {
            let database = TestDb::new(engine, service.name, &service.migrations).await;
            let secrets = database.dir().join("secrets");
            let jwks = serde_json::to_vec(&identities).expect("JSON");
            write(&secrets, "service-identities", "jwks.json", &jwks);
            for (name, key) in &keys {
                write(&secrets, &format!("{name}-identity"), "key.p8", key);
            }
            write(&secrets, "signing-keys", "test.p8", &user_key);
            let mut settings = stack.settings(service.name, database.settings().clone());
            change(&mut settings);
            let world = World {
                clock: stack.clock.clone(),
                random: stack.random.clone(),
                secrets: Secrets::new(secrets),
                verifier: Arc::clone(&verifier),
                metrics: stack.metrics.clone(),
                tracer: stack.tracer.clone(),
                credentials: None,
                admin_password: Some(Secret::new("correct horse battery staple")),
            };
            let running = serve::start(*service, settings, world).await.expect("the service starts");
            stack.databases.push(database);
            stack.running.push(running);
        }
        stack
    }

    fn settings(&self, service: ServiceName, database: settings::Database) -> ServiceSettings {
        let peer = |name: ServiceName| (name, Peer { address: self.address(name) });
        ServiceSettings {
            service,
            listen: self.address(service),
            admin_listen: None,
            tls: None,
            database,
            encryption: Encryption::default(),
            time_zone: "Europe/Berlin".to_owned(),
            currency: "EUR".to_owned(),
            peers: ServiceName::ALL.into_iter().map(peer).collect(),
            calls: settings::ServiceCalls::default(),
            auth: AuthSettings {
                issuer: ISSUER.to_owned(),
                audience: AUDIENCE.to_owned(),
                access_token_seconds: 600,
                refresh_token_seconds: 86_400,
                session_seconds: 7 * 86_400,
                log_off: BTreeMap::new(),
                second_factor: settings::SecondFactor::default(),
                identity_providers: Vec::new(),
                revocations_stale_seconds: settings::REVOCATIONS_STALE_SECONDS,
                password_policy: PasswordPolicy::default(),
            },
            access: settings::AccessSettings::default(),
            retention: settings::RetentionSettings::default(),
            appointments: settings::AppointmentSettings::default(),
            integrations: Integrations::default(),
            observability: Observability::default(),
        }
    }

    fn address(&self, service: ServiceName) -> Address {
        Address(format!("unix:{}/{}.sock", self.sockets.path().display(), service.short()))
    }

    /// The database of a service.
    ///
    /// # Panics
    /// If it was not started.
    pub fn database(&self, service: ServiceName) -> &TestDb {
        let short = service.short();
        let is_its = |database: &&TestDb| match database.settings() {
            settings::Database::Sqlite { path, .. } => path.file_stem().is_some_and(|stem| stem == short),
            settings::Database::Postgres { schema, .. } => schema == short,
        };
        self.databases.iter().find(is_its).expect("the service was started")
    }

    /// A secret's reference, written into the folder of a service's secrets.
    pub fn secret(&self, service: ServiceName, secret: &str, key: &str, value: &[u8]) -> SecretRef {
        write(&self.database(service).dir().join("secrets"), secret, key, value);
        SecretRef { secret: secret.to_owned(), key: key.to_owned() }
    }

    /// A token.
    pub fn token(&self, who: impl Into<Who>) -> String {
        let (who, now) = (who.into(), self.clock.now());
        let permissions = who.roles.iter().fold(Permissions::NONE, |all, role| all.and(role.permissions()));
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: who.user,
            sid: Some(self.random.id("ses")),
            jti: self.random.id("tok"),
            iat: now.timestamp(),
            iat_ms: Some(now.timestamp_millis()),
            exp: now.timestamp() + TOKEN_SECONDS,
            name: None,
            roles: who.roles.iter().map(ToString::to_string).collect(),
            scope: permissions.to_scope(),
            grants: Vec::new(),
            only_enrols: false,
            patient_id: who.patient_id,
            provider_id: who.provider_id,
        };
        claims.sign(&self.signing_key, "test")
    }

    /// The token of somebody who has stolen a service's key.
    ///
    /// # Panics
    /// If no service was started.
    pub fn stolen_token(&self, of: ServiceName) -> String {
        let secrets = self.databases.first().expect("a service was started").dir().join("secrets");
        let key = std::fs::read(secrets.join(format!("{of}-identity/key.p8"))).expect("the key's file");
        crate::thief::token(of, &key, AUDIENCE, self.clock.now())
    }

    /// A request to a service, to be built further.
    ///
    /// # Panics
    /// If no client can be made.
    pub fn request(&self, service: ServiceName, method: Method, path: &str) -> reqwest::RequestBuilder {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let client = clients.entry(service).or_insert_with(|| {
            let socket = self.address(service).unix_path().expect("a socket").to_path_buf();
            let led_nowhere = reqwest::redirect::Policy::none();
            reqwest::Client::builder().unix_socket(socket).redirect(led_nowhere).build().expect("a client")
        });
        client.request(method, format!("http://{service}{path}"))
    }

    /// Calls a service as somebody, with a JSON body if one is given.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn call(
        &self,
        service: ServiceName,
        who: impl Into<Who>,
        method: Method,
        path: &str,
        body: Option<&str>,
    ) -> Reply {
        let mut request = self.request(service, method, path).bearer_auth(self.token(who));
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_owned());
        }
        send(request).await
    }

    /// Stops the services, and drops what the test made on the database server.
    pub async fn teardown(self) {
        for running in self.running {
            running.stop().await;
        }
        for database in self.databases {
            database.teardown().await;
        }
    }
}

/// Sends a request and reads the whole answer.
///
/// # Panics
/// If there is none.
pub async fn send(request: reqwest::RequestBuilder) -> Reply {
    let response = request.send().await.expect("an answer");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Reply { status, headers, text: response.text().await.expect("a body") }
}

fn write(dir: &std::path::Path, secret: &str, key: &str, value: &[u8]) {
    std::fs::create_dir_all(dir.join(secret)).expect("a folder for the secret");
    std::fs::write(dir.join(secret).join(key), value).expect("the secret's file");
}

/// Runs one test on a started stack. For [`stack_tests!`](crate::stack_tests!).
///
/// # Panics
/// If the test does.
pub fn run<F, T>(engine: Engine, services: &'static [Service], test: F)
where
    F: FnOnce(Arc<TestStack>) -> T,
    T: Future<Output = ()> + Send + 'static,
{
    run_with(engine, services, |_| (), test);
}

/// The same, with settings changed before each service starts.
///
/// # Panics
/// If the test does.
pub fn run_with<F, T>(
    engine: Engine,
    services: &'static [Service],
    change: impl Fn(&mut ServiceSettings),
    test: F,
) where
    F: FnOnce(Arc<TestStack>) -> T,
    T: Future<Output = ()> + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let stack = Arc::new(TestStack::start(engine, services, change).await);
        let outcome = tokio::spawn(test(Arc::clone(&stack))).await;
        if let Some(stack) = Arc::into_inner(stack) {
            stack.teardown().await;
        }
        if let Err(panicked) = outcome {
            std::panic::resume_unwind(panicked.into_panic());
        }
    });
}

/// Settings that a test does not change. For [`stack_tests!`](crate::stack_tests!).
pub const fn as_they_are(_: &mut ServiceSettings) {}

/// Each test runs twice: on SQLite and on PostgreSQL, with the services started for it alone.
///
/// ```text
/// testkit::stack_tests! { services = [patient::SERVICE];
///     async fn a_registered_patient_can_be_read(stack: Arc<TestStack>) { … }
/// }
/// ```
///
/// With settings of its own: `services = [records::SERVICE], settings = ten_years;`, where that is a `fn(&mut ServiceSettings)`.
#[macro_export]
macro_rules! stack_tests {
    (services = $services:expr; $($tests:tt)*) => {
        $crate::stack_tests! { @each ($services) ($crate::stack::as_they_are) $($tests)* }
    };
    (services = $services:expr, settings = $settings:expr; $($tests:tt)*) => {
        $crate::stack_tests! { @each ($services) ($settings) $($tests)* }
    };
    (@each $services:tt $settings:tt) => {};
    (@each ($services:expr) ($settings:expr)
        $(#[$meta:meta])* async fn $name:ident($argument:ident: $kind:ty) $body:block $($tests:tt)*
    ) => {
        $(#[$meta])*
        mod $name {
            #[allow(unused_imports, reason = "what the other tests use is there for every one")]
            use super::*;

            async fn test($argument: $kind) $body

            #[test]
            fn sqlite() {
                const SERVICES: &[http_kit::Service] = &$services;
                $crate::stack::run_with(::db::Engine::Sqlite, SERVICES, $settings, test);
            }

            #[test]
            fn postgres() {
                const SERVICES: &[http_kit::Service] = &$services;
                $crate::stack::run_with(::db::Engine::Postgres, SERVICES, $settings, test);
            }
        }
        $crate::stack_tests! { @each ($services) ($settings) $($tests)* }
    };
}
