//! HTTP/2 (RFC 9113), where a client asks for it over TLS: hyper's, over the same way and the same log.
//!
//! What a client can make the gateway hold or do is bounded: streams at once, a head's bytes, what waits to be sent of each answer, resets before
//! anybody answers (CVE-2023-44487), frames that go on with a head (h2 counts them). Beside that, a stream whose client does not take its answer
//! ends, and so does a connection that nobody uses.

use std::cell::Cell;
use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue, Request};
use http_kit::stop::Phase;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep, sleep, timeout};

use crate::accept::Origin;
use crate::client::Peer;
use crate::crowd::Crowd;
use crate::gateway::Core;
use crate::link::Link;
use crate::loan::Loan;
use crate::target::HEADERS_BYTES_MAX;
use crate::way;

/// Requests under way on one connection.
const STREAMS_MAX: u32 = 100;
/// Of a body that is not read yet, a stream's and a connection's.
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
/// Of an answer that waits for its client.
const SEND_BYTES_MAX: usize = 64 * 1024;
/// Streams that were reset before anybody had taken them up.
const PENDING_RESETS_MAX: usize = 20;
/// Streams that the gateway has reset because of what the client sent.
const ERROR_RESETS_MAX: usize = 100;
/// A client that does not answer a ping is gone. The ping waits behind what is on its way to the client, and a slow one takes that at its pace.
const PING_EVERY: Duration = Duration::from_secs(20);
const PONG_MAX: Duration = Duration::from_mins(2);
/// An answer of which nothing moves for this long is not wanted. Longer than a service may be silent, whose fault is told otherwise.
const STALL_MAX: Duration = Duration::from_secs(40);
/// A connection must bring a request so soon, and then at least so often.
const FIRST_MAX: Duration = Duration::from_secs(10);
const IDLE_MAX: Duration = Duration::from_secs(75);
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A client that was told that the connection ends has so long to let it; and where others wait for its place.
const GOODBYE_MAX: Duration = Duration::from_secs(5);
const GIVE_WAY_MAX: Duration = Duration::from_millis(500);

/// What TLS calls it.
pub(crate) const ALPN: &[u8] = b"h2";

/// Serves one connection to its end.
pub(crate) async fn converse<S>(stream: S, Origin { address, is_tls }: Origin, core: Arc<Core>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (link, streams) = (Arc::new(Link::default()), Streams::default());
    let peer = Arc::new(Peer::new(address, is_tls));
    let mut phase = core.phase.clone();
    let service = {
        let core = Arc::clone(&core);
        service_fn(move |request: Request<Incoming>| {
            let (core, peer, link) = (Arc::clone(&core), Arc::clone(&peer), Arc::clone(&link));
            async move {
                let answer = way::answer(core, &peer, link, request).await;
                let _ = SENDING.try_with(|sending| sending.has_begun.set(true));
                Ok::<_, Infallible>(answer)
            }
        })
    };
    let connection = Builder::new(streams.clone())
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(u32::try_from(HEADERS_BYTES_MAX).unwrap_or(u32::MAX))
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(SEND_BYTES_MAX)
        .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
        .max_local_error_reset_streams(ERROR_RESETS_MAX)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PONG_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let goodbye = tokio::select! {
        // How a connection ends is the client's business; requests are logged where they are answered.
        _ = connection.as_mut() => return,
        () = streams.unused() => Some(GOODBYE_MAX),
        () = streams.pressed(&core.crowd) => Some(GIVE_WAY_MAX),
        () = leaving(&mut phase, &streams) => None,
    };
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        _ = connection => {}
        () = streams.let_go(goodbye.unwrap_or_default()), if goodbye.is_some() => {}
        _ = phase.wait_for(|phase| *phase == Phase::Ended) => {}
    }
}

/// One line of cookies, where there are several: clients divide them for the sake of compression, and HTTP/1.1 knows one line (§8.2.3).
pub(crate) fn join_cookies(headers: &mut HeaderMap) {
    let lines: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if lines.len() > 1
        && let Ok(mut line) = HeaderValue::from_bytes(&lines.join(&b"; "[..]))
    {
        line.set_sensitive(true);
        headers.insert(COOKIE, line);
    }
}

/// Returns when the client should go elsewhere: it is told when it has had an answer, and at the latest when the gateway drains.
async fn leaving(phase: &mut tokio::sync::watch::Receiver<Phase>, streams: &Streams) {
    if phase.wait_for(|phase| *phase >= Phase::Lingering).await.is_err() {
        return;
    }
    while streams.0.begun.load(Ordering::Relaxed) == 0 {
        let drains = phase.wait_for(|phase| *phase >= Phase::Draining);
        if timeout(LOOK_EVERY, drains).await.is_ok() {
            return;
        }
    }
}

tokio::task_local! {
    /// How far the stream's answer is.
    static SENDING: Sending;
}

#[derive(Default)]
struct Sending {
    has_begun: Cell<bool>,
    /// More of it was asked for than is there. hyper asks only when the client has room for it.
    awaits_service: Cell<bool>,
    loan: Loan,
}

/// Does this with the place of the stream's answer, where there is a stream.
pub(crate) fn with_loan<R>(then: impl FnOnce(&Loan) -> R) -> Option<R> {
    SENDING.try_with(|sending| then(&sending.loan)).ok()
}

/// If this is a stream, it is its service that is waited for.
pub(crate) fn awaits_service() {
    let _ = SENDING.try_with(|sending| sending.awaits_service.set(true));
}

impl Sending {
    /// Nothing goes on just now. Answers when to look again, if the place of an answer that waits for its client is to be given back then.
    fn rests(&self, now: Instant) -> Option<Instant> {
        if self.awaits_service.take() {
            self.loan.moves(now);
            return None;
        }
        self.loan.waits(now)
    }
}

/// The streams of a connection: where hyper puts them, each a task of its own.
#[derive(Clone, Debug, Default)]
struct Streams(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    begun: AtomicU32,
    open: AtomicU32,
}

impl Streams {
    /// Returns when no request has come for too long.
    async fn unused(&self) {
        let (mut seen, mut since) = (0, Instant::now());
        loop {
            sleep(LOOK_EVERY).await;
            let begun = self.0.begun.load(Ordering::Relaxed);
            if begun != seen || self.0.open.load(Ordering::Relaxed) > 0 {
                (seen, since) = (begun, Instant::now());
            }
            if since.elapsed() >= if begun == 0 { FIRST_MAX } else { IDLE_MAX } {
                return;
            }
        }
    }

    /// Returns when it should give way to others: it waits in line with all who rest for as long as no request is under way, nor was lately.
    async fn pressed(&self, crowd: &Crowd) {
        let mut seen = 0;
        loop {
            sleep(LOOK_EVERY).await;
            if !self.rests(&mut seen) {
                continue;
            }
            let mut pressed = pin!(crowd.pressed());
            while self.rests(&mut seen) {
                if timeout(LOOK_EVERY, pressed.as_mut()).await.is_err() {
                    continue;
                }
                // If not, it was the wrong one to ask, and another will be.
                if self.rests(&mut seen) {
                    return;
                }
                break;
            }
        }
    }

    /// Whether nothing is under way, nor has been since the last look.
    fn rests(&self, seen: &mut u32) -> bool {
        let begun = self.0.begun.load(Ordering::Relaxed);
        std::mem::replace(seen, begun) == begun && begun > 0 && self.0.open.load(Ordering::Relaxed) == 0
    }

    /// Returns a while after the goodbye, when what came in that very moment is answered.
    async fn let_go(&self, goodbye: Duration) {
        sleep(goodbye).await;
        while self.0.open.load(Ordering::Relaxed) > 0 {
            sleep(LOOK_EVERY).await;
        }
    }
}

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        self.0.begun.fetch_add(1, Ordering::Relaxed);
        self.0.open.fetch_add(1, Ordering::Relaxed);
        let open = Open(Arc::clone(&self.0));
        tokio::spawn(SENDING.scope(Sending::default(), async move {
            let _open = open;
            // Dropped before its end, a stream is reset.
            Watched { stream: Box::pin(stream), due: None, timer: None }.await;
        }));
    }
}

/// Counted for as long as it lives.
struct Open(Arc<Counts>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A stream, until its client takes nothing of its answer for too long. hyper polls an answer's body only when there is room for more of it.
struct Watched<F> {
    stream: Pin<Box<F>>,
    /// When that is, once the answer has begun.
    due: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<F: Future<Output = ()>> Future for Watched<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let has_rung = self.timer.as_mut().is_some_and(|timer| timer.as_mut().poll(cx).is_ready());
        if self.stream.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let Ok(true) = SENDING.try_with(|sending| sending.has_begun.get()) else { return Poll::Pending };
        let now = Instant::now();
        let due = match self.due {
            Some(due) if has_rung && due <= now => return Poll::Ready(()),
            // Woken by nothing but the time.
            Some(due) if has_rung => due,
            _ => now + STALL_MAX,
        };
        self.due = Some(due);
        let look = SENDING.try_with(|sending| sending.rests(now)).unwrap_or_default();
        let next = look.map_or(due, |look| look.min(due));
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(next)));
        timer.as_mut().reset(next);
        if timer.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}
