//! Starting a service, in a process of its own or beside others, and stopping it without dropping a request.
//!
//! Stopping has two steps ([`stop`](crate::stop)): one that lingers still serves, and one that drains does not.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::serve::ListenerExt;
use contracts::ambient::{Clock, Random};
use settings::{Address, ServiceSettings};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::audit;
use crate::converse::{drains, serve};
use crate::kit::{BuildError, Kit, Service, Ways, World, WorldError, identity};
use crate::listen::listen;
use crate::ready::Ready;
use crate::stop::{DRAIN, Phase};
use crate::tls_listener::TlsListener;

/// One attempt to open a database: a host that swallows what is sent to it would otherwise hold it for minutes.
const OPEN_MAX: Duration = Duration::from_secs(10);
const HOUSEKEEPING_EVERY: Duration = Duration::from_hours(1);
/// How often is looked whether the key-encryption key is another.
const KEKS_FOLLOWED_EVERY: Duration = Duration::from_secs(1);
/// Keys are looked at again after so long, if that could not be done.
const KEYS_KEPT_EVERY: Duration = Duration::from_secs(5);

/// Why a service did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its database cannot be opened.
    #[error("the database of {service} cannot be opened: {source}")]
    Open {
        /// Which service.
        service: settings::ServiceName,
        /// Why.
        source: db::OpenError,
    },
    /// Its tables cannot be brought up to date.
    #[error("the database of {service} cannot be migrated: {source}")]
    Migrate {
        /// Which service.
        service: settings::ServiceName,
        /// Why.
        source: db::MigrateError,
    },
    /// Its keys cannot all be wrapped anew.
    #[error("the keys of {service} are not all wrapped anew: {source}")]
    Rewrap {
        /// Which service.
        service: settings::ServiceName,
        /// Why.
        source: db::RewrapError,
    },
    /// Its identity is missing.
    #[error(transparent)]
    World(#[from] WorldError),
    /// It cannot listen.
    #[error("{service} cannot listen at {address}: {source}")]
    Listen {
        /// Which service.
        service: settings::ServiceName,
        /// Where.
        address: Address,
        /// Why.
        source: std::io::Error,
    },
    /// It cannot be put together.
    #[error("{service} cannot start: {source}")]
    Build {
        /// Which service.
        service: settings::ServiceName,
        /// Why.
        source: BuildError,
    },
}

/// A service that runs.
pub struct Running {
    phase: watch::Sender<Phase>,
    /// One task, until it ends.
    listener: JoinSet<()>,
    jobs: JoinSet<()>,
    db: db::Db,
    signer: Arc<audit::Signer>,
    socket: Option<PathBuf>,
}

/// Starts a service: when this returns, it listens.
pub async fn start(service: Service, settings: ServiceSettings, world: World) -> Result<Running, StartError> {
    let db = open(service, &settings, &world).await?;
    start_on(db, service, settings, world).await
}

/// [`start`] on a database that was opened before.
pub async fn start_on(
    db: db::Db,
    service: Service,
    settings: ServiceSettings,
    world: World,
) -> Result<Running, StartError> {
    let name = service.name;
    let identity = identity(name, &settings, &world.secrets, &world.clock, &world.random)?;
    let (phase, phase_seen) = watch::channel(Phase::Running);
    let (settings, ways) = (Arc::new(settings), Ways::default());
    let kit = Kit { settings, db: db.clone(), world, identity, phase: phase_seen, ways };
    let app =
        (service.build)(kit.clone()).await.map_err(|source| StartError::Build { service: name, source })?;
    let address = kit.settings.listen.clone();
    let listener = answer(&kit, app.router).map_err(|source| StartError::Listen {
        service: name,
        address: address.clone(),
        source,
    })?;
    let socket = address.unix_path().map(Path::to_path_buf);
    let mut jobs = JoinSet::new();
    let signer = audit::signer(name, &kit.world.secrets)?;
    let work = app.jobs.into_iter().chain([
        Box::pin(crate::relay::run(kit.clone())) as futures_util::future::BoxFuture<'static, ()>,
        Box::pin(crate::erasure::run(db.clone())),
        Box::pin(crate::configuration::run(kit.clone())),
        Box::pin(housekeeping(db.clone())),
        Box::pin(keep_keys(db.clone())),
        Box::pin(follow_keks(db.clone())),
        Box::pin(audit::run(db.clone(), Arc::clone(&signer))),
    ]);
    for job in work {
        let drains = drains(phase.subscribe());
        jobs.spawn(async move {
            tokio::select! { () = job => {}, () = drains => {} }
        });
    }
    Ok(Running { phase, listener, jobs, db, signer, socket })
}

/// Answers where the settings say: at a Unix socket, or a TCP port, there with TLS if the process has credentials.
fn answer(kit: &Kit, router: axum::Router) -> std::io::Result<JoinSet<()>> {
    let mut task = JoinSet::new();
    let (address, phase) = (&kit.settings.listen, kit.phase.clone());
    if let Some(path) = address.unix_path() {
        task.spawn(serve(unix_listener(path)?, router, phase));
        return Ok(task);
    }
    let socket = TcpListener::from_std(listen(address.authority().unwrap_or_default())?)?;
    if let Some(credentials) = &kit.world.credentials {
        let (metrics, part) = (&kit.world.metrics, kit.settings.service.as_str());
        let listener = TlsListener::new(socket, Arc::clone(credentials), metrics, part);
        task.spawn(serve(listener, router, phase));
    } else {
        // Answers are written whole; waiting for more to send only adds latency.
        let socket = socket.tap_io(|stream| drop(stream.set_nodelay(true)));
        task.spawn(serve(socket, router, phase));
    }
    Ok(task)
}

/// Opens a service's database and brings its tables up to date.
pub async fn open(service: Service, settings: &ServiceSettings, world: &World) -> Result<db::Db, StartError> {
    let name = service.name;
    let ambient = (world.clock.clone(), world.random.clone());
    let stored = (&settings.database, &settings.encryption);
    let db = open_as_it_is(name, stored, &world.secrets, ambient).await?;
    db.migrate(&service.migrations).await.map_err(|source| StartError::Migrate { service: name, source })?;
    Ok(db)
}

/// Opens a service's database, whose keys are wrapped as it says beside it, and changes nothing in it.
pub async fn open_as_it_is(
    service: settings::ServiceName,
    stored: (&settings::Database, &settings::Encryption),
    secrets: &db::Secrets,
    ambient: (Clock, Random),
) -> Result<db::Db, StartError> {
    open_to(db::OpenTo::Serve, service, stored, secrets, ambient).await
}

/// Opens a service's database for something else than to serve from it.
pub async fn open_to(
    purpose: db::OpenTo,
    service: settings::ServiceName,
    stored: (&settings::Database, &settings::Encryption),
    secrets: &db::Secrets,
    ambient: (Clock, Random),
) -> Result<db::Db, StartError> {
    let open = db::Db::open_to(purpose, service, stored, secrets, ambient);
    tokio::time::timeout(OPEN_MAX, open)
        .await
        .unwrap_or_else(|_| Err(db::OpenError::Db(db::Error::no_answer())))
        .map_err(|source| StartError::Open { service, source })
}

impl StartError {
    /// Whether it may be different in a moment: the database does not answer, or has no room just now.
    pub fn is_passing(&self) -> bool {
        self.database().is_some_and(db::Error::is_passing)
    }

    /// Whether the database answers and does not know who is asking.
    pub fn is_refused_login(&self) -> bool {
        self.database().is_some_and(db::Error::is_refused_login)
    }

    fn database(&self) -> Option<&db::Error> {
        match self {
            Self::Open { source: db::OpenError::Db(error), .. }
            | Self::Migrate { source: db::MigrateError::Db(error), .. }
            | Self::Rewrap { source: db::RewrapError::Db(error), .. } => Some(error),
            _ => None,
        }
    }
}

impl Running {
    /// Says that it is not ready, and asks whoever still comes not to come back.
    pub fn linger(&self) {
        self.phase.send_replace(Phase::Lingering);
    }

    /// To be asked whether it is ready.
    pub fn ready(&self) -> Ready {
        Ready { db: self.db.clone(), phase: self.phase.subscribe() }
    }

    /// Returns when it answers no more although nobody stopped it: a mistake in the program, which a start from the beginning may undo.
    pub async fn ended(&mut self) {
        let _ = self.listener.join_next().await;
    }

    /// Stops taking requests, lets those under way finish, and closes the database.
    pub async fn stop(mut self) {
        self.phase.send_replace(Phase::Draining);
        let all = async {
            while self.listener.join_next().await.is_some() {}
            while self.jobs.join_next().await.is_some() {}
        };
        if tokio::time::timeout(DRAIN, all).await.is_err() {
            tracing::warn!("some requests did not finish in time and were cut off");
            self.listener.abort_all();
            self.jobs.abort_all();
        }
        // Nothing is written any more: all of it is signed for.
        audit::checkpoint(&self.db, &self.signer).await;
        self.db.close().await;
        if let Some(socket) = self.socket {
            let _ = std::fs::remove_file(socket);
        }
    }
}

/// A socket that only this user can reach. One left behind by a process that died is replaced.
fn unix_listener(path: &Path) -> std::io::Result<UnixListener> {
    use std::os::unix::fs::PermissionsExt;
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// While one key-encryption key takes the place of another: how many keys wait for it.
async fn tell_of_other_keks(db: &db::Db) -> Result<(), db::Error> {
    let gathered = db.gather_keys().await?;
    if gathered > 0 {
        tracing::info!(keys = gathered, "keys were wrapped under the present key-encryption key");
    }
    let Some(present) = db.vault().kek_id_known() else { return Ok(()) };
    let counts = db.vault().keys_by_kek().await?;
    for (kek_id, keys) in counts.into_iter().filter(|(kek_id, _)| *kek_id != present) {
        tracing::info!(
            kek_id,
            keys,
            "keys are wrapped under another key-encryption key than the present one"
        );
    }
    Ok(())
}

async fn housekeeping(db: db::Db) {
    loop {
        if let Err(error) = db.purge().await {
            tracing::warn!(%error, "old rows could not be purged");
        }
        if let Err(error) = tell_of_other_keks(&db).await {
            tracing::warn!(%error, "keys could not be looked through");
        }
        tokio::time::sleep(HOUSEKEEPING_EVERY).await;
    }
}

/// What every call needs is at hand when the keeper of the key-encryption key goes away. That it is away it says itself.
async fn keep_keys(db: db::Db) {
    loop {
        let kept = db.keep_keys().await;
        tokio::time::sleep(kept.unwrap_or(KEYS_KEPT_EVERY)).await;
    }
}

/// Whoever exchanges the key-encryption key waits for no process: each takes it up by itself.
async fn follow_keks(db: db::Db) {
    loop {
        if let Err(error) = db.follow_keks().await {
            tracing::debug!(%error, "the key-encryption keys could not be looked at");
        }
        tokio::time::sleep(KEKS_FOLLOWED_EVERY).await;
    }
}
