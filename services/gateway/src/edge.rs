//! [`Edge`]: what happens to bytes before they are a request and after they are an answer.
//!
//! Clients that dawdle are cut off here: a head that trickles in (slowloris), a connection that idles, an answer nobody reads.
//! One lazy timer a connection: it is set anew only when it fires early, so an ordinary request never touches it.
//!
//! And hyper's own answers to what is no request (400, 414, 431) leave as problem documents, like every other error.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use contracts::problem::{Problem, ProblemCode};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use crate::gateway::Core;
use crate::link::Link;
use crate::security;

/// A request's head must be complete so long after its first byte.
const HEAD_MAX: Duration = Duration::from_secs(10);
/// A connection without a request is closed after this long.
const IDLE_MAX: Duration = Duration::from_secs(75);
/// So much is read of a request before there is a hyper to read it.
const FIRST_BYTES: usize = 64;
/// A client that takes not one byte of its answer for this long is gone.
const WRITE_STALL_MAX: Duration = Duration::from_secs(30);

/// A write that waits for the client.
struct Stall {
    /// When the client counts as gone.
    due: Instant,
    timer: Pin<Box<Sleep>>,
}

/// A connection's stream.
pub(crate) struct Edge<S> {
    stream: S,
    core: Arc<Core>,
    link: Arc<Link>,
    /// How many requests there were when bytes of the next one came that is not complete yet, and since when the rest has been waited for.
    partial: Option<(u32, Option<Instant>)>,
    /// The unfinished head's first line has ended.
    line_ended: bool,
    /// Since when nothing has come, and after how many requests.
    idle: (u32, Instant),
    watch: Pin<Box<Sleep>>,
    stall: Option<Box<Stall>>,
    /// What was read and is to be read again.
    ahead: Vec<u8>,
    is_shut: bool,
    is_tls: bool,
    /// A problem document that takes the place of hyper's bare answer, and how much of it is written.
    instead: Option<(Vec<u8>, usize)>,
}

impl<S> Edge<S> {
    pub(crate) fn new(stream: S, is_tls: bool, core: Arc<Core>) -> (Self, Arc<Link>) {
        let link = Arc::new(Link::default());
        let now = Instant::now();
        let edge = Self {
            stream,
            core,
            link: Arc::clone(&link),
            partial: None,
            line_ended: false,
            idle: (0, now),
            // A client that connects and says nothing gets no longer than one that says half.
            watch: Box::pin(tokio::time::sleep_until(now + HEAD_MAX)),
            stall: None,
            ahead: Vec::new(),
            is_shut: false,
            is_tls,
            instead: None,
        };
        (edge, link)
    }

    /// What was read of it, to be read again.
    pub(crate) fn put_back(&mut self, bytes: &[u8]) {
        self.ahead = bytes.to_vec();
    }

    /// What hyper had read of the next request, and nobody had looked at: it came with the last of a body, or before the answer's end.
    pub(crate) fn go_back(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.on_read(bytes);
        }
        self.put_back(bytes);
    }

    /// Whether its end was told, or is being.
    pub(crate) fn is_shut(&self) -> bool {
        self.is_shut
    }

    /// The stream itself, when it carries no more HTTP.
    pub(crate) fn into_stream(self) -> S {
        self.stream
    }

    /// Bytes came from the client.
    fn on_read(&mut self, bytes: &[u8]) {
        if self.link.is_answering() {
            self.partial = None;
            // With no body left to come it is the next request, pipelined.
            if self.link.is_settled() {
                self.link.note(bytes, false);
            }
            return;
        }
        let requests = self.link.requests();
        let is_first = self.partial.is_none_or(|(seen, _)| seen != requests);
        self.link.note(bytes, is_first);
        if is_first {
            self.partial = Some((requests, None));
            self.line_ended = false;
        }
        self.line_ended = self.line_ended || bytes.contains(&b'\n');
    }

    /// Nothing came: is that still in order?
    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.link.is_answering() {
            return Poll::Pending;
        }
        loop {
            let requests = self.link.requests();
            let due = match &mut self.partial {
                Some((seen, since)) if *seen == requests => {
                    *since.get_or_insert_with(Instant::now) + HEAD_MAX
                }
                Some(_) => {
                    self.partial = None;
                    continue;
                }
                None if self.idle.0 != requests => {
                    self.idle = (requests, Instant::now());
                    continue;
                }
                None if requests == 0 => self.idle.1 + HEAD_MAX,
                None => self.idle.1 + IDLE_MAX,
            };
            if due < self.watch.deadline() {
                self.watch.as_mut().reset(due);
            }
            ready!(self.watch.as_mut().poll(cx));
            if due <= Instant::now() {
                return Poll::Ready(());
            }
            self.watch.as_mut().reset(due);
        }
    }

    fn poll_stall(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let stall = self.stall.get_or_insert_with(|| {
            let due = Instant::now() + WRITE_STALL_MAX;
            Box::new(Stall { due, timer: Box::pin(tokio::time::sleep_until(due)) })
        });
        loop {
            let now = Instant::now();
            if stall.due <= now {
                break;
            }
            // Meanwhile its service has nothing to do.
            let next = self.link.loan.waits(now).map_or(stall.due, |look| look.min(stall.due));
            if next != stall.timer.deadline() {
                stall.timer.as_mut().reset(next);
            }
            ready!(stall.timer.as_mut().poll(cx));
        }
        Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, "the client does not take its answer"))
    }

    /// The document to write in place of `answer`, if that is one of hyper's own.
    fn replacement(&self, answer: &[u8]) -> Option<Vec<u8>> {
        // A service's body may begin like that too.
        if self.link.is_unwritten() {
            return None;
        }
        let rest = answer.strip_prefix(b"HTTP/1.1 4")?;
        let code = match rest.get(..2)? {
            b"00" => ProblemCode::MalformedRequest,
            b"14" => ProblemCode::UriTooLong,
            // hyper cannot tell a head without end from a first line without end.
            b"31" if self.partial.is_some() && !self.line_ended => ProblemCode::UriTooLong,
            b"31" => ProblemCode::HeadersTooLarge,
            _ => return None,
        };
        self.core.meters.no_request();
        let problem = Problem::new(code).detail("This is not an HTTP/1.1 request that can be answered.");
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let status = http::StatusCode::from_u16(code.status()).unwrap_or_default();
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\n\
             cache-control: no-store\r\n{}connection: close\r\n\r\n",
            body.len(),
            security::lines(self.is_tls)
        );
        Some([head.as_bytes(), &body].concat())
    }
}

impl<S: AsyncRead + Unpin> Edge<S> {
    /// Waits for the next request's first bytes. Answers whether there is one.
    pub(crate) async fn wait(&mut self) -> bool {
        if !self.ahead.is_empty() {
            return true;
        }
        std::future::poll_fn(|cx| {
            // Not a part of the future: most of the time there is nothing to read.
            let mut first = [0; FIRST_BYTES];
            let mut first = ReadBuf::new(&mut first);
            let read = ready!(Pin::new(&mut *self).poll_read(cx, &mut first));
            self.put_back(first.filled());
            Poll::Ready(read.is_ok() && !self.ahead.is_empty())
        })
        .await
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Edge<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let now = self.ahead.len().min(buf.remaining());
            buf.put_slice(&self.ahead[..now]);
            self.ahead.drain(..now);
            if self.ahead.is_empty() {
                self.ahead = Vec::new();
            }
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        if let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(cx, buf) {
            let bytes = &buf.filled()[before..];
            if !bytes.is_empty() {
                self.on_read(bytes);
            }
            return Poll::Ready(read);
        }
        ready!(self.poll_patience(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client sends nothing")))
    }
}

impl<S: AsyncWrite + Unpin> Edge<S> {
    fn poll_instead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some((document, written)) = &mut self.instead {
            match Pin::new(&mut self.stream).poll_write(cx, &document[*written..]) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(more)) => *written += more,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return self.poll_stall(cx).map(Err),
            }
            if *written == document.len() {
                self.instead = None;
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write_with(
        &mut self,
        cx: &mut Context<'_>,
        first: &[u8],
        write: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Some(document) = self.replacement(first) {
            self.instead = Some((document, 0));
            return Poll::Ready(Ok(first.len()));
        }
        match write(Pin::new(&mut self.stream), cx) {
            Poll::Ready(written) => {
                if self.stall.take().is_some() {
                    self.link.loan.moves(Instant::now());
                }
                Poll::Ready(written)
            }
            Poll::Pending => {
                self.link.unsettle();
                self.poll_stall(cx).map(Err)
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Edge<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_with(cx, buf, |stream, cx| stream.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = bufs.first().map_or(&[][..], |slice| slice);
        self.poll_write_with(cx, first, |stream, cx| stream.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_instead(cx))?;
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        // TLS takes bytes that the socket does not take yet: they are written while somebody asks, and who rests does not.
        match flushed {
            Poll::Pending => self.link.unsettle(),
            Poll::Ready(_) => self.link.flushed(),
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_instead(cx))?;
        self.is_shut = true;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
