//! [`Gateway`]: started, told of changes, stopped.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use contracts::ambient::{Clock, Random};
use contracts::auth::JwkSet;
use contracts::gateway::GatewayDetails;
use data_encoding::HEXLOWER;
use http_kit::stop::{DRAIN, Phase};
use http_kit::telemetry::Metrics;
use http_kit::token::Verifier;
use settings::GatewayConfig;
use tls::{Credentials, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use traces::Tracer;

use crate::accept::{self, CONNECTIONS_MAX, Door, Origin};
use crate::crowd::Crowd;
use crate::kept::Kept;
use crate::metrics::Meters;
use crate::room::Room;
use crate::snapshot::{ConfigError, Snapshot};
use crate::status::Recent;
use crate::{checks, gather, limits, worker};

/// Unused connections to services are looked through so often: one that its service has closed is closed here no later.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// Too much to come from a page of the allocator's that is in use already.
const MUCH_BYTES: usize = 1024 * 1024;

/// What the gateway takes from its process.
#[derive(Clone, Debug)]
pub struct GatewayWorld {
    /// The time.
    pub clock: Clock,
    /// Randomness.
    pub random: Random,
    /// Who calls.
    pub verifier: Arc<Verifier>,
    /// The metrics.
    pub metrics: Metrics,
    /// Where traces go: the configuration says whether, and where to.
    pub tracer: Tracer,
    /// Who the gateway is to services at `https://` addresses, and whom it believes; without it there may be none.
    pub credentials: Option<Arc<Credentials>>,
    /// Where secrets lie, each in a folder of its name. Without it no secret can be named.
    pub secrets: Option<PathBuf>,
}

/// Where the gateway listens, and who answers there.
#[derive(Debug)]
pub struct Listener {
    sockets: Vec<TcpListener>,
    on_threads: bool,
    tls: Option<Arc<ServerConfig>>,
    connections_max: u32,
}

impl Listener {
    /// A thread for each of these sockets, which share an address ([`http_kit::listen::listen_shared`]). A connection stays on its thread,
    /// and has its own connections to services there: threads meet at counters alone.
    pub fn on_threads(sockets: Vec<TcpListener>) -> Self {
        Self { sockets, on_threads: true, tls: None, connections_max: CONNECTIONS_MAX }
    }

    /// With TLS. For certificates that change, give the configuration a resolver that looks.
    #[must_use]
    pub fn with_tls(self, config: Arc<ServerConfig>) -> Self {
        Self { tls: Some(config), ..self }
    }

    /// With room for so many connections at once, in place of 16,384. When it is full those who have rested longest give way, and nobody may take
    /// more than half of it.
    #[must_use]
    pub fn with_room_for(self, connections_max: u32) -> Self {
        Self { connections_max, ..self }
    }
}

/// Answers on the runtime that the gateway is started on.
impl From<TcpListener> for Listener {
    fn from(socket: TcpListener) -> Self {
        Self { sockets: vec![socket], on_threads: false, tls: None, connections_max: CONNECTIONS_MAX }
    }
}

/// Why the gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is not valid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The socket cannot be used.
    #[error("the gateway cannot listen: {0}")]
    Listen(#[from] std::io::Error),
}

/// A gateway that runs.
#[derive(Debug)]
pub struct Gateway {
    core: Arc<Core>,
    phase: watch::Sender<Phase>,
    local_addr: SocketAddr,
    /// Empty where threads accept.
    accepting: JoinSet<()>,
    /// Whether somebody accepts no more.
    is_over: watch::Receiver<bool>,
}

/// What all connections share.
pub(crate) struct Core {
    pub(crate) world: GatewayWorld,
    pub(crate) snapshot: ArcSwap<Snapshot>,
    pub(crate) kept: Kept,
    pub(crate) meters: Meters,
    pub(crate) phase: watch::Receiver<Phase>,
    pub(crate) crowd: Arc<Crowd>,
    /// For bodies that are read before they are sent on.
    pub(crate) bodies: Arc<Room>,
    /// Of this gateway alone.
    pub(crate) details: Recent<GatewayDetails>,
    /// Told when another configuration is in force.
    pub(crate) changed: Arc<Notify>,
    /// Whether the phase is past running: beside it, since every request looks, and must not meet others at a lock for it.
    is_leaving: AtomicBool,
    born: Instant,
    dice: AtomicU64,
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Core")
    }
}

impl Core {
    /// Nanoseconds since the start: the limiters' time.
    pub(crate) fn nanos(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.born).as_nanos()).unwrap_or(u64::MAX)
    }

    /// A number for balancing and jitter: well spread, not secret (`SplitMix64`), and without a system call.
    pub(crate) fn roll(&self) -> u64 {
        let mut z = self.dice.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Whether the gateway is on its way out.
    pub(crate) fn is_leaving(&self) -> bool {
        self.is_leaving.load(Ordering::Relaxed)
    }
}

impl Gateway {
    /// Starts to answer on `listener`, within the current tokio runtime.
    #[expect(clippy::unused_async, reason = "must be called inside a runtime, and may have to wait one day")]
    pub async fn start(
        config: GatewayConfig,
        listener: impl Into<Listener>,
        world: GatewayWorld,
    ) -> Result<Self, StartError> {
        let Listener { sockets, on_threads, tls, connections_max } = listener.into();
        for socket in &sockets {
            socket.set_nonblocking(true)?;
        }
        let local_addr = sockets
            .first()
            .ok_or_else(|| std::io::Error::from(std::io::ErrorKind::InvalidInput))?
            .local_addr()?;
        let (phase, phase_seen) = watch::channel(Phase::Running);
        let kept = Kept::new(world.credentials.clone(), world.secrets.clone());
        let tracing = config.observability.tracing.clone();
        let dice = AtomicU64::new(u64::from_le_bytes(world.random.bytes()));
        let process = HEXLOWER.encode(&world.random.bytes::<8>());
        let meters = Meters::register(&world.metrics, kept.shown(), tracing.is_some(), process);
        let stale_after = config.auth.revocations_stale_after();
        let snapshot = ArcSwap::from_pointee(Snapshot::build(config, &kept, &meters)?);
        world.verifier.revocations().set_stale_after(stale_after);
        world.tracer.configure(tracing.as_ref());
        let core = Arc::new(Core {
            world,
            snapshot,
            kept,
            meters,
            phase: phase_seen,
            crowd: Arc::new(Crowd::new(connections_max)),
            bodies: Room::new(gather::ROOM_BYTES),
            details: Recent::default(),
            changed: Arc::default(),
            is_leaving: AtomicBool::new(false),
            born: Instant::now(),
            dice,
        });
        let door = Door { tls, core: Arc::clone(&core) };
        tokio::spawn(sweep(Arc::downgrade(&core)));
        if !on_threads {
            tokio::spawn(limits::keep(core.kept.stores(), worker::place()));
        }
        tokio::spawn(checks::run(Arc::downgrade(&core)));
        let (over, is_over) = watch::channel(false);
        let mut accepting = JoinSet::new();
        for (index, socket) in sockets.into_iter().enumerate() {
            let (door, guard) = (door.clone(), Guard(over.clone()));
            if on_threads {
                worker::start(index, socket, door, guard)?;
            } else {
                let socket = tokio::net::TcpListener::from_std(socket)?;
                accepting.spawn(async move {
                    accept::run(socket, door).await;
                    drop(guard);
                });
            }
        }
        Ok(Self { core, phase, local_addr, accepting, is_over })
    }

    /// Whether a configuration would be taken.
    pub fn check(config: &GatewayConfig, credentials: Option<&Arc<Credentials>>) -> Result<(), ConfigError> {
        let kept = Kept::new(credentials.cloned(), None);
        let meters = Meters::register(&Metrics::default(), kept.shown(), false, String::new());
        Snapshot::build(config.clone(), &kept, &meters).map(drop)
    }

    /// Takes a changed configuration into force, or refuses it and changes nothing. Limiters, pools, breakers and counters live on;
    /// requests under way finish as they began. To be called inside the runtime that the gateway was started on.
    pub fn apply(&self, config: GatewayConfig) -> Result<(), ConfigError> {
        let tracing = config.observability.tracing.clone();
        let stale_after = config.auth.revocations_stale_after();
        let snapshot = Snapshot::build(config, &self.core.kept, &self.core.meters)?;
        self.core.world.verifier.revocations().set_stale_after(stale_after);
        self.core.world.tracer.configure(tracing.as_ref());
        self.core.snapshot.store(Arc::new(snapshot));
        self.core.changed.notify_one();
        Ok(())
    }

    /// Puts other keys in the place of those that tokens are signed with; none that is missing from them lets anybody in any more.
    pub fn replace_keys(&self, keys: &JwkSet) {
        self.core.world.verifier.replace_keys(keys);
    }

    /// Serves one connection that came another way than through its listener, to its end: HTTP/1.1, as if from this address.
    pub async fn converse<S>(&self, stream: S, address: IpAddr)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        accept::converse(stream, Origin { address, is_tls: false }, Arc::clone(&self.core)).await;
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// What this gateway has answered, as `GET /api/gateway` tells it where nobody counts for all gateways.
    pub fn report(&self) -> contracts::gateway::GatewayReport {
        crate::status::of_this_one(&self.core)
    }

    /// Whether every upstream that has endpoints was reached once, or can be now.
    pub async fn is_ready(&self) -> bool {
        crate::own::is_ready(&self.core).await
    }

    /// Returns when it accepts no more although nobody stopped it: a mistake in the program, which a start from the beginning may undo.
    pub async fn ended(&self) {
        let _ = self.is_over.clone().wait_for(|is_over| *is_over).await;
    }

    /// Stops: accepts no more, finishes what is under way (20 seconds at most), closes idle connections at once.
    pub async fn stop(self) {
        self.drain().await;
    }

    /// Says that it is not ready, and asks whoever still comes not to come back: the step before [`Gateway::drain`].
    pub fn linger(&self) {
        self.core.is_leaving.store(true, Ordering::Relaxed);
        self.phase.send_replace(Phase::Lingering);
    }

    /// [`Gateway::stop`] for a gateway that others hold too.
    pub async fn drain(&self) {
        self.core.is_leaving.store(true, Ordering::Relaxed);
        self.phase.send_replace(Phase::Draining);
        if tokio::time::timeout(DRAIN, self.core.crowd.gone()).await.is_err() {
            tracing::warn!("the drain took longer than {DRAIN:?}; what is left is cut off");
        }
        self.phase.send_replace(Phase::Ended);
    }
}

/// Held by whoever accepts, and dropped at the end of that, whichever way it ends.
pub(crate) struct Guard(watch::Sender<bool>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}

/// Closes connections to services that nobody has used for long, for as long as there is a gateway.
async fn sweep(core: Weak<Core>) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        let Some(core) = core.upgrade() else { return };
        core.kept.sweep_connections();
        core.kept.sweep_answers();
        have_memory_returned();
    }
}

/// The allocator gives back what was freed a while ago when it is next asked for much, which at rest nobody does. Nobody writes to this block, so
/// it costs no memory.
fn have_memory_returned() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(MUCH_BYTES)));
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.accepting.abort_all();
        self.phase.send_replace(Phase::Ended);
    }
}
