//! The binary `gateway`: the data plane without the rest of a stack, from a file with a `GatewayConfig` and a key set.
//!
//! What it does not do: follow revocations, which takes a service's identity. A revoked token is good until it expires.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use contracts::ambient::{Clock, Random};
use contracts::auth::{AuthClient, JwkSet};
use contracts::client::Transport;
use http_kit::keys::KeyRing;
use http_kit::revocation::RevocationList;
use http_kit::telemetry::{Metrics, start_logging};
use http_kit::token::Verifier;
use settings::{Address, GatewayConfig, LogFormat, Observability};
use tokio::signal::unix::{SignalKind, signal};

use crate::tls::Certificate;
use crate::{Gateway, GatewayWorld, Listener, admin};

/// Changed files are noticed within this time.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The gateway by itself.
#[derive(Debug, clap::Parser)]
#[command(name = "gateway", version, about)]
pub struct Options {
    /// A `GatewayConfig` as YAML; a change of the file takes effect while it runs.
    #[arg(long)]
    config: PathBuf,
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where to show metrics and health; nowhere if not given.
    #[arg(long)]
    admin_listen: Option<SocketAddr>,
    /// The keys that tokens are signed with: a JWKS file, or the auth service's address (`http://…`, `unix:…`). If not given, the
    /// configuration's own auth service is asked.
    #[arg(long)]
    jwks: Option<String>,
    /// The certificate chain, PEM.
    #[arg(long, requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The certificate's private key, PEM.
    #[arg(long, requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// `json` or `text`.
    #[arg(long, default_value = "json")]
    log_format: String,
}

/// Why it does not run.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// Runs until SIGTERM or Ctrl-C.
pub fn run(options: Options) -> Result<(), Error> {
    let log_format = if options.log_format == "text" { LogFormat::Text } else { LogFormat::Json };
    start_logging(&Observability { log_level: "info".to_owned(), log_format });
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve(options))
}

async fn serve(options: Options) -> Result<(), Error> {
    let text = read(&options.config)?;
    let config = parse(&text)?;
    let (clock, random, metrics) = (Clock::system(), Random::system(), Metrics::default());
    let verifier = Verifier::new(
        &config.auth.issuer,
        &config.auth.audience,
        keys(&options, &config, &clock, &random)?,
        Arc::new(RevocationList::default()),
        clock.clone(),
    );
    let world = GatewayWorld { clock, random, verifier: Arc::new(verifier), metrics: metrics.clone() };

    let socket = TcpListener::bind(options.listen).map_err(|error| format!("{}: {error}", options.listen))?;
    let certificate = match (&options.tls_cert, &options.tls_key) {
        (Some(chain), Some(key)) => Some(Certificate::read(chain, key)?),
        _ => None,
    };
    let listener = match &certificate {
        Some(certificate) => Listener::tls(socket, certificate.server_config()?),
        None => socket.into(),
    };
    let gateway = Arc::new(Gateway::start(config, listener, world).await?);
    tracing::info!(address = %gateway.local_addr(), "the gateway answers");
    let admin = match options.admin_listen {
        Some(address) => {
            let socket = tokio::net::TcpListener::bind(address).await?;
            Some(tokio::spawn(admin::serve(socket, metrics, Arc::clone(&gateway))))
        }
        None => None,
    };

    let (mut end, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = end.recv() => {}
        _ = interrupt.recv() => {}
        () = follow(&options.config, text, &gateway, certificate.as_deref()) => {}
    }
    // The admin port answers to the end, so that one can watch the drain.
    gateway.drain().await;
    if let Some(admin) = admin {
        admin.abort();
    }
    Ok(())
}

/// Takes changes of the files into force for as long as the future lives.
async fn follow(path: &Path, mut last: String, gateway: &Gateway, certificate: Option<&Certificate>) {
    let mut look = tokio::time::interval(LOOK_EVERY);
    loop {
        look.tick().await;
        if let Some(Err(error)) = certificate.map(Certificate::reload) {
            tracing::debug!(%error, "the certificate cannot be read; the one in use stays");
        }
        let Ok(text) = read(path) else { continue };
        if text == last {
            continue;
        }
        last = text;
        match parse(&last).and_then(|config| Ok(gateway.apply(config)?)) {
            Ok(()) => tracing::info!("the changed configuration is in force"),
            Err(error) => {
                tracing::error!(%error, "the changed configuration is refused; nothing has changed");
            }
        }
    }
}

fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()).into())
}

fn parse(text: &str) -> Result<GatewayConfig, Error> {
    Ok(serde_saphyr::from_str(text)?)
}

fn keys(options: &Options, config: &GatewayConfig, clock: &Clock, random: &Random) -> Result<KeyRing, Error> {
    let address = match &options.jwks {
        Some(place) if place.starts_with("http://") || place.starts_with("unix:") => Address(place.clone()),
        Some(file) => {
            let keys: JwkSet = serde_json::from_str(&read(Path::new(file))?)?;
            return Ok(KeyRing::fixed(&keys, &JwkSet::default(), clock.clone()));
        }
        None => {
            let auth = config.upstreams.get(config.auth.service.as_str());
            let endpoint = auth.and_then(|upstream| upstream.endpoints.first());
            endpoint.cloned().ok_or("there is neither --jwks nor an upstream for the auth service")?
        }
    };
    // The key set is public: no token is needed to read it.
    let transport = Transport::new(&address, Arc::new(String::new), random.clone())?;
    Ok(KeyRing::new(&JwkSet::default(), AuthClient::new(transport), clock.clone()))
}
