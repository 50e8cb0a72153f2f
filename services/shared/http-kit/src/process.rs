//! A service as a process of its own: `serve`, `migrate`, `healthcheck`.
//!
//! Settings are JSON in the file that `HEALTHCARE_SETTINGS` names; secrets are files under `HEALTHCARE_SECRETS_DIR`. Nothing secret
//! stands in the command line, and only the first administrator's password may stand in the environment.

use std::io::{Read, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use contracts::ambient::{Clock, Random};
use settings::{Address, ServiceSettings};

use crate::kit::{self, Service, World};
use crate::serve::{self, Running};
use crate::telemetry::{self, METRICS_MEDIA_TYPE, Metrics};

type Fault = Box<dyn std::error::Error + Send + Sync>;

/// Runs the command that the command line asks for. Errors are one line on standard error.
pub fn main(service: Service) -> ExitCode {
    let result = match std::env::args().nth(1).as_deref() {
        Some("serve") => on_runtime(serve(service)),
        Some("migrate") => on_runtime(migrate(service)),
        Some("healthcheck") => settings().and_then(|settings| healthcheck(&settings.listen)),
        _ => Err(format!("usage: {} serve | migrate | healthcheck", service.name).into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("{}: {fault}", service.name);
            ExitCode::FAILURE
        }
    }
}

fn on_runtime(work: impl Future<Output = Result<(), Fault>>) -> Result<(), Fault> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}

#[expect(clippy::disallowed_methods, reason = "the process's own environment is read here and nowhere else")]
fn environment(name: &str) -> Result<String, Fault> {
    std::env::var(name).map_err(|_| format!("{name} is not set").into())
}

fn settings() -> Result<ServiceSettings, Fault> {
    let path = environment("HEALTHCARE_SETTINGS")?;
    let text = std::fs::read(&path).map_err(|error| format!("{path}: {error}"))?;
    Ok(serde_json::from_slice(&text).map_err(|error| format!("{path}: {error}"))?)
}

fn world(service: Service, settings: &ServiceSettings) -> Result<World, Fault> {
    let secrets = db::Secrets::new(environment("HEALTHCARE_SECRETS_DIR")?);
    let (clock, random) = (Clock::system(), Random::system());
    let identity = kit::identity(service.name, settings, &secrets, &clock, &random)?;
    let verifier = kit::verifier(settings, &identity, &secrets, &clock, &random)?;
    let admin_password = environment("HEALTHCARE_ADMIN_PASSWORD").ok().map(Arc::from);
    Ok(World { clock, random, secrets, verifier, metrics: Metrics::default(), admin_password })
}

async fn migrate(service: Service) -> Result<(), Fault> {
    let settings = settings()?;
    telemetry::start_logging(&settings.observability);
    let db = serve::open(service, &settings, &world(service, &settings)?).await?;
    db.close().await;
    Ok(())
}

async fn serve(service: Service) -> Result<(), Fault> {
    let settings = settings()?;
    telemetry::start_logging(&settings.observability);
    let world = world(service, &settings)?;
    let identity = kit::identity(service.name, &settings, &world.secrets, &world.clock, &world.random)?;
    let auth = kit::transport(&settings, settings::ServiceName::AuthService, &identity, &world.random)?;
    let (verifier, clock) = (Arc::clone(&world.verifier), world.clock.clone());
    let revocations = tokio::spawn(async move { verifier.revocations().follow(&auth, &clock).await });
    let admin = admin(settings.admin_listen.clone(), world.metrics.clone()).await?;
    let running = serve::start(service, settings, world).await?;
    tracing::info!(service = %service.name, "serving");
    stop_signal().await?;
    tracing::info!(service = %service.name, "stopping");
    Running::stop(running).await;
    revocations.abort();
    if let Some(admin) = admin {
        admin.abort();
    }
    Ok(())
}

/// Binds the admin address, where the settings name one.
async fn admin(
    address: Option<Address>,
    metrics: Metrics,
) -> Result<Option<tokio::task::JoinHandle<()>>, Fault> {
    let Some(address) = address else { return Ok(None) };
    let authority = address.authority().ok_or("the admin address must be host:port")?.to_owned();
    let listener = tokio::net::TcpListener::bind(&authority)
        .await
        .map_err(|error| format!("cannot listen at {authority}: {error}"))?;
    Ok(Some(serve_admin(listener, metrics)))
}

/// Serves what operators look at, apart from the public address: `/metrics` for Prometheus, and `/livez`.
pub fn serve_admin(listener: tokio::net::TcpListener, metrics: Metrics) -> tokio::task::JoinHandle<()> {
    let page = move || {
        let metrics = metrics.clone();
        async move { ([(http::header::CONTENT_TYPE, METRICS_MEDIA_TYPE)], metrics.page()) }
    };
    let router = axum::Router::new()
        .route("/metrics", axum::routing::get(page))
        .route("/livez", axum::routing::get(async || "alive\n"));
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "the admin listener ended");
        }
    })
}

/// Returns when the process is asked to end: Ctrl-C, or SIGTERM as Kubernetes sends it.
pub async fn stop_signal() -> std::io::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}

/// Asks the running service's `/readyz`, for container engines without HTTP probes.
fn healthcheck(listen: &Address) -> Result<(), Fault> {
    let request = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let mut answer = [0; 12];
    let timeout = Some(Duration::from_secs(5));
    if let Some(path) = listen.unix_path() {
        let mut stream = std::os::unix::net::UnixStream::connect(path)?;
        stream.set_read_timeout(timeout)?;
        stream.write_all(request)?;
        stream.read_exact(&mut answer)?;
    } else {
        let authority = listen.authority().unwrap_or_default().replace("0.0.0.0", "127.0.0.1");
        let mut stream = std::net::TcpStream::connect(authority)?;
        stream.set_read_timeout(timeout)?;
        stream.write_all(request)?;
        stream.read_exact(&mut answer)?;
    }
    if answer.ends_with(b"200") { Ok(()) } else { Err("not ready".into()) }
}
