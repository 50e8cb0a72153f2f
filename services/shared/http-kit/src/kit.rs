//! [`Kit`]: what a service is built from; [`Service`]: a service as something that can be started.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use contracts::ambient::{Clock, Random};
use contracts::auth::{AuthClient, JwkSet};
use contracts::client::{ClientError, Transport};
use contracts::secret::Secret;
use db::{Db, Migrations, Secrets};
pub use futures_util::future::BoxFuture;
use settings::{AuthSettings, InternalTls, SecretRef, ServiceName, ServiceSettings};
use tls::Credentials;
use tokio::sync::watch;
use traces::Tracer;

use crate::identity::{BadKey, ServiceIdentity};
use crate::keys::KeyRing;
use crate::revocation::RevocationList;
use crate::stop::Phase;
use crate::telemetry::Metrics;
use crate::token::Verifier;

/// What all services of one process share.
#[derive(Clone, Debug)]
pub struct World {
    /// The time.
    pub clock: Clock,
    /// Randomness.
    pub random: Random,
    /// The secrets' folder.
    pub secrets: Secrets,
    /// Who calls.
    pub verifier: Arc<Verifier>,
    /// The metrics.
    pub metrics: Metrics,
    /// Where traces go, if anywhere.
    pub tracer: Tracer,
    /// Who this process is to the others, and whom it believes, if they speak TLS.
    pub credentials: Option<Arc<Credentials>>,
    /// The first administrator's password, for an auth service that has no user yet.
    pub admin_password: Option<Secret>,
}

/// What one service is built from.
#[derive(Clone)]
pub struct Kit {
    /// What it was told.
    pub settings: Arc<ServiceSettings>,
    /// Its database.
    pub db: Db,
    /// What it shares.
    pub world: World,
    /// Who it is to the others.
    pub identity: ServiceIdentity,
    /// How far it is on its way out.
    pub phase: watch::Receiver<Phase>,
    /// Its ways to the others, one to each.
    pub ways: Ways,
}

/// A service's ways to the others, made when they are first asked for. Whatever in it calls a peer knows how that one is.
#[derive(Clone, Debug, Default)]
pub struct Ways(Arc<Mutex<BTreeMap<ServiceName, Arc<Transport>>>>);

/// A service that can be started.
#[derive(Clone, Copy)]
pub struct Service {
    /// Which.
    pub name: ServiceName,
    /// Its tables.
    pub migrations: Migrations,
    /// Puts it together.
    pub build: fn(Kit) -> BoxFuture<'static, Result<App, BuildError>>,
}

/// A service put together.
pub struct App {
    /// Its routes.
    pub router: axum::Router,
    /// Its background work, each for as long as the service runs.
    pub jobs: Vec<BoxFuture<'static, ()>>,
}

/// Why a service cannot be put together.
pub type BuildError = Box<dyn std::error::Error + Send + Sync>;

impl Kit {
    /// Makes this service's spans.
    pub fn tracer(&self) -> Tracer {
        self.world.tracer.of(self.settings.service.as_str())
    }

    /// A way to a peer.
    pub fn transport(&self, peer: ServiceName) -> Result<Arc<Transport>, ClientError> {
        let World { credentials, random, metrics, .. } = &self.world;
        let mut ways = self.ways.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(way) = ways.get(&peer) {
            return Ok(Arc::clone(way));
        }
        let way = transport(&self.settings, peer, credentials.as_ref(), &self.identity, random, metrics)?;
        ways.insert(peer, Arc::clone(&way));
        Ok(way)
    }

    /// A way to a peer that a stack may be without: `None` if it is switched off.
    pub fn optional_transport(&self, peer: ServiceName) -> Result<Option<Arc<Transport>>, ClientError> {
        self.settings.peers.contains_key(&peer).then(|| self.transport(peer)).transpose()
    }

    /// The ways to all other services that this stack has.
    pub fn transports(&self) -> Result<Vec<(ServiceName, Arc<Transport>)>, ClientError> {
        let others = ServiceName::ALL.into_iter().filter(|name| *name != self.settings.service);
        let ways = others.map(|name| Ok(self.optional_transport(name)?.map(|way| (name, way))));
        ways.filter_map(Result::transpose).collect()
    }
}

/// Why the shared parts cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// A secret is missing or unreadable.
    #[error(transparent)]
    Secret(#[from] db::SecretError),
    /// An identity key is not one.
    #[error(transparent)]
    Key(#[from] BadKey),
    /// The services' public keys cannot be read.
    #[error("the secret service-identities/jwks.json is not a key set: {0}")]
    Identities(serde_json::Error),
    /// No way to a peer.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The certificate that the others are to know this service by cannot be used.
    #[error("the secret {secret} cannot be used: {source}")]
    Credentials {
        /// The secret.
        secret: String,
        /// Why.
        source: std::io::Error,
    },
}

/// Who this service is to the others, and whom it believes, if its settings say that they speak TLS.
pub fn credentials(
    settings: &ServiceSettings,
    secrets: &Secrets,
) -> Result<Option<Arc<Credentials>>, WorldError> {
    let Some(InternalTls { secret }) = &settings.tls else { return Ok(None) };
    let unusable = |source| WorldError::Credentials { secret: secret.clone(), source };
    Credentials::read(&secrets.folder(secret)?).map(Some).map_err(unusable)
}

/// The public keys of all parts. Read once, when the process starts.
pub fn service_identities(secrets: &Secrets) -> Result<JwkSet, WorldError> {
    let secret = SecretRef { secret: "service-identities".to_owned(), key: "jwks.json".to_owned() };
    serde_json::from_slice(&secrets.read(&secret)?).map_err(WorldError::Identities)
}

/// A service's own identity. Read once, when the process starts.
pub fn identity(
    service: ServiceName,
    settings: &ServiceSettings,
    secrets: &Secrets,
    clock: &Clock,
    random: &Random,
) -> Result<ServiceIdentity, WorldError> {
    let secret = SecretRef { secret: format!("{service}-identity"), key: "key.p8".to_owned() };
    let key = secrets.read(&secret)?;
    Ok(ServiceIdentity::new(service, &settings.auth.audience, &key, clock.clone(), random.clone())?)
}

/// What checks tokens for one process: the keys are read from auth when the first token comes. Who was logged out has to be brought, by
/// [`RevocationList::follow`] or by an auth service in this process.
pub fn verifier(
    settings: &ServiceSettings,
    credentials: Option<&Arc<Credentials>>,
    identity: &ServiceIdentity,
    secrets: &Secrets,
    clock: &Clock,
    random: &Random,
    metrics: &Metrics,
) -> Result<Arc<Verifier>, WorldError> {
    let auth = transport(settings, ServiceName::AuthService, credentials, identity, random, metrics)?;
    let keys = KeyRing::new(&service_identities(secrets)?, AuthClient::new(auth));
    let AuthSettings { issuer, audience, .. } = &settings.auth;
    let revoked = Arc::new(RevocationList::followed(settings.auth.revocations_stale_after()));
    Ok(Arc::new(Verifier::new(issuer, audience, keys, revoked, clock.clone())))
}

/// A way from one service to another, of its own.
pub fn transport(
    settings: &ServiceSettings,
    peer: ServiceName,
    credentials: Option<&Arc<Credentials>>,
    identity: &ServiceIdentity,
    random: &Random,
    metrics: &Metrics,
) -> Result<Arc<Transport>, ClientError> {
    let address = settings
        .peers
        .get(&peer)
        .map(|peer| &peer.address)
        .ok_or_else(|| ClientError::Unavailable(format!("the settings name no {peer}")))?;
    let target = metrics.clients(settings.service.as_str()).target(peer.as_str());
    let (credentials, token) = (credentials.cloned(), identity.source());
    Transport::on(&settings.calls, target, address, credentials, token, random.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_world_that_is_shown_does_not_show_the_first_password() {
        let (clock, keys) = (Clock::system(), KeyRing::fixed(&JwkSet::default(), &JwkSet::default()));
        let verifier = Verifier::new("https://clinic.test", "test", keys, Arc::default(), clock.clone());
        let world = World {
            clock,
            random: Random::seeded(1),
            secrets: Secrets::new("/nowhere"),
            verifier: Arc::new(verifier),
            metrics: Metrics::default(),
            tracer: Tracer::off(),
            credentials: None,
            admin_password: Some(Secret::new("CANARY")),
        };
        let shown = format!("{world:?} {world:#?}");
        assert!(!shown.contains("CANARY") && shown.contains("admin_password"), "{shown}");
    }
}
