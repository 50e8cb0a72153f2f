//! [`Line`]: one connection that speaks HTTP/2, and [`Call`]: one request on it.
//!
//! hyper drives it, by a task of its own: others than who waits for one answer must be answered too.

use std::error::Error;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Response, Version};
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use hyper::client::conn::http2::{self, Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::runtime::Handle;

use super::greeting::{Greeted, NotHttp2};
use super::words::{Carried, Words};
use crate::body::Outgoing;
use crate::upstream::{Ask, NoAnswer, SendError, Stream};

/// Requests under way on one connection, if its service lets that many.
const STREAMS_MAX: u32 = 100;
/// Of an answer that is not read yet, a stream's. A connection's is as much as all of them have: clients that take nothing would else keep
/// everybody else's answers out.
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = STREAMS_MAX * STREAM_WINDOW_BYTES;
/// Of a request that waits for its service.
const SEND_BYTES_MAX: usize = 64 * 1024;
/// Of an answer's head.
const HEADERS_BYTES_MAX: u32 = 64 * 1024;
/// A machine that is gone is noticed within seconds ([`Patient`](crate::patience::Patient)); this is for whatever stands between, where a dead
/// way looks well. A service that is merely slow must not lose all that is under way with it.
const PING_EVERY: Duration = Duration::from_secs(10);
const PONG_MAX: Duration = Duration::from_secs(20);
/// A service has looked at what was sent by then.
const RESET_REST: Duration = Duration::from_millis(250);

/// A connection that has been greeted.
pub(super) struct Line {
    words: Arc<Words>,
    /// Until it has ended. A request that hyper was given at that very moment stays in its queue as long as somebody could put another one there, and
    /// nobody would hear of it.
    sender: Mutex<Option<SendRequest<Carried>>>,
    calls: AtomicUsize,
    /// As many as its service lets, as far as is known.
    streams_max: AtomicUsize,
    has_served: AtomicBool,
    /// It takes no further requests.
    is_leaving: AtomicBool,
    used: Mutex<Instant>,
}

/// A request's place on a line, which is another's when this is dropped.
pub(crate) struct Call {
    line: Arc<Line>,
    answer: Option<Incoming>,
    /// A request has left on it.
    is_asked: bool,
}

impl Line {
    /// Greets the service, and waits for its greeting.
    pub(super) async fn begin(stream: Stream, words: &Arc<Words>) -> io::Result<Arc<Self>> {
        let (stream, greeting) = Greeted::new(stream);
        let (sender, connection) = Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_send_buf_size(SEND_BYTES_MAX)
            .max_header_list_size(HEADERS_BYTES_MAX)
            // All may be given up at once; and answers that still come to them are no attack, however many there are in a connection's life.
            .max_concurrent_reset_streams(STREAMS_MAX as usize)
            .max_local_error_reset_streams(None)
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PONG_MAX)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        let line = Arc::new(Self {
            words: Arc::clone(words),
            sender: Mutex::new(Some(sender)),
            calls: AtomicUsize::new(0),
            streams_max: AtomicUsize::new(STREAMS_MAX as usize),
            has_served: AtomicBool::new(false),
            is_leaving: AtomicBool::new(false),
            used: Mutex::new(Instant::now()),
        });
        tokio::spawn(drive(connection, Arc::downgrade(&line)));
        greeting.await.unwrap_or(Err(NotHttp2::Nothing)).map_err(io::Error::other)?;
        Ok(line)
    }

    /// Whether requests can be made on it, as far as can be seen.
    pub(super) fn is_open(&self) -> bool {
        !self.is_leaving.load(Ordering::Relaxed)
            && self.sender().as_ref().is_some_and(|sender| !sender.is_closed())
    }

    fn sender(&self) -> MutexGuard<'_, Option<SendRequest<Carried>>> {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether another request can be made on it at once.
    pub(super) fn has_room(&self) -> bool {
        let max = self.streams_max.load(Ordering::Relaxed).clamp(1, STREAMS_MAX as usize);
        self.calls.load(Ordering::Relaxed) < max
    }

    /// How long nothing has been under way on it, or less.
    pub(super) fn unused(&self) -> Duration {
        if self.calls.load(Ordering::Relaxed) > 0 {
            return Duration::ZERO;
        }
        self.used.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    fn leave(&self) {
        self.is_leaving.store(true, Ordering::Relaxed);
    }
}

/// Reads and writes, for as long as there may be further requests.
async fn drive(connection: http2::Connection<TokioIo<Greeted>, Carried, TokioExecutor>, line: Weak<Line>) {
    let mut connection = pin!(connection);
    let ended = poll_fn(|cx| {
        let ended = connection.as_mut().poll(cx);
        if ended.is_pending()
            && let Some(line) = line.upgrade()
        {
            line.streams_max.store(connection.current_max_send_streams(), Ordering::Relaxed);
        }
        ended
    })
    .await;
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection to a service ended");
    }
    if let Some(line) = line.upgrade() {
        *line.sender() = None;
    }
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line").field("is_open", &self.is_open()).finish_non_exhaustive()
    }
}

impl Call {
    pub(super) fn on(line: &Arc<Line>) -> Self {
        line.calls.fetch_add(1, Ordering::Relaxed);
        *line.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        Self { line: Arc::clone(line), answer: None, is_asked: false }
    }

    pub(super) fn line(&self) -> &Arc<Line> {
        &self.line
    }

    /// Sends a request and waits for its answer's head. A body that was not sent is put back.
    pub(in crate::upstream) async fn send(
        &mut self,
        ask: &Ask<'_>,
        body: &mut Option<Outgoing>,
    ) -> Result<Response<()>, SendError> {
        let line = &*self.line;
        let Some(mut sender) = line.sender().clone() else {
            return Err(SendError::NotSent("the connection has ended".to_owned()));
        };
        let had_served = line.has_served.load(Ordering::Relaxed);
        (self.answer, self.is_asked) = (None, true);
        let request = line.words.request(ask, body.take().unwrap_or(Outgoing::Empty));
        let answer = sender.try_send_request(request);
        drop(sender);
        match answer.await {
            Ok(answer) => {
                line.has_served.store(true, Ordering::Relaxed);
                let (mut head, incoming) = answer.into_parts();
                head.version = Version::HTTP_11;
                self.answer = Some(incoming);
                Ok(Response::from_parts(head, ()))
            }
            Err(mut error) => {
                if let Some(unsent) = error.take_message() {
                    line.leave();
                    *body = Some(unsent.into_body().into_inner());
                    return Err(SendError::NotSent(traces::chain(&error.into_error())));
                }
                Err(line.failed(&error.into_error(), had_served))
            }
        }
    }

    /// The next piece of the answer's body; `None`: that was all.
    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, NoAnswer>>> {
        let Some(answer) = &mut self.answer else { return Poll::Ready(None) };
        Pin::new(answer).poll_frame(cx).map_err(NoAnswer::Stream)
    }

    /// Whether nothing of the answer's body is still to come, as far as that is known without reading on.
    pub(crate) fn is_end_stream(&self) -> bool {
        self.answer.as_ref().is_some_and(hyper::body::Body::is_end_stream)
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        match &self.answer {
            Some(answer) if !answer.is_end_stream() => answer.size_hint(),
            // The answer to a HEAD says how long the one to a GET would be.
            _ => SizeHint::with_exact(0),
        }
    }

    /// Whether another request can be made in its place.
    pub(crate) fn is_idle(&self) -> bool {
        self.line.is_open()
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let line = Arc::clone(&self.line);
        // Given up before its answer: the service may see its head and its end at once, and counts how many it sees so (CVE-2023-44487). For a moment
        // nobody has its place, so that hurried clients cannot have the connection ended that all share.
        if self.is_asked
            && self.answer.is_none()
            && line.is_open()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(async move {
                tokio::time::sleep(RESET_REST).await;
                line.calls.fetch_sub(1, Ordering::Relaxed);
            });
            return;
        }
        line.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call").field("is_open", &self.line.is_open()).finish_non_exhaustive()
    }
}

impl Line {
    /// What became of a request that has left and was not answered.
    fn failed(&self, error: &hyper::Error, had_served: bool) -> SendError {
        let why = traces::chain(error);
        // What HTTP/2 itself says; the end of the connection is none of that.
        let cause = error.source().and_then(|cause| cause.downcast_ref::<h2::Error>());
        let has_ended = cause.is_none() && !error.is_user();
        // A stream that was reset, or a body that broke off, is no concern of its neighbours'.
        if has_ended || cause.is_some_and(|cause| !cause.is_reset()) {
            self.leave();
        }
        if cause.is_some_and(is_unprocessed) {
            return SendError::Unprocessed(why);
        }
        SendError::NoAnswer { maybe_stale: had_served && has_ended, why }
    }
}

/// Whether the service says that it did nothing with a request (RFC 9113 §8.7): it refused the stream, or went away and had not come to it.
fn is_unprocessed(error: &h2::Error) -> bool {
    let is_refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
    // Only streams behind the last one that the service names end by its GOAWAY; those before it end with the connection.
    error.is_remote() && (is_refused || error.is_go_away())
}
