//! [`Endpoint`]: one address of a service, how it is, and the connections kept open to it.
//!
//! Connections are taken last in, first out, so that a quiet hour lets the surplus grow old and be dropped.
//!
//! A [`Connection`] has no task of its own: whoever waits for its answer drives it. So a request costs one wake-up when its answer comes,
//! instead of one of the connection, which then wakes the request.

use std::io;
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use hyper::body::{Body, Incoming};
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use resilience::balance::Load;
use resilience::health::Health;
use settings::Address;
use tls::{Credentials, ServerName};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::body::Outgoing;
use crate::patience::{Patience, Patient};
use crate::place::Place;
use crate::worker;

/// Beyond so many unused ones on a thread, further connections are closed.
const IDLE_CONNECTIONS_MAX: usize = 512;
/// An unused connection is given up after this long; services keep theirs longer.
const IDLE_MAX: Duration = Duration::from_secs(30);
const CONNECT_MAX: Duration = Duration::from_secs(1);
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
    reached: AtomicBool,
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

type Driver = Pin<Box<http1::Connection<TokioIo<Stream>, Outgoing>>>;

/// A connection, idle or with one request on it.
pub(crate) struct Connection {
    sender: SendRequest<Outgoing>,
    /// What reads and writes. Boxed, since it is moved from hand to hand.
    driver: Driver,
    patience: Option<Patience>,
    is_open: bool,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("is_open", &self.is_open).finish_non_exhaustive()
    }
}

impl Connection {
    async fn begin(stream: Stream) -> Result<Self, hyper::Error> {
        let patience = stream.patience();
        // Requests are small, and one buffer is written faster than a list of them.
        let (sender, driver) = http1::Builder::new().writev(false).handshake(TokioIo::new(stream)).await?;
        Ok(Self { sender, driver: Box::pin(driver), patience, is_open: true })
    }

    /// Sends a request and waits for its answer's head. The body comes as far as [`Connection::drive`] is called.
    pub(crate) async fn send(
        &mut self,
        request: Request<Outgoing>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Outgoing>>> {
        let Self { sender, driver, patience, is_open } = self;
        if let Some(patience) = patience {
            patience.ask(request.body().size_hint().upper());
        }
        let mut answer = pin!(sender.try_send_request(request));
        std::future::poll_fn(|cx| {
            drive(driver, is_open, cx);
            // It is the driver that brings the answer, and the driver that is woken for it: nobody else need wake us.
            answer.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        })
        .await
    }

    /// Reads and writes what can be at once, and has the task woken when more can be.
    pub(crate) fn drive(&mut self, cx: &mut Context<'_>) {
        drive(&mut self.driver, &mut self.is_open, cx);
    }

    /// Whether it is through with its last request: it has read the answer to the end and sent the whole of the request.
    fn is_done(&mut self) -> bool {
        (self.is_open && self.sender.is_ready()) || self.is_idle()
    }

    /// Whether it can take a request: it is through with its last one, and as far as can be seen still open.
    pub(crate) fn is_idle(&mut self) -> bool {
        self.drive(&mut Context::from_waker(Waker::noop()));
        self.is_open && self.sender.is_ready()
    }

    /// The bare stream, and what was read of it, once HTTP has ended on it.
    pub(crate) fn into_stream(self) -> Option<(Stream, Bytes)> {
        let parts = Pin::into_inner(self.driver).into_parts();
        if let Some(patience) = &self.patience {
            patience.ask(None);
        }
        (!self.is_open).then(|| (parts.io.into_inner(), parts.read_buf))
    }
}

fn drive(driver: &mut Driver, is_open: &mut bool, cx: &mut Context<'_>) {
    // How it ended, the request in flight is told.
    if *is_open && driver.as_mut().poll(cx).is_ready() {
        *is_open = false;
    }
}

/// How sending went wrong.
#[derive(Debug)]
pub(crate) enum SendError {
    /// Not one byte of it left; here it is again.
    NotSent(Box<Request<Outgoing>>, String),
    /// Some of it left and no answer came.
    NoAnswer {
        /// The connection had served before and may have been closed at that very moment, unseen.
        maybe_stale: bool,
        why: String,
    },
}

impl Endpoint {
    /// An endpoint that is not connected to yet. With TLS its certificate must have this name, or if there is none the address's host.
    pub(crate) fn new(
        address: &Address,
        name: Option<&str>,
        credentials: Option<&Arc<Credentials>>,
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
        let pools = (0..worker::places()).map(|_| Mutex::default()).collect();
        let now = Instant::now();
        let (health, load) = (Health::new(now), Arc::new(Load::new(now)));
        Ok(Self { target, host, health, load, pools, reached: AtomicBool::new(false) })
    }

    /// Whether there was ever a connection.
    pub(crate) fn was_reached(&self) -> bool {
        self.reached.load(Ordering::Relaxed)
    }

    /// Sends a request and waits for its answer's head: on a connection that was kept and is not too old at `kept`, if that is said and there is
    /// one; else on a new one.
    pub(crate) async fn send(
        &self,
        mut request: Request<Outgoing>,
        kept: Option<Instant>,
    ) -> Result<(Response<Incoming>, Connection), SendError> {
        while let Some(mut connection) = kept.and_then(|now| self.take(now)) {
            match connection.send(request).await {
                Ok(response) => return Ok((response, connection)),
                Err(mut error) => {
                    let Some(unsent) = error.take_message() else {
                        let error = error.into_error();
                        let maybe_stale = !error.is_parse() && !error.is_user();
                        return Err(SendError::NoAnswer { maybe_stale, why: error.to_string() });
                    };
                    // Closed before anything was sent: as if it had not been there.
                    request = unsent;
                }
            }
        }
        // In a box: it is rare, and large.
        let mut connection = match Box::pin(self.connect()).await {
            Ok(connection) => connection,
            Err(error) => return Err(SendError::NotSent(Box::new(request), error.to_string())),
        };
        match connection.send(request).await {
            Ok(response) => Ok((response, connection)),
            Err(mut error) => Err(match error.take_message() {
                Some(unsent) => SendError::NotSent(Box::new(unsent), error.into_error().to_string()),
                None => SendError::NoAnswer { maybe_stale: false, why: error.into_error().to_string() },
            }),
        }
    }

    /// Opens a connection.
    pub(crate) async fn connect(&self) -> io::Result<Connection> {
        let connect = async {
            Ok::<_, io::Error>(match &self.target {
                Target::Tcp(place) => Stream::Tcp(Patient::connect(&*place.addresses().await?).await?),
                Target::Tls { place, name, credentials } => {
                    let stream = Patient::connect(&*place.addresses().await?).await?;
                    Stream::Tls(Box::new(credentials.connect(name.clone(), stream).await?))
                }
                Target::Unix(path) => Stream::Unix(connect_unix(path).await?),
            })
        };
        let stream = timeout(CONNECT_MAX, connect).await??;
        let connection = Connection::begin(stream).await.map_err(io::Error::other)?;
        self.reached.store(true, Ordering::Relaxed);
        Ok(connection)
    }

    /// Takes back a connection whose last answer has been read to its end. One that is still busy with its last request's body, which its
    /// service did not want to read, is closed. `since` then it counts as unused.
    pub(crate) fn keep(&self, mut connection: Connection, since: Instant) {
        if !connection.is_done() {
            return;
        }
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

/// What a service is reached over.
pub(crate) enum Stream {
    Tcp(Patient),
    Tls(Box<tls::Connected<Patient>>),
    Unix(UnixStream),
}

impl Stream {
    /// A machine's own sockets need none.
    fn patience(&self) -> Option<Patience> {
        match self {
            Self::Tcp(stream) => Some(stream.patience()),
            Self::Tls(stream) => Some(stream.get_ref().0.patience()),
            Self::Unix(_) => None,
        }
    }
}

/// The same call on whichever it is.
macro_rules! on {
    ($self:expr, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Self::Tcp($stream) => $call,
            Self::Tls($stream) => $call,
            Self::Unix($stream) => $call,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        on!(self, stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        on!(self, stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        on!(self, stream => Pin::new(stream).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
            Self::Unix(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }
}
