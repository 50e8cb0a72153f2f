//! `healthcare up`: everything started in order, and stopped in the other.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use contracts::ambient::{Clock, Random};
use contracts::secret::Secret;
use futures_util::future::try_join_all;
use gateway::{Gateway, GatewayWorld, Listener};
use http_kit::kit::{self, Service, World};
use http_kit::process::serve_admin;
use http_kit::ready::Started;
use http_kit::serve::{self, Running};
use http_kit::telemetry::{self, Metrics};
use settings::{LogFormat, Observability, ServiceName};
use stack::{LocalDatabase, Placement, Stack, plan_gateway, plan_service};
use tls::Certificate;
use traces::Tracer;

use crate::args::Up;
use crate::data::DataDir;
use crate::fault::Fault;
use crate::{demo, reload};

/// All seven. They start together: the order says nothing.
pub const SERVICES: [Service; 7] = [
    auth::SERVICE,
    patient::SERVICE,
    provider::SERVICE,
    appointment::SERVICE,
    billing::SERVICE,
    records::SERVICE,
    notification::SERVICE,
];

/// Runs a stack until it is asked to end.
pub async fn up(args: Box<Up>) -> Result<(), Fault> {
    let started = Instant::now();
    let (clock, random) = (Clock::system(), Random::system());
    let written = reload::read(&args.stack)?;
    let stack = written.stack.clone();
    refuse_open_address(&args)?;
    let database_url = args.database.read()?;
    if args.demo {
        demo::refuse_real_mail(&stack)?;
    }
    start_logging(&stack);
    // Addresses first: a taken port must not leave a data folder behind.
    let listener = bind(args.listen)?;
    let admin_listener = tokio::net::TcpListener::from_std(bind(args.admin_listen)?)
        .map_err(|error| Fault::failed(format!("cannot listen at {}: {error}", args.admin_listen)))?;
    let admin_address = admin_listener.local_addr().unwrap_or(args.admin_listen);
    let data = DataDir::open(&args.data_dir, &random)?;
    let password = first_password(&args, &data, &random)?;

    let database = match database_url {
        None => LocalDatabase::Sqlite,
        Some(url) => LocalDatabase::Postgres { url: data.keep_database_url(url.reveal())? },
    };
    let placement = Placement::Local {
        data_dir: data.path().to_path_buf(),
        socket_dir: data.socket_dir().to_path_buf(),
        database,
    };
    // The process has one verifier, in auth's name: auth cannot be switched off.
    let auth = plan_service(&stack, ServiceName::AuthService, &placement);
    let identity = kit::identity(auth.service, &auth, &data.secrets(), &clock, &random).map_err(failed)?;
    let metrics = Metrics::default();
    let verifier = kit::verifier(&auth, None, &identity, &data.secrets(), &clock, &random, &metrics);
    let verifier = verifier.map_err(failed)?;
    let seed = u64::from_le_bytes(random.bytes());
    let tracer = Tracer::new(settings::GATEWAY_NAME, seed, Some(data.path().join("secrets")));
    metrics.register_tracer(settings::GATEWAY_NAME, &tracer);
    let world = World {
        clock,
        random,
        secrets: data.secrets(),
        verifier,
        metrics,
        tracer,
        // Its parts speak over sockets of its own.
        credentials: None,
        admin_password: Some(Secret::new(password.text.as_str())),
    };
    // The auth service among them tells the one verifier who was logged out, from before it answers on.
    world.verifier.revocations().register(&world.metrics, settings::GATEWAY_NAME);
    let services = start_services(&stack, &placement, &world).await?;
    let ready = Started::new(OnceLock::from(services.iter().map(Running::ready).collect::<Vec<_>>()));
    let admin = tokio::spawn(serve_admin(admin_listener, world.metrics.clone(), ready));
    let gateway = start_gateway(&args, &stack, &placement, &world, (listener, &data)).await?;

    if args.demo {
        demo::load(&stack, &placement, &world, &data).await?;
    }
    tell_what_waits_for_a_cluster(&stack);
    announce(&args, &gateway, admin_address, &data, &password, started);

    let watcher = reload::follow(args.stack.clone(), written, &placement, &gateway);
    let stop = http_kit::process::stop_signal();
    tokio::select! {
        () = watcher => {}
        stopped = stop => stopped.map_err(|error| Fault::failed(format!("signals cannot be heard: {error}")))?,
    }
    println!("\nStopping: requests under way may finish.");
    gateway.stop().await;
    futures_util::future::join_all(services.into_iter().map(Running::stop)).await;
    world.tracer.flush().await;
    admin.abort();
    Ok(())
}

fn failed(error: impl std::error::Error) -> Fault {
    Fault::failed(error.to_string())
}

/// Health data does not cross a network in the clear.
fn refuse_open_address(args: &Up) -> Result<(), Fault> {
    if args.listen.ip().is_loopback() || args.tls_cert.is_some() {
        return Ok(());
    }
    Err(Fault::asked(format!(
        "{} can be reached by others, so it needs TLS: give --tls-cert and --tls-key, or listen on 127.0.0.1",
        args.listen
    )))
}

/// At a terminal, lines for people, whatever the resource says for a cluster.
fn start_logging(stack: &Stack) {
    let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let log_format = if terminal { LogFormat::Text } else { stack.observability.log_format };
    let log_level = stack.observability.log_level.clone();
    telemetry::start_logging(&Observability { log_format, log_level, tracing: None });
}

fn bind(address: SocketAddr) -> Result<TcpListener, Fault> {
    let listener =
        TcpListener::bind(address).and_then(|listener| listener.set_nonblocking(true).map(|()| listener));
    listener.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => Fault::failed(format!("{address} is taken by another program")),
        _ => Fault::failed(format!("cannot listen at {address}: {error}")),
    })
}

/// The first administrator's password, and how to tell of it.
struct FirstPassword {
    text: String,
    told: Told,
}

enum Told {
    /// It was given: whoever gave it knows it.
    Given,
    /// It was made just now.
    New,
    /// It was made at an earlier start.
    Earlier,
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one secret that may come by the environment, and only here"
)]
fn first_password(args: &Up, data: &DataDir, random: &Random) -> Result<FirstPassword, Fault> {
    if let Some(path) = &args.admin_password_file {
        let text = read_password(path)?;
        return Ok(FirstPassword { text, told: Told::Given });
    }
    match std::env::var("HEALTHCARE_ADMIN_PASSWORD") {
        Ok(text) => return Ok(FirstPassword { text, told: Told::Given }),
        Err(std::env::VarError::NotUnicode(_)) => {
            return Err(Fault::asked("HEALTHCARE_ADMIN_PASSWORD is not UTF-8"));
        }
        Err(std::env::VarError::NotPresent) => {}
    }
    let (text, new) = data.admin_password(random)?;
    Ok(FirstPassword { text, told: if new { Told::New } else { Told::Earlier } })
}

fn read_password(path: &Path) -> Result<String, Fault> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Fault::asked(format!("the password cannot be read: {}: {error}", path.display())))?;
    match text.trim() {
        "" => Err(Fault::asked(format!("the password file {} is empty", path.display()))),
        password => Ok(password.to_owned()),
    }
}

/// All at once: they find each other when they need each other.
async fn start_services(stack: &Stack, placement: &Placement, world: &World) -> Result<Vec<Running>, Fault> {
    let enabled = SERVICES.into_iter().filter(|service| stack.is_enabled(service.name));
    let starting = enabled
        .map(|service| serve::start(service, plan_service(stack, service.name, placement), world.clone()));
    try_join_all(starting).await.map_err(failed)
}

async fn start_gateway(
    args: &Up,
    stack: &Stack,
    placement: &Placement,
    world: &World,
    (listener, data): (TcpListener, &DataDir),
) -> Result<Gateway, Fault> {
    let listener = match (&args.tls_cert, &args.tls_key) {
        (Some(cert), Some(key)) => {
            let config = Certificate::read(cert, key).and_then(|certificate| certificate.server_config());
            let config =
                config.map_err(|error| Fault::asked(format!("the certificate cannot be used: {error}")))?;
            Listener::from(listener).with_tls(config)
        }
        _ => Listener::from(listener),
    };
    let gateway_world = GatewayWorld {
        clock: world.clock.clone(),
        random: world.random.clone(),
        verifier: Arc::clone(&world.verifier),
        metrics: world.metrics.clone(),
        // The gateway says where traces go, for all parts of the process.
        tracer: world.tracer.clone(),
        credentials: None,
        secrets: Some(data.path().join("secrets")),
    };
    Gateway::start(plan_gateway(stack, placement), listener, gateway_world).await.map_err(failed)
}

/// Names what the resource asks for and one process has no use for, or no adapter yet.
fn tell_what_waits_for_a_cluster(stack: &Stack) {
    let outside = &stack.integrations;
    let settings = [
        ("spec.gateway.tls (give --tls-cert and --tls-key)", stack.gateway.tls.is_some()),
        ("spec.gateway.ingress", stack.gateway.ingress.is_some()),
        ("spec.database.backup", stack.backup.is_some()),
        ("spec.database.restoreFrom", stack.restore_from.is_some()),
        ("spec.integrations.payments", outside.payments.is_some()),
        ("spec.integrations.payers", !outside.payers.is_empty()),
        ("spec.integrations.ehr", outside.ehr.is_some()),
    ];
    let without: Vec<_> = settings.iter().filter(|(_, given)| *given).map(|(name, _)| *name).collect();
    if !without.is_empty() {
        println!("Without effect in one process: {}.", without.join(", "));
    }
}

/// What a person needs to begin.
fn announce(
    args: &Up,
    gateway: &Gateway,
    admin: SocketAddr,
    data: &DataDir,
    password: &FirstPassword,
    started: Instant,
) {
    let scheme = if args.tls_cert.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://{}", gateway.local_addr());
    let file = data.admin_password_path();
    let password = match password.told {
        Told::Given => "as given; only the first start takes it".to_owned(),
        Told::New => format!("{}   (kept in {})", password.text, file.display()),
        Told::Earlier => format!("in {}, unless changed since", file.display()),
    };
    let database = if args.database.is_given() { "in PostgreSQL; keys and secrets in " } else { "" };
    println!("The stack is up, after {} ms.\n", started.elapsed().as_millis());
    println!("  API        {url}/api");
    println!("  Explorer   {url}/api/docs");
    println!("  Metrics    http://{admin}/metrics");
    println!("  User       admin");
    println!("  Password   {password}");
    if args.demo {
        println!("  Demo user  johndoe / password123   (everything here is invented)");
    }
    println!("  Data       {database}{}", data.path().display());
    println!("\nRoutes, limits and timeouts follow {}. Ctrl-C stops.", args.stack.display());
}
