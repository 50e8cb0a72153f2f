//! [`Endpoint`]: one address of a service, how it is, and the connections kept open to it.
//!
//! Connections are taken last in, first out, so that a quiet hour lets the surplus grow old and be dropped.

mod answer;
mod ask;
mod connection;
mod http2;
mod reading;
mod sending;
mod stream;

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::uri::Authority;
use http::{HeaderValue, Response};
use resilience::balance::Load;
use resilience::health::Health;
use settings::{Address, Protocol};
use tls::{Credentials, ServerName};
use tokio::net::UnixStream;
use tokio::time::timeout;

pub(crate) use self::ask::{Ask, ConnectionOption, OwnLines};
pub(crate) use self::connection::{Connection, NoAnswer};
use self::http2::{Call, Lines};
pub(crate) use self::stream::Stream;
use crate::body::Outgoing;
use crate::invitation::Invitation;
use crate::patience::Patient;
use crate::place::Place;
use crate::worker;

/// Beyond so many unused ones on a thread, further connections are closed.
const IDLE_CONNECTIONS_MAX: usize = 512;
/// An unused connection is given up after this long; services keep theirs longer.
const IDLE_MAX: Duration = Duration::from_secs(30);
const CONNECT_MAX: Duration = Duration::from_secs(1);
const TELL_EVERY: Duration = Duration::from_secs(10);
/// A Unix socket whose queue is full refuses at once instead of letting wait, as TCP would.
const QUEUE_FULL_PAUSE: Duration = Duration::from_millis(2);

/// An address and its pool.
#[derive(Debug)]
pub(crate) struct Endpoint {
    target: Target,
    /// What to put in `Host`.
    pub(crate) host: HeaderValue,
    pub(crate) health: Health,
    pub(crate) load: Arc<Load>,
    /// A pool for each thread: a connection is woken where it was made.
    pools: Box<[Mutex<Vec<Idle>>]>,
    /// Connections that speak HTTP/2, where its upstream says so.
    lines: Option<Box<Lines>>,
    reached: AtomicBool,
    /// When somebody was last told that it makes no sense.
    told: Mutex<Option<Instant>>,
}

#[derive(Debug)]
enum Target {
    Tcp(Place),
    /// The name is its certificate's, whatever the address: pods are reached at addresses that no certificate has.
    Tls {
        place: Place,
        name: ServerName<'static>,
        credentials: Arc<Credentials>,
    },
    Unix(PathBuf),
}

/// An address that cannot be sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadAddress {
    #[error("is no address")]
    Form,
    #[error("can have no certificate of this name")]
    Name,
    #[error("speaks TLS, and there is no certificate to show it (--upstream-tls)")]
    NoCredentials,
}

#[derive(Debug)]
struct Idle {
    connection: Connection,
    since: Instant,
}

/// How sending went wrong.
#[derive(Debug)]
pub(crate) enum SendError {
    /// Not one byte of it left; its body is where it was.
    NotSent(String),
    /// It may have left, and the service says that it did nothing with it.
    Unprocessed(String),
    /// Some of it left and no answer came.
    NoAnswer {
        /// The connection had served before and may have been closed at that very moment, unseen.
        maybe_stale: bool,
        why: String,
    },
}

impl SendError {
    fn why(self) -> String {
        match self {
            Self::NotSent(why) | Self::Unprocessed(why) | Self::NoAnswer { why, .. } => why,
        }
    }
}

impl Endpoint {
    /// An endpoint that is not connected to yet. With TLS its certificate must have this name, or if there is none the address's host.
    pub(crate) fn new(
        address: &Address,
        name: Option<&str>,
        credentials: Option<&Arc<Credentials>>,
        protocol: Protocol,
    ) -> Result<Self, BadAddress> {
        let (target, host) = match (address.unix_path(), address.authority()) {
            (Some(path), _) if !path.as_os_str().is_empty() => {
                (Target::Unix(path.to_path_buf()), HeaderValue::from_static("localhost"))
            }
            (None, Some(authority)) => {
                let parsed = authority.parse::<http::uri::Authority>().map_err(|_| BadAddress::Form)?;
                parsed.port_u16().filter(|_| !authority.contains('@')).ok_or(BadAddress::Form)?;
                let host = HeaderValue::from_str(authority).map_err(|_| BadAddress::Form)?;
                let place = Place::of(&parsed).ok_or(BadAddress::Form)?;
                if address.is_tls() {
                    let credentials = Arc::clone(credentials.ok_or(BadAddress::NoCredentials)?);
                    let name = name.unwrap_or_else(|| parsed.host().trim_matches(['[', ']'])).to_owned();
                    let name = ServerName::try_from(name).map_err(|_| BadAddress::Name)?;
                    (Target::Tls { place, name, credentials }, host)
                } else {
                    (Target::Tcp(place), host)
                }
            }
            _ => return Err(BadAddress::Form),
        };
        let lines = match protocol {
            Protocol::Http1 => None,
            Protocol::Http2 => {
                let authority = Authority::try_from(host.as_bytes()).map_err(|_| BadAddress::Form)?;
                Some(Box::new(Lines::new(address.is_tls(), authority)))
            }
        };
        let pools = (0..worker::places()).map(|_| Mutex::default()).collect();
        let now = Instant::now();
        let (health, load) = (Health::new(now), Arc::new(Load::new(now)));
        Ok(Self {
            target,
            host,
            health,
            load,
            pools,
            lines,
            reached: AtomicBool::new(false),
            told: Mutex::default(),
        })
    }

    /// Whether there was ever a connection.
    pub(crate) fn was_reached(&self) -> bool {
        self.reached.load(Ordering::Relaxed)
    }

    /// Sends a request and waits for its answer's head: on a connection that was kept and is not too old at `kept`, if that is said and there is
    /// one; else on a new one. The body is taken when something is sent.
    pub(crate) async fn send(
        &self,
        ask: &Ask<'_>,
        body: &mut Option<Outgoing>,
        invitation: Option<&Invitation>,
        kept: Option<Instant>,
    ) -> Result<(Response<()>, Connection), SendError> {
        if let Some(lines) = &self.lines
            && !ask.is_for_http1()
        {
            return Box::pin(self.send_http2(lines, ask, body, kept)).await;
        }
        let kept = kept.and_then(|now| self.take(now));
        let was_kept = kept.is_some();
        let connection = match kept {
            Some(connection) => connection,
            // In a box: it is rare, and large.
            None => match Box::pin(self.connect_http1()).await {
                Ok(connection) => connection,
                Err(error) => return Err(SendError::NotSent(error.to_string())),
            },
        };
        self.send_on((connection, was_kept), ask, body, invitation).await
    }

    /// Sends a request on a connection that it has for itself.
    async fn send_on(
        &self,
        (mut connection, was_kept): (Connection, bool),
        ask: &Ask<'_>,
        body: &mut Option<Outgoing>,
        invitation: Option<&Invitation>,
    ) -> Result<(Response<()>, Connection), SendError> {
        let body = body.take().unwrap_or(Outgoing::Empty);
        match connection.send(ask, &self.host, body, invitation).await {
            Ok(response) => Ok((response, connection)),
            Err(error) => {
                self.tell_malformed(&error);
                let maybe_stale = was_kept && matches!(error, NoAnswer::Ended(_)) && !connection.has_heard();
                Err(SendError::NoAnswer { maybe_stale, why: error.to_string() })
            }
        }
    }

    /// Says what its answers lack, now and then: whoever runs it can do something about that.
    pub(crate) fn tell_malformed(&self, error: &NoAnswer) {
        let NoAnswer::Malformed(why) = error else { return };
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
            *told = Some(Instant::now());
            tracing::warn!(endpoint = ?self.host, %why, "a service's answer is not passed on");
        }
    }

    /// Opens a connection.
    pub(crate) async fn connect(&self) -> io::Result<Connection> {
        match &self.lines {
            None => self.connect_http1().await,
            Some(lines) => Box::pin(self.connect_http2(lines)).await,
        }
    }

    async fn connect_http1(&self) -> io::Result<Connection> {
        let stream = timeout(CONNECT_MAX, self.reach(false)).await??;
        self.reached.store(true, Ordering::Relaxed);
        let mut connection = Connection::new(stream);
        // A service that is being stopped may take a connection and close it at once: nothing was sent on it.
        if connection.is_idle() { Ok(connection) } else { Err(io::ErrorKind::ConnectionReset.into()) }
    }

    /// A way to it. With TLS it is asked whether it speaks HTTP/2, if that is wanted.
    async fn reach(&self, wants_http2: bool) -> io::Result<Stream> {
        Ok(match &self.target {
            Target::Tcp(place) => Stream::Tcp(Patient::connect(&*place.addresses().await?).await?),
            Target::Tls { place, name, credentials } => {
                let stream = Patient::connect(&*place.addresses().await?).await?;
                Stream::Tls(Box::new(if wants_http2 {
                    credentials.connect_http2(name.clone(), stream).await?
                } else {
                    credentials.connect(name.clone(), stream).await?
                }))
            }
            Target::Unix(path) => Stream::Unix(connect_unix(path).await?),
        })
    }

    /// Takes back a connection whose last answer has been read to its end. One that is still busy with its last request's body, which its
    /// service did not want to read, is closed. `since` then it counts as unused.
    pub(crate) fn keep(&self, mut connection: Connection, since: Instant) {
        if !connection.is_done() {
            return;
        }
        connection.rest();
        let mut idle = self.pool();
        if idle.len() < IDLE_CONNECTIONS_MAX {
            idle.push(Idle { connection, since });
        }
    }

    fn take(&self, now: Instant) -> Option<Connection> {
        loop {
            let Idle { mut connection, since } = self.pool().pop()?;
            // Nobody has looked since: the service may have closed it.
            if now.saturating_duration_since(since) <= IDLE_MAX && connection.is_idle() {
                return Some(connection);
            }
        }
    }

    /// Closes those that have been idle for long, or that the service has closed.
    pub(crate) fn sweep(&self) {
        if let Some(lines) = &self.lines {
            lines.sweep();
        }
        for pool in &self.pools {
            let mut idle = pool.lock().unwrap_or_else(PoisonError::into_inner);
            idle.retain_mut(|one| one.since.elapsed() <= IDLE_MAX && one.connection.is_idle());
        }
    }

    /// This thread's.
    fn pool(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.pools[worker::place()].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn connect_unix(path: &PathBuf) -> io::Result<UnixStream> {
    loop {
        match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                tokio::time::sleep(QUEUE_FULL_PAUSE).await;
            }
            connected => return connected,
        }
    }
}
