//! A service as a process of its own: `serve`, `migrate`, `rewrap`, `audit verify`, `audit rotate-key`, `healthcheck`.
//!
//! Settings are JSON in the file that `HEALTHCARE_SETTINGS` names; secrets are files under `HEALTHCARE_SECRETS_DIR`. Nothing secret
//! stands in the command line, and only the first administrator's password may stand in the environment.
//!
//! Whatever is missing or wrong ends the process at once, with one line that names it and an exit status other than 0: whoever started
//! it starts it again. A database that does not answer is waited for first, since machines that start together do not get ready together;
//! and so, for less long, is one that answers and does not know who is asking: what makes the roles may run at the same time.
//!
//! `rewrap` wraps all of the service's keys under the present key-encryption key, and ends well only when none is wrapped under another.
//! With `--under ID` the present one must be the one that is meant: a secret that has not reached this machine yet changes nothing.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use contracts::ambient::{Clock, Random};
use contracts::secret::Secret;
use settings::{Address, ServiceName, ServiceSettings};
use tls::Credentials;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use traces::Tracer;

use crate::healthcheck::healthcheck;
use crate::kit::{self, Service, World};
use crate::listen::listen;
use crate::ready::{self, Started};
use crate::serve::{self, StartError};
use crate::stop::Signals;
use crate::telemetry::{self, METRICS_MEDIA_TYPE, Metrics};
use crate::verification;

/// How long a database that does not answer is asked again. Whoever ends sooner is started again later than it would have got there: a
/// container that ends again and again is made to wait for up to five minutes.
const SILENCE_MAX: Duration = Duration::from_mins(10);
/// How long one is asked again that answers and does not know who is asking, from when it first did.
const REFUSAL_MAX: Duration = Duration::from_secs(20);
const DATABASE_ASK_EVERY: Duration = Duration::from_millis(300);

type Fault = Box<dyn std::error::Error + Send + Sync>;

/// Runs the command that the command line asks for. Errors are one line on standard error.
pub fn main(service: Service) -> ExitCode {
    let result = match std::env::args().nth(1).as_deref() {
        Some("serve") => on_runtime(serve(service)),
        Some("migrate") => on_runtime(migrate(service)),
        Some("rewrap") => under().and_then(|under| on_runtime(rewrap(service, under))),
        Some("healthcheck") => settings().and_then(|(settings, _)| {
            // Without TLS, which the settings may ask for at the other one.
            Ok(healthcheck(settings.admin_listen.as_ref().unwrap_or(&settings.listen))?)
        }),
        Some("audit") => audit_command().and_then(|command| on_runtime(audit(service, command))),
        _ => Err(format!(
            "usage: {} serve | migrate | rewrap [--under KEK] | audit verify|rotate-key | healthcheck",
            service.name
        )
        .into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("{}: {fault}", service.name);
            ExitCode::FAILURE
        }
    }
}

/// What stands behind `--under`, if that is there.
fn under() -> Result<Option<String>, Fault> {
    let mut args = std::env::args().skip(2);
    match (args.next().as_deref(), args.next(), args.next()) {
        (None, ..) => Ok(None),
        (Some("--under"), Some(under), None) => Ok(Some(under)),
        _ => Err("rewrap takes nothing but --under KEK".into()),
    }
}

#[derive(Clone, Copy)]
enum AuditCommand {
    Verify,
    RotateKey,
}

/// What stands behind `audit`.
fn audit_command() -> Result<AuditCommand, Fault> {
    let mut args = std::env::args().skip(2);
    match (args.next().as_deref(), args.next()) {
        (Some("verify"), None) => Ok(AuditCommand::Verify),
        (Some("rotate-key"), None) => Ok(AuditCommand::RotateKey),
        _ => Err("audit takes verify or rotate-key".into()),
    }
}

fn on_runtime(work: impl Future<Output = Result<(), Fault>>) -> Result<(), Fault> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}

#[expect(clippy::disallowed_methods, reason = "the process's own environment is read here and nowhere else")]
fn environment(name: &str) -> Result<String, Fault> {
    std::env::var(name).map_err(|_| format!("{name} is not set").into())
}

/// The settings, and what stands there that this version does not know.
fn settings() -> Result<(ServiceSettings, Vec<String>), Fault> {
    let path = environment("HEALTHCARE_SETTINGS")?;
    let text = std::fs::read(&path).map_err(|error| format!("{path}: {error}"))?;
    Ok(read_settings(&text).map_err(|error| format!("{path}: {error}"))?)
}

/// What an operator wrote, which may be newer: what is not known is passed over, so that a version can be rolled out and back.
fn read_settings(text: &[u8]) -> Result<(ServiceSettings, Vec<String>), serde_json::Error> {
    let mut unknown = Vec::new();
    let mut json = serde_json::Deserializer::from_slice(text);
    let settings = serde_ignored::deserialize(&mut json, |path| {
        // Each `Option` on the way is shown as a question mark.
        unknown.push(path.to_string().replace(".?", ""));
    })?;
    json.end()?;
    Ok((settings, unknown))
}

/// Starts the log, and tells in it what of the settings was passed over.
fn start_logging(settings: &ServiceSettings, unknown: &[String]) {
    telemetry::start_logging(&settings.observability);
    if !unknown.is_empty() {
        let unknown = unknown.join(", ");
        tracing::warn!(unknown, "the settings say what this version does not know; it is passed over");
    }
}

fn world(service: Service, settings: &ServiceSettings) -> Result<World, Fault> {
    let folder = environment("HEALTHCARE_SECRETS_DIR")?;
    let secrets = db::Secrets::new(&folder);
    let (clock, random) = (Clock::system(), Random::system());
    let identity = kit::identity(service.name, settings, &secrets, &clock, &random)?;
    let credentials = kit::credentials(settings, &secrets)?;
    let metrics = Metrics::default();
    let verifier =
        kit::verifier(settings, credentials.as_ref(), &identity, &secrets, &clock, &random, &metrics)?;
    let admin_password = environment("HEALTHCARE_ADMIN_PASSWORD").ok().map(Secret::new);
    let seed = u64::from_le_bytes(random.bytes());
    let tracer = Tracer::new(service.name.as_str(), seed, Some(folder.into()));
    metrics.register_tracer(service.name.as_str(), &tracer);
    Ok(World { clock, random, secrets, verifier, metrics, tracer, credentials, admin_password })
}

async fn migrate(service: Service) -> Result<(), Fault> {
    let (settings, unknown) = settings()?;
    start_logging(&settings, &unknown);
    let mut signals = Signals::listen()?;
    let world = world(service, &settings)?;
    tokio::select! {
        opened = patiently(async || serve::open(service, &settings, &world).await) => opened?.close().await,
        _ = signals.asked() => return Err("asked to end before the database was up to date".into()),
    }
    Ok(())
}

async fn rewrap(service: Service, under: Option<String>) -> Result<(), Fault> {
    let (settings, unknown) = settings()?;
    start_logging(&settings, &unknown);
    let mut signals = Signals::listen()?;
    let secrets = db::Secrets::new(environment("HEALTHCARE_SECRETS_DIR")?);
    let open = async || {
        let ambient = (Clock::system(), Random::system());
        let stored = (&settings.database, &settings.encryption);
        serve::open_as_it_is(service.name, stored, &secrets, ambient).await
    };
    let all = async {
        let db = patiently(open).await?;
        let done = rewrap_on(&db, service, under.as_deref()).await;
        db.close().await;
        done
    };
    tokio::select! {
        done = all => done,
        _ = signals.asked() => Err("asked to end before all keys were wrapped anew; the next run goes on".into()),
    }
}

async fn rewrap_on(db: &db::Db, service: Service, under: Option<&str>) -> Result<(), Fault> {
    if let Some(under) = under {
        let present = db.vault().kek_id().await?;
        if under != present {
            return Err(
                format!("whoever wraps keys has {present} as its current key here, not {under}").into()
            );
        }
    }
    let failed = |source| StartError::Rewrap { service: service.name, source };
    let db::Rewrapped { kek_id, anew, keys } = db.rewrap().await.map_err(failed)?;
    println!("{}: {anew} keys wrapped anew; all {keys} are under {kek_id}", service.name);
    Ok(())
}

async fn audit(service: Service, command: AuditCommand) -> Result<(), Fault> {
    let (settings, unknown) = settings()?;
    start_logging(&settings, &unknown);
    let secrets = db::Secrets::new(environment("HEALTHCARE_SECRETS_DIR")?);
    let open = async || {
        let ambient = (Clock::system(), Random::system());
        let purpose = match command {
            AuditCommand::Verify => db::OpenTo::Look,
            AuditCommand::RotateKey => db::OpenTo::Change,
        };
        let stored = (&settings.database, &settings.encryption);
        serve::open_to(purpose, service.name, stored, &secrets, ambient).await
    };
    let db = patiently(open).await?;
    let done = match command {
        AuditCommand::Verify => verification::verify(&db, &secrets).await.map(|sound| println!("{sound}")),
        AuditCommand::RotateKey => verification::rotate_key(&db).await.map(|done| println!("{done}")),
    };
    db.close().await;
    Ok(done?)
}

/// Opens the database; waits for one that is not there yet.
async fn patiently(open: impl AsyncFn() -> Result<db::Db, StartError>) -> Result<db::Db, StartError> {
    let begun = Instant::now();
    let mut refused_since = None;
    let mut is_told = false;
    loop {
        let error = match open().await {
            Ok(db) => return Ok(db),
            Err(error) => error,
        };
        let may_pass = if error.is_refused_login() {
            refused_since.get_or_insert_with(Instant::now).elapsed() < REFUSAL_MAX
        } else {
            error.is_passing() && begun.elapsed() < SILENCE_MAX
        };
        if !may_pass {
            return Err(error);
        }
        if !std::mem::replace(&mut is_told, true) {
            tracing::warn!(%error, "waiting for the database, {} s at most", SILENCE_MAX.as_secs());
        }
        tokio::time::sleep(DATABASE_ASK_EVERY).await;
    }
}

async fn serve(service: Service) -> Result<(), Fault> {
    let mut signals = Signals::listen()?;
    let (settings, unknown) = settings()?;
    start_logging(&settings, &unknown);
    let world = world(service, &settings)?;
    telemetry::count_panics(&world.metrics, service.name.as_str());
    if let Some(tracing) = &settings.observability.tracing {
        Tracer::check(tracing).map_err(|why| format!("observability.tracing.endpoint {why}"))?;
    }
    world.tracer.configure(settings.observability.tracing.as_ref());
    world.verifier.revocations().register(&world.metrics, service.name.as_str());
    // What it does beside answering, until it ends.
    let mut beside = JoinSet::new();
    let asks_auth = service.name != ServiceName::AuthService;
    if asks_auth {
        beside.spawn(follow_revocations(&settings, &world)?);
    }
    if let Some(credentials) = world.credentials.clone() {
        beside.spawn(follow(credentials));
    }
    let started = Started::default();
    if let Some(listener) = admin_listener(settings.admin_listen.as_ref())? {
        beside.spawn(serve_admin(listener, world.metrics.clone(), Arc::clone(&started)));
    }
    let start = async {
        let db = patiently(async || serve::open(service, &settings, &world).await).await?;
        if asks_auth {
            world.verifier.revocations().catch_up().await;
        }
        serve::start_on(db, service, settings.clone(), world.clone()).await
    };
    let mut running = tokio::select! {
        started = start => started?,
        _ = signals.asked() => return Ok(()),
    };
    let _ = started.set(vec![running.ready()]);
    tracing::info!(service = %service.name, "serving");
    let asked = tokio::select! {
        asked = signals.asked() => asked,
        () = running.ended() => return Err("it answers no more".into()),
    };
    tracing::info!(service = %service.name, "stopping");
    running.linger();
    signals.linger(asked).await;
    running.stop().await;
    world.tracer.flush().await;
    Ok(())
}

/// Hears from auth who was logged out.
fn follow_revocations(
    settings: &ServiceSettings,
    world: &World,
) -> Result<impl Future<Output = ()> + Send + use<>, Fault> {
    let World { clock, random, secrets, verifier, metrics, credentials, .. } = world;
    let identity = kit::identity(settings.service, settings, secrets, clock, random)?;
    let auth = ServiceName::AuthService;
    let auth = kit::transport(settings, auth, credentials.as_ref(), &identity, random, metrics)?;
    let (verifier, clock) = (Arc::clone(verifier), clock.clone());
    Ok(async move { verifier.revocations().follow(&auth, &clock).await })
}

/// Reads certificates again when they change.
async fn follow(credentials: Arc<Credentials>) {
    let told = |error: &str| tracing::warn!(error, "the certificate cannot be used; the one before stays");
    match tls::follow(|| credentials.reload(), told).await {}
}

/// Binds the admin address, where the settings name one.
fn admin_listener(address: Option<&Address>) -> Result<Option<TcpListener>, Fault> {
    let Some(address) = address else { return Ok(None) };
    let authority = address.authority().ok_or("the admin address must be host:port")?;
    let listener = listen(authority).and_then(TcpListener::from_std);
    Ok(Some(listener.map_err(|error| format!("cannot listen at {authority}: {error}"))?))
}

/// Serves what operators look at, apart from the public address and without TLS, for as long as the future lives: `/metrics` for Prometheus,
/// `/livez` and `/readyz` for whoever runs the process.
pub async fn serve_admin(listener: TcpListener, metrics: Metrics, services: Started) {
    let page = move || {
        let metrics = metrics.clone();
        async move { ([(http::header::CONTENT_TYPE, METRICS_MEDIA_TYPE)], metrics.page()) }
    };
    let router = axum::Router::new()
        .route("/metrics", axum::routing::get(page))
        .route("/livez", axum::routing::get(ready::live))
        .route("/readyz", axum::routing::get(async move || ready::started(&services).await));
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!(%error, "the admin listener ended");
    }
}

/// Returns when the process is asked to end: Ctrl-C, or SIGTERM as Kubernetes sends it.
pub async fn stop_signal() -> std::io::Result<()> {
    Signals::listen()?.asked().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: &str = r#"{
        "service": "patient-service", "listen": "unix:/run/p.sock",
        "database": {"sqlite": {"path": "/p", "keysPath": "/k"}},
        "timeZone": "Europe/Berlin", "currency": "EUR",
        "peers": {"auth-service": {"address": "unix:/run/a.sock"}},
        "auth": {
            "issuer": "i", "audience": "a", "accessTokenSeconds": 600, "refreshTokenSeconds": 601, "sessionSeconds": 602,
            "passwordPolicy": {}
        }
    }"#;

    #[test]
    fn settings_of_a_newer_operator_are_read_and_what_is_not_known_is_told() {
        let (known, unknown) = read_settings(SETTINGS.as_bytes()).unwrap();
        assert!(unknown.is_empty(), "{unknown:?}");
        let mut newer: serde_json::Value = serde_json::from_str(SETTINGS).unwrap();
        newer["audit"] = serde_json::json!({"retainDays": 30});
        newer["auth"]["passwordPolicy"]["maxAgeDays"] = 90.into();
        newer["calls"] = serde_json::json!({"circuitBreaker": {"window": "10s"}});
        let (read, mut unknown) = read_settings(newer.to_string().as_bytes()).unwrap();
        unknown.sort();
        assert_eq!(unknown, ["audit", "auth.passwordPolicy.maxAgeDays", "calls.circuitBreaker.window"]);
        let breaker = settings::Breaker::default();
        let calls = settings::ServiceCalls { circuit_breaker: breaker, ..known.calls };
        assert_eq!(read, ServiceSettings { calls, ..known });
        assert!(read_settings(format!("{newer} {{}}").as_bytes()).is_err(), "one document, not two");
    }
}
