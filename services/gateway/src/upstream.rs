//! [`Endpoint`]: one address of a service, and the connections kept open to it.
//!
//! Connections are taken last in, first out, so that a quiet hour lets the surplus grow old and be dropped.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use settings::Address;
use tls::{Credentials, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use crate::body::Outgoing;

/// Beyond so many unused ones, further connections are closed.
const IDLE_CONNECTIONS_MAX: usize = 512;
/// An unused connection is given up after this long; services keep theirs longer.
const IDLE_MAX: Duration = Duration::from_secs(30);
const CONNECT_MAX: Duration = Duration::from_secs(1);
/// What was sent must have arrived at the other machine by then, or the connection counts as dead (RFC 5482). A node that lost its power
/// says nothing; without this, requests on connections to it would wait until their own deadlines.
#[cfg(target_os = "linux")]
const ARRIVED_MAX: Duration = Duration::from_secs(3);
/// A Unix socket whose queue is full refuses at once instead of letting wait, as TCP would.
const QUEUE_FULL_PAUSE: Duration = Duration::from_millis(2);

/// An address and its pool.
#[derive(Debug)]
pub(crate) struct Endpoint {
    target: Target,
    /// What to put in `Host`.
    pub(crate) host: HeaderValue,
    idle: Mutex<Vec<Idle>>,
    reached: AtomicBool,
}

#[derive(Debug)]
enum Target {
    Tcp(String),
    /// The name is its certificate's, whatever the address: pods are reached at addresses that no certificate has.
    Tls {
        authority: String,
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
    sender: SendRequest<Outgoing>,
    since: Instant,
}

/// A connection in use.
pub(crate) type Sender = SendRequest<Outgoing>;

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
                let authority = authority.to_owned();
                if address.is_tls() {
                    let credentials = Arc::clone(credentials.ok_or(BadAddress::NoCredentials)?);
                    let name = name.unwrap_or_else(|| parsed.host().trim_matches(['[', ']'])).to_owned();
                    let name = ServerName::try_from(name).map_err(|_| BadAddress::Name)?;
                    (Target::Tls { authority, name, credentials }, host)
                } else {
                    (Target::Tcp(authority), host)
                }
            }
            _ => return Err(BadAddress::Form),
        };
        Ok(Self { target, host, idle: Mutex::default(), reached: AtomicBool::new(false) })
    }

    /// Whether there was ever a connection.
    pub(crate) fn was_reached(&self) -> bool {
        self.reached.load(Ordering::Relaxed)
    }

    /// Sends a request and waits for its answer's head, on a kept connection if there is one and `fresh` does not forbid it.
    pub(crate) async fn send(
        &self,
        mut request: Request<Outgoing>,
        fresh: bool,
    ) -> Result<(Response<Incoming>, Sender), SendError> {
        while let Some(mut sender) = if fresh { None } else { self.take() } {
            match sender.try_send_request(request).await {
                Ok(response) => return Ok((response, sender)),
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
        let mut sender = match self.connect().await {
            Ok(sender) => sender,
            Err(error) => return Err(SendError::NotSent(Box::new(request), error.to_string())),
        };
        match sender.try_send_request(request).await {
            Ok(response) => Ok((response, sender)),
            Err(mut error) => Err(match error.take_message() {
                Some(unsent) => SendError::NotSent(Box::new(unsent), error.into_error().to_string()),
                None => SendError::NoAnswer { maybe_stale: false, why: error.into_error().to_string() },
            }),
        }
    }

    /// Opens a connection.
    pub(crate) async fn connect(&self) -> io::Result<Sender> {
        let sender = match &self.target {
            Target::Tcp(authority) => handshake(timeout(CONNECT_MAX, connect_tcp(authority)).await??).await,
            Target::Tls { authority, name, credentials } => {
                let connect =
                    async { credentials.connect(name.clone(), connect_tcp(authority).await?).await };
                handshake(timeout(CONNECT_MAX, connect).await??).await
            }
            Target::Unix(path) => handshake(timeout(CONNECT_MAX, connect_unix(path)).await??).await,
        };
        let sender = sender.map_err(io::Error::other)?;
        self.reached.store(true, Ordering::Relaxed);
        Ok(sender)
    }

    /// Takes back a connection whose last answer has been read to its end.
    pub(crate) fn keep(&self, sender: Sender) {
        if sender.is_closed() {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_CONNECTIONS_MAX {
            idle.push(Idle { sender, since: Instant::now() });
        }
    }

    fn take(&self) -> Option<Sender> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        // Nearly always the last one will do. One that is still busy with its last request's body is passed over.
        let place = idle.iter().rposition(|connection| connection.sender.is_ready());
        let taken = place.map(|place| idle.remove(place));
        if idle.first().is_some_and(|oldest| oldest.since.elapsed() > IDLE_MAX || oldest.sender.is_closed()) {
            idle.retain(|connection| {
                connection.since.elapsed() <= IDLE_MAX && !connection.sender.is_closed()
            });
        }
        let taken = taken?;
        (taken.since.elapsed() <= IDLE_MAX).then_some(taken.sender)
    }
}

async fn connect_tcp(authority: &str) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(authority).await?;
    stream.set_nodelay(true)?;
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(&stream).set_tcp_user_timeout(Some(ARRIVED_MAX))?;
    Ok(stream)
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

async fn handshake<S>(stream: S) -> Result<Sender, hyper::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // It ends when the service closes or the sender is dropped; how it ended, the request in flight is told.
    tokio::spawn(async move {
        let _ = connection.await;
    });
    Ok(sender)
}
