//! [`Process`]: what surrounds a gateway that runs by itself, wherever its configuration comes from: addresses, certificate, identity,
//! the admin port, signals.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use contracts::ambient::{Clock, Random};
use contracts::auth::{AuthClient, JwkSet};
use contracts::client::{TokenSource, Transport};
use http_kit::identity::{Part, ServiceIdentity};
use http_kit::keys::KeyRing;
use http_kit::listen::{listen, listen_shared};
use http_kit::revocation::RevocationList;
use http_kit::stop::Signals;
use http_kit::telemetry::{Metrics, change_logging, count_panics, start_logging};
use http_kit::token::Verifier;
use settings::{Address, GATEWAY_NAME, GatewayConfig, LogFormat, Observability, ServiceCalls, ServiceName};
use tls::{Certificate, Credentials};
use traces::Tracer;

use crate::config::Changes;
use crate::{ConfigError, Error, Gateway, GatewayWorld, Listener, admin, worker};

/// Whether the gateway was started is looked at so often.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Where and as whom a gateway serves.
#[derive(Debug, clap::Args)]
pub(crate) struct Serving {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
    /// Where to show metrics and health; nowhere if not given.
    #[arg(long)]
    pub(crate) admin_listen: Option<SocketAddr>,
    /// Where secrets lie. With `api-gateway-identity/key.p8` in it the gateway follows who was logged out; without it a revoked token is
    /// good until it expires.
    #[arg(long, env = "HEALTHCARE_SECRETS_DIR")]
    pub(crate) secrets_dir: Option<PathBuf>,
    /// The certificate chain, PEM.
    #[arg(long, requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The certificate's private key, PEM.
    #[arg(long, requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// A folder with `tls.crt` and `tls.key`, which say who the gateway is to services at `https://` addresses, and `ca.crt`, whose
    /// certificates it believes.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) upstream_tls: Option<PathBuf>,
    /// The log's format, whatever the configuration says.
    #[arg(long)]
    pub(crate) log_format: Option<Format>,
}

/// The log's format.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Format {
    /// One JSON object a line.
    Json,
    /// For a person at a terminal.
    Text,
}

/// A process around one gateway.
pub(crate) struct Process {
    pub(crate) metrics: Metrics,
    pub(crate) changes: Changes,
    clock: Clock,
    random: Random,
    /// Where to listen, until the gateway has them.
    sockets: Mutex<Vec<TcpListener>>,
    certificate: Option<Arc<Certificate>>,
    credentials: Option<Arc<Credentials>>,
    secrets: Option<PathBuf>,
    identity: Option<Vec<u8>>,
    log_format: Option<Format>,
    tracer: Tracer,
    gateway: admin::Place,
}

impl Process {
    /// Takes addresses and secrets, so that what is wrong with them is told first of all, and answers on the admin port.
    pub(crate) fn begin(serving: &Serving) -> Result<Self, Error> {
        let metrics = Metrics::default();
        count_panics(&metrics, GATEWAY_NAME);
        let bind = |address| listen(address).map_err(|error| format!("{address}: {error}"));
        let sockets = listen_shared(serving.listen, worker::count())
            .map_err(|error| format!("{}: {error}", serving.listen))?;
        let certificate = match (&serving.tls_cert, &serving.tls_key) {
            (Some(chain), Some(key)) => Some(Certificate::read(chain, key)?),
            _ => None,
        };
        let random = Random::system();
        let seed = u64::from_le_bytes(random.bytes());
        let tracer = Tracer::new(GATEWAY_NAME, seed, serving.secrets_dir.clone());
        metrics.register_tracer(GATEWAY_NAME, &tracer);
        let process = Self {
            changes: Changes::register(&metrics),
            clock: Clock::system(),
            random,
            tracer,
            sockets: Mutex::new(sockets),
            certificate,
            credentials: serving.upstream_tls.as_deref().map(Credentials::read).transpose()?,
            secrets: serving.secrets_dir.clone(),
            identity: serving.secrets_dir.as_deref().map(identity_key).transpose()?,
            log_format: serving.log_format,
            gateway: Arc::new(OnceLock::new()),
            metrics,
        };
        process.log_as(&Observability::default(), start_logging);
        if let Some(address) = serving.admin_listen {
            let listener = tokio::net::TcpListener::from_std(bind(address)?)?;
            // It answers to the end, so that one can watch the drain.
            tokio::spawn(admin::serve(listener, process.metrics.clone(), Arc::clone(&process.gateway)));
        }
        Ok(process)
    }

    /// The gateway, once it was started.
    pub(crate) fn gateway(&self) -> Option<&Gateway> {
        self.gateway.get()
    }

    /// Starts the gateway. A configuration that is refused ([`ConfigError`]) has had no effect: another can be tried.
    pub(crate) async fn start(
        &self,
        config: &GatewayConfig,
        keys: Keys,
        auth: Option<&Address>,
    ) -> Result<&Gateway, Error> {
        Gateway::check(config, self.credentials.as_ref())?;
        let verifier = Arc::new(self.verifier(config, keys)?);
        self.follow_revocations(config, auth, &verifier).await?;
        let world = GatewayWorld {
            clock: self.clock.clone(),
            random: self.random.clone(),
            verifier,
            metrics: self.metrics.clone(),
            tracer: self.tracer.clone(),
            credentials: self.credentials.clone(),
            secrets: self.secrets.clone(),
        };
        let tls = self.certificate.as_ref().map(tls::Certificate::server_config).transpose()?;
        let sockets = std::mem::take(&mut *self.sockets.lock().unwrap_or_else(PoisonError::into_inner));
        let mut listener = Listener::on_threads(sockets);
        if let Some(tls) = tls {
            listener = listener.with_tls(tls);
        }
        let started = Gateway::start(config.clone(), listener, world).await?;
        let gateway = self.gateway.get_or_init(|| started);
        self.changes.applied();
        self.log_as(&config.observability, change_logging);
        tracing::info!(address = %gateway.local_addr(), "the gateway answers");
        Ok(gateway)
    }

    /// Takes a changed configuration into force, or tells why not.
    pub(crate) fn apply(&self, gateway: &Gateway, config: &GatewayConfig) -> bool {
        match gateway.apply(config.clone()) {
            Ok(()) => {
                self.changes.applied();
                self.log_as(&config.observability, change_logging);
                true
            }
            Err(error) => {
                self.changes.refused(&error);
                false
            }
        }
    }

    /// Works until the process is asked to end, lingers and drains. The work goes on meanwhile: endpoints come and go until the end.
    pub(crate) async fn run(
        &self,
        signals: &mut Signals,
        work: impl Future<Output = Result<Infallible, Error>>,
    ) -> Result<(), Error> {
        let mut work = pin!(async {
            tokio::select! {
                result = work => result,
                never = self.follow_certificates() => match never {},
            }
        });
        let asked = tokio::select! {
            result = work.as_mut() => match result? {},
            asked = signals.asked() => asked,
            () = self.ended() => return Err("the gateway accepts no more connections".into()),
        };
        let Some(gateway) = self.gateway() else { return Ok(()) };
        tracing::info!("the gateway stops");
        gateway.linger();
        let leave = async {
            signals.linger(asked).await;
            gateway.drain().await;
            self.tracer.flush().await;
        };
        tokio::select! {
            () = leave => Ok(()),
            result = work => match result? {},
        }
    }

    /// Returns when the gateway was started and accepts no more.
    async fn ended(&self) {
        loop {
            match self.gateway() {
                Some(gateway) => return gateway.ended().await,
                None => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    }

    /// One that cannot be used does not keep the other from being exchanged.
    async fn follow_certificates(&self) -> Infallible {
        let told = |error: &str| tracing::warn!(error, "a certificate cannot be used; the one before stays");
        let front = || self.certificate.as_ref().map_or(Ok(()), |front| front.reload());
        let upstream = || self.credentials.as_ref().map_or(Ok(()), |credentials| credentials.reload());
        tokio::select! {
            never = tls::follow(front, told) => never,
            never = tls::follow(upstream, told) => never,
        }
    }

    fn verifier(&self, config: &GatewayConfig, keys: Keys) -> Result<Verifier, Error> {
        let keys = match keys {
            Keys::Fixed(keys) => KeyRing::fixed(&keys, &JwkSet::default()),
            // The key set is public: no token is needed to read it.
            Keys::At(address) => {
                let transport = self.way(&address, Arc::new(String::new))?;
                KeyRing::new(&JwkSet::default(), AuthClient::new(transport))
            }
        };
        let GatewayConfig { auth, .. } = config;
        // Whoever has no identity asks nobody.
        let revoked = match &self.identity {
            Some(_) => RevocationList::followed(auth.revocations_stale_after()),
            None => RevocationList::default(),
        };
        Ok(Verifier::new(&auth.issuer, &auth.audience, keys, Arc::new(revoked), self.clock.clone()))
    }

    /// Follows who was logged out, if the gateway has an identity to ask with.
    async fn follow_revocations(
        &self,
        config: &GatewayConfig,
        auth: Option<&Address>,
        verifier: &Verifier,
    ) -> Result<(), Error> {
        let Some(token) = self.token_source(config)? else { return Ok(()) };
        let auth = auth.ok_or("there is an identity and no auth service to ask who was logged out")?;
        let auth = self.way(auth, token)?;
        let revocations: Arc<RevocationList> = Arc::clone(verifier.revocations());
        revocations.register(&self.metrics, GATEWAY_NAME);
        let (list, clock) = (Arc::clone(&revocations), self.clock.clone());
        tokio::spawn(async move { list.follow(&auth, &clock).await });
        revocations.catch_up().await;
        Ok(())
    }

    fn way(&self, address: &Address, token: TokenSource) -> Result<Arc<Transport>, Error> {
        let target = self.metrics.clients(GATEWAY_NAME).target(ServiceName::AuthService.as_str());
        let calls = ServiceCalls::default();
        Ok(Transport::on(&calls, target, address, self.credentials.clone(), token, self.random.clone())?)
    }

    fn token_source(&self, config: &GatewayConfig) -> Result<Option<TokenSource>, Error> {
        let Some(key) = &self.identity else { return Ok(None) };
        let (clock, random) = (self.clock.clone(), self.random.clone());
        let identity = ServiceIdentity::new(Part::Gateway, &config.auth.audience, key, clock, random)?;
        Ok(Some(identity.source()))
    }

    fn log_as(&self, settings: &Observability, how: fn(&Observability)) {
        let log_format = match self.log_format {
            Some(Format::Json) => LogFormat::Json,
            Some(Format::Text) => LogFormat::Text,
            None => settings.log_format,
        };
        how(&Observability { log_format, ..settings.clone() });
    }
}

/// Where the keys come from that tokens are signed with.
pub(crate) enum Keys {
    /// They are these.
    Fixed(JwkSet),
    /// From the auth service there.
    At(Address),
}

/// Where the configuration says that auth answers.
pub(crate) fn auth_address(config: &GatewayConfig) -> Result<Address, ConfigError> {
    let upstream = config.upstreams.get(config.auth.service.as_str());
    let endpoint = upstream.and_then(|upstream| upstream.endpoints.first());
    let fault = || format!("upstreams.{}: there is no address to ask for keys", config.auth.service);
    endpoint.cloned().ok_or_else(|| ConfigError { faults: vec![fault()] })
}

fn identity_key(secrets: &Path) -> Result<Vec<u8>, Error> {
    let path = secrets.join(format!("{GATEWAY_NAME}-identity")).join("key.p8");
    std::fs::read(&path).map_err(|error| {
        format!("secret {GATEWAY_NAME}-identity/key.p8 cannot be read: {}", error.kind()).into()
    })
}
