//! Bodies, streamed both ways: a request's with its bounds, an answer's with what must happen at its end.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep};

use crate::exchange::Exchange;
use crate::forward::Answering;
use crate::gather::Gathered;
use crate::http2;
use crate::invitation::{Gate, Invitation};
use crate::late::Late;
use crate::link::Link;
use crate::loan::Loan;

/// A service that sends no further byte of an answer for this long has stopped.
const SERVICE_IDLE_MAX: Duration = Duration::from_secs(30);
/// A refused body up to this size is read and thrown away, so that the client sees the answer instead of a reset.
const DISCARD_BYTES_MAX: usize = 1024 * 1024;
const DISCARD_MAX: Duration = Duration::from_secs(2);
/// Who waits for room at a service looks for it so often.
const ROOM_LOOK_EVERY: Duration = Duration::from_millis(10);

/// Why a body broke off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Broken {
    #[error("the body is larger than allowed")]
    TooLarge,
    #[error("the body did not come in time")]
    Idle,
    #[error("the body cannot be read")]
    Unreadable,
}

/// How far a request's body is, seen from outside while hyper sends it on.
#[derive(Debug, Default)]
pub(crate) struct Intake {
    state: AtomicU8,
    /// The request's place, as long as its client may be waited for.
    pub(crate) loan: Loan,
}

impl Intake {
    const MOVING: u8 = 0;
    const WAITING: u8 = 1;
    const TOO_LARGE: u8 = 2;
    const IDLE: u8 = 3;
    const UNREADABLE: u8 = 4;
    const READ: u8 = 5;
    const QUEUED: u8 = 6;

    /// What the client did wrong, if it did.
    pub(crate) fn fault(&self) -> Option<Broken> {
        match self.state.load(Ordering::Acquire) {
            Self::TOO_LARGE => Some(Broken::TooLarge),
            Self::IDLE => Some(Broken::Idle),
            Self::UNREADABLE => Some(Broken::Unreadable),
            _ => None,
        }
    }

    /// Whether more of it may come than anybody will read.
    fn has_rest(&self) -> bool {
        matches!(self.state.load(Ordering::Acquire), Self::MOVING | Self::WAITING)
    }

    /// Whether all of it was read.
    pub(crate) fn is_read(&self) -> bool {
        self.state.load(Ordering::Acquire) == Self::READ
    }

    /// Whether it is the client who has yet to send.
    pub(crate) fn is_waiting(&self) -> bool {
        self.state.load(Ordering::Acquire) == Self::WAITING
    }

    /// Whether all of it has come, and its service has no room to go on with it.
    pub(crate) fn is_queued(&self) -> bool {
        self.state.load(Ordering::Acquire) == Self::QUEUED
    }

    fn note(&self, state: u8) {
        self.state.store(state, Ordering::Release);
    }
}

/// A client's body: counted, and not waited for without end.
#[derive(Debug)]
pub(crate) struct ClientBody {
    /// There until it was too large.
    inner: Option<Incoming>,
    bytes_left: u64,
    late: Late,
    intake: Arc<Intake>,
    /// Who is told that all was read, and of which request.
    link: (Arc<Link>, u32),
    /// There until the body is wanted, if its client waits to be told.
    gate: Option<Box<Gate>>,
    /// What was read of it before.
    beginning: Option<Box<Gathered>>,
    /// The last of it, while its service has no room to go on with it.
    last: Option<Box<Last>>,
}

/// The end of a body that waits.
#[derive(Debug)]
struct Last {
    /// `None`: the end itself.
    frame: Option<Frame<Bytes>>,
    look: Pin<Box<Sleep>>,
}

impl ClientBody {
    pub(crate) fn new(inner: Incoming, bytes_max: u64, link: &Arc<Link>) -> (Self, Arc<Intake>) {
        let intake = Arc::new(Intake::default());
        let kept = Arc::clone(&intake);
        let link = (Arc::clone(link), link.requests());
        let body = Self {
            inner: Some(inner),
            bytes_left: bytes_max,
            late: Late::default(),
            intake: kept,
            link,
            gate: None,
            beginning: None,
            last: None,
        };
        (body, intake)
    }

    /// Not read before the service has asked for it.
    pub(crate) fn by_invitation(mut self, invitation: &Invitation) -> Self {
        self.gate = Some(Box::new(invitation.gate()));
        self
    }

    /// What was read of it comes first.
    pub(crate) fn begin_with(&mut self, read: Gathered) {
        self.beginning = Some(Box::new(read));
    }

    /// All of it has come. That is told when its service has room to go on.
    fn end(
        &mut self,
        frame: Option<Frame<Bytes>>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if self.intake.loan.resume() {
            self.intake.note(Intake::READ);
            return Poll::Ready(frame.map(Ok));
        }
        self.intake.note(Intake::QUEUED);
        self.last = Some(Box::new(Last { frame, look: Box::pin(tokio::time::sleep(ROOM_LOOK_EVERY)) }));
        self.poll_last(cx)
    }

    fn poll_last(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let Some(last) = &mut self.last else { return Poll::Ready(None) };
        while !self.intake.loan.resume() {
            ready!(last.look.as_mut().poll(cx));
            last.look.as_mut().reset(Instant::now() + ROOM_LOOK_EVERY);
        }
        self.intake.note(Intake::READ);
        let frame = last.frame.take();
        self.last = None;
        Poll::Ready(frame.map(Ok))
    }

    fn broken(&self, why: Broken) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        self.intake.note(match why {
            Broken::TooLarge => Intake::TOO_LARGE,
            Broken::Idle => Intake::IDLE,
            Broken::Unreadable => Intake::UNREADABLE,
        });
        Poll::Ready(Some(Err(why)))
    }
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if let Some(gate) = &mut self.gate {
            ready!(gate.poll_open(cx));
            self.gate = None;
        }
        if let Some(read) = self.beginning.take() {
            self.intake.note(Intake::MOVING);
            return Poll::Ready(Some(Ok(Frame::data(read.bytes))));
        }
        if self.last.is_some() {
            return self.poll_last(cx);
        }
        let Some(inner) = &mut self.inner else { return Poll::Ready(Some(Err(Broken::TooLarge))) };
        match Pin::new(inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                let length = frame.data_ref().map_or(0, |data| data.len() as u64);
                if let Some(now) = self.late.came(length) {
                    self.intake.loan.moves(now);
                }
                let Some(left) = self.bytes_left.checked_sub(length) else {
                    if let Some(rest) = self.inner.take() {
                        discard(rest);
                    }
                    return self.broken(Broken::TooLarge);
                };
                self.bytes_left = left;
                // Nothing follows trailers.
                if frame.is_trailers() || self.inner.as_ref().is_some_and(Body::is_end_stream) {
                    return self.end(Some(frame), cx);
                }
                self.intake.note(Intake::MOVING);
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(_))) => self.broken(Broken::Unreadable),
            Poll::Ready(None) => self.end(None, cx),
            Poll::Pending => {
                self.intake.note(Intake::WAITING);
                loop {
                    // Meanwhile the service has nothing to do.
                    let now = Instant::now();
                    let look = self.intake.loan.waits(now);
                    if ready!(self.late.poll_over(cx, now, look)) {
                        return self.broken(Broken::Idle);
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.beginning.is_none()
            && self.last.is_none()
            && self.inner.as_ref().is_some_and(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.inner.as_ref().map(Body::size_hint).unwrap_or_default();
        match (&self.beginning, rest.exact()) {
            (Some(read), Some(rest)) => SizeHint::with_exact(read.bytes.len() as u64 + rest),
            _ => rest,
        }
    }
}

/// A service that answers early leaves the rest of a body unread.
impl Drop for ClientBody {
    fn drop(&mut self) {
        let Some(rest) = self.inner.take() else { return };
        if rest.is_end_stream() || self.last.is_some() || self.intake.is_read() {
            self.link.0.has_read(self.link.1);
        } else if self.gate.is_none() && self.intake.has_rest() {
            discard(rest);
        }
    }
}

/// What is sent to a service.
#[derive(Debug)]
pub(crate) enum Outgoing {
    /// Nothing.
    Empty,
    /// A small body that was read first, so that it can be sent again.
    Kept(Option<Bytes>),
    /// Whatever the client sends, as it comes.
    Streaming(ClientBody),
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match &mut *self {
            Self::Empty => Poll::Ready(None),
            Self::Kept(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Streaming(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty | Self::Kept(None) => true,
            Self::Kept(Some(_)) => false,
            Self::Streaming(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty | Self::Kept(None) => SizeHint::with_exact(0),
            Self::Kept(Some(bytes)) => SizeHint::with_exact(bytes.len() as u64),
            Self::Streaming(body) => body.size_hint(),
        }
    }
}

/// An answer's body on its way to the client. Its end, or its being dropped, ends the exchange.
#[derive(Debug)]
pub(crate) struct ReplyBody {
    source: Source,
    exchange: Exchange,
}

#[derive(Debug)]
enum Source {
    Own(Option<Bytes>),
    Service {
        answering: Answering,
        idle: Option<Pin<Box<Sleep>>>,
        /// It broke off, which the client is told when it has what came before.
        broken: bool,
        /// All of it was read. Of a body in chunks nothing else tells.
        ended: bool,
    },
}

impl ReplyBody {
    /// The gateway's own bytes.
    pub(crate) fn own(bytes: Bytes, mut exchange: Exchange) -> Self {
        exchange.bytes = bytes.len() as u64;
        exchange.completed();
        Self { source: Source::Own((!bytes.is_empty()).then_some(bytes)), exchange }
    }

    /// A service's.
    pub(crate) fn service(answering: Answering, exchange: Exchange) -> Self {
        Self { source: Source::Service { answering, idle: None, broken: false, ended: false }, exchange }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = &mut *self;
        let (answering, idle, broken, ended) = match &mut this.source {
            Source::Own(bytes) => return Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Source::Service { answering, idle, broken, ended } => (answering, idle, broken, ended),
        };
        if *broken {
            return Poll::Ready(Some(Err(Broken::Unreadable)));
        }
        let Poll::Ready(frame) = answering.poll_frame(cx) else {
            if this.exchange.is_lent() {
                http2::awaits_service();
            }
            let idle = idle.get_or_insert_with(|| Box::pin(tokio::time::sleep(SERVICE_IDLE_MAX)));
            ready!(idle.as_mut().poll(cx));
            answering.fell_silent();
            this.exchange.broken();
            return Poll::Ready(Some(Err(Broken::Idle)));
        };
        *idle = None;
        Poll::Ready(match frame {
            Some(Ok(frame)) => {
                this.exchange.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                if let (Some(copy), Some(data)) = (&mut this.exchange.copy, frame.data_ref())
                    && !copy.add(data)
                {
                    this.exchange.copy = None;
                }
                // Nothing follows trailers.
                *ended |= frame.is_trailers();
                Some(Ok(frame))
            }
            Some(Err(error)) => {
                answering.broke_off(&error);
                this.exchange.broken();
                // Told now, hyper would close without having written what it has.
                *broken = true;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            None => {
                *ended = true;
                None
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Own(bytes) => bytes.is_none(),
            Source::Service { answering, .. } => answering.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Own(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Source::Service { answering, .. } => answering.size_hint(),
        }
    }
}

impl Drop for ReplyBody {
    fn drop(&mut self) {
        if let Source::Service { answering, ended, .. } = &mut self.source
            && (*ended || answering.is_end_stream())
        {
            self.exchange.completed();
            answering.reuse();
        }
    }
}

/// Reads on for a while: a connection closed on unread bytes is reset, and the client would never see why.
pub(crate) fn discard(mut body: Incoming) {
    if body.is_end_stream() {
        return;
    }
    let Ok(runtime) = Handle::try_current() else { return };
    runtime.spawn(tokio::time::timeout(DISCARD_MAX, async move {
        let mut bytes = 0;
        while let Some(Ok(frame)) = body.frame().await {
            bytes += frame.data_ref().map_or(0, Bytes::len);
            if bytes > DISCARD_BYTES_MAX {
                return;
            }
        }
    }));
}
