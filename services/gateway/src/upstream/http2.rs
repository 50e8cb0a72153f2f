//! HTTP/2 towards a service (RFC 9113), where its upstream says so: many requests on one connection.
//!
//! Each thread has its own connections to an endpoint, nearly always one: a further one is opened when all streams of those that are there are
//! in use. Whoever needs one while it is being opened waits for that rather than open another.
//!
//! With TLS both ends say what they speak, and a service that speaks HTTP/1.1 alone is spoken to in that. Without, it must speak HTTP/2. What
//! HTTP/2 cannot carry goes by HTTP/1.1 ([`Ask::is_for_http1`]).

mod greeting;
mod line;
mod words;

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use http::Response;
use http::uri::Authority;
use tokio::time::timeout;

use self::greeting::NotHttp2;
pub(crate) use self::line::Call;
use self::line::Line;
use self::words::Words;
use super::{Ask, CONNECT_MAX, Connection, Endpoint, IDLE_MAX, SendError};
use crate::body::Outgoing;
use crate::worker;

/// So often a request that was on no connection yet is put on another one, when one ends that seemed open.
const TRIES_MAX: usize = 4;

/// An endpoint's connections, if they are to speak HTTP/2.
#[derive(Debug)]
pub(super) struct Lines {
    words: Arc<Words>,
    threads: Box<[Thread]>,
    /// When it was last asked what it speaks, it spoke HTTP/1.1 alone.
    is_http1: AtomicBool,
    /// That it speaks another language was said.
    is_told: AtomicBool,
}

#[derive(Debug, Default)]
struct Thread {
    lines: Mutex<Vec<Arc<Line>>>,
    /// Whoever holds it opens a connection. In it, what went wrong the last time.
    opening: tokio::sync::Mutex<String>,
    /// How often it went wrong.
    failures: AtomicU64,
}

impl Lines {
    pub(super) fn new(is_tls: bool, authority: Authority) -> Self {
        let threads = (0..worker::places()).map(|_| Thread::default()).collect();
        let words = Arc::new(Words::new(is_tls, authority));
        Self { words, threads, is_http1: AtomicBool::new(false), is_told: AtomicBool::new(false) }
    }

    /// Closes those that have been unused for long, and lets go of those that are closed.
    pub(super) fn sweep(&self) {
        for thread in &self.threads {
            thread.lines().retain(|line| line.is_open() && line.unused() <= IDLE_MAX);
        }
    }
}

impl Thread {
    fn lines(&self) -> MutexGuard<'_, Vec<Arc<Line>>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place on a line: on the first one that has room, so that a quiet hour lets the surplus be unused.
    fn take(&self) -> Option<Call> {
        let mut lines = self.lines();
        lines.retain(|line| line.is_open());
        lines.iter().find(|line| line.has_room()).map(Call::on)
    }
}

impl Endpoint {
    /// Sends a request over HTTP/2, or HTTP/1.1 if that is all that the service speaks.
    pub(super) async fn send_http2(
        &self,
        lines: &Lines,
        ask: &Ask<'_>,
        body: &mut Option<Outgoing>,
        kept: Option<Instant>,
    ) -> Result<(Response<()>, Connection), SendError> {
        let mut ended = String::new();
        for _ in 0..TRIES_MAX {
            match self.way(lines, kept).await.map_err(SendError::NotSent)? {
                (Connection::Http2(mut call), _) => match call.send(ask, body).await {
                    Ok(response) => return Ok((response, Connection::Http2(call))),
                    // It ended before anything was sent: as if it had not been there.
                    Err(SendError::NotSent(why)) => ended = why,
                    Err(error) => return Err(error),
                },
                http1 => return self.send_on(http1, ask, body, None).await,
            }
        }
        Err(SendError::NotSent(ended))
    }

    /// What a request can be sent on, and whether it was there before.
    async fn way(&self, lines: &Lines, kept: Option<Instant>) -> Result<(Connection, bool), String> {
        let thread = &lines.threads[worker::place()];
        let failures = thread.failures.load(Ordering::Relaxed);
        loop {
            if let Some(call) = thread.take() {
                return Ok((Connection::Http2(Box::new(call)), true));
            }
            if lines.is_http1.load(Ordering::Relaxed) {
                if let Some(connection) = kept.and_then(|now| self.take(now)) {
                    return Ok((connection, true));
                }
                // It may have been replaced by one that speaks HTTP/2: each new connection is a question.
                let opened = self.open(lines, thread).await.map_err(|error| error.to_string())?;
                return Ok((opened, false));
            }
            let mut fault = thread.opening.lock().await;
            if thread.failures.load(Ordering::Relaxed) != failures {
                return Err(fault.clone());
            }
            if lines.is_http1.load(Ordering::Relaxed) || thread.lines().iter().any(|line| line.has_room()) {
                continue;
            }
            return match self.open(lines, thread).await {
                Ok(connection) => Ok((connection, false)),
                Err(error) => {
                    *fault = error.to_string();
                    thread.failures.fetch_add(1, Ordering::Relaxed);
                    Err(fault.clone())
                }
            };
        }
    }

    /// Opens a connection that others share.
    async fn open(&self, lines: &Lines, thread: &Thread) -> io::Result<Connection> {
        let connection = self.connect_http2(lines).await?;
        if let Connection::Http2(call) = &connection {
            thread.lines().push(Arc::clone(call.line()));
        }
        Ok(connection)
    }

    /// Opens a connection that nobody else has.
    pub(super) async fn connect_http2(&self, lines: &Lines) -> io::Result<Connection> {
        let connect = async {
            let stream = self.reach(true).await?;
            Ok(if stream.is_http2() {
                Connection::Http2(Box::new(Call::on(&Line::begin(stream, &lines.words).await?)))
            } else {
                Connection::new(stream)
            })
        };
        let connection = timeout(CONNECT_MAX, connect).await?.inspect_err(|error| self.tell(lines, error))?;
        let is_http1 = matches!(connection, Connection::Http1(_));
        if lines.is_http1.swap(is_http1, Ordering::Relaxed) != is_http1 && is_http1 {
            tracing::info!(endpoint = ?self.host, "an endpoint does not speak HTTP/2: it is spoken to in HTTP/1.1");
        }
        self.reached.store(true, Ordering::Relaxed);
        Ok(connection)
    }

    /// Nothing but the setting, or the service, can change this: somebody should know of it, once.
    fn tell(&self, lines: &Lines, error: &io::Error) {
        let is_other = error.get_ref().is_some_and(|why| {
            matches!(why.downcast_ref::<NotHttp2>(), Some(NotHttp2::Http1 | NotHttp2::Other))
        });
        if is_other && !lines.is_told.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                endpoint = ?self.host,
                %error,
                "an endpoint is not reached: its upstream's protocol is http2, and without TLS it must speak that"
            );
        }
    }
}
