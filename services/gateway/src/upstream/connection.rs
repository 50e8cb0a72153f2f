//! [`Connection`]: what a request is sent on. [`Http1`]: HTTP/1.1 towards a service, one request at a time (RFC 9112).
//!
//! That has no task of its own: whoever waits for its answer drives it, and is woken for what comes. So a request costs one wake-up when its
//! answer comes, and no channel between two tasks. hyper's client took a third of all the instructions of a request (ADR 14); its parser,
//! `httparse`, is the one used here.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode};
use hyper::body::{Body as _, Frame, SizeHint};
use tokio::task::unconstrained;

use super::answer::{self, Body, Malformed, Next};
use super::reading::Reading;
use super::sending::{Fault, Sending};
use super::{Ask, Call, Stream};
use crate::body::{Broken, Outgoing};
use crate::invitation::Invitation;

/// A connection, idle or with one request on it; or one request's place on a connection that others have too.
pub(crate) enum Connection {
    Http1(Box<Http1>),
    Http2(Box<Call>),
}

/// A connection that speaks HTTP/1.1.
pub(crate) struct Http1 {
    stream: Stream,
    sending: Sending,
    reading: Reading,
    /// What is still to come of the last answer; `None`: its head.
    body: Option<Body>,
    /// The request's own body broke off. What has come of an answer is passed on all the same, and no more waited for.
    broken: Option<Broken>,
    /// Another request may be made on it.
    is_open: bool,
}

/// Why there is no answer, or not the rest of one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoAnswer {
    /// The request's own body broke off, which says nothing of the service.
    #[error(transparent)]
    Body(#[from] Broken),
    /// The service speaks another language.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("the connection ended: {0}")]
    Ended(#[from] io::Error),
    /// There is no head, over HTTP/2.
    #[error("{0}")]
    NoHead(String),
    /// An answer breaks off, over HTTP/2.
    #[error("the stream ended: {}", traces::chain(.0))]
    Stream(hyper::Error),
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Http1(http1) => {
                f.debug_struct("Http1").field("is_open", &http1.is_open).finish_non_exhaustive()
            }
            Self::Http2(call) => call.fmt(f),
        }
    }
}

impl Connection {
    pub(super) fn new(stream: Stream) -> Self {
        let mut sending = Sending::default();
        sending.give_up();
        let (reading, body) = (Reading::default(), Some(Body::Length(0)));
        Self::Http1(Box::new(Http1 { stream, sending, reading, body, broken: None, is_open: true }))
    }

    /// Sends a request and waits for its answer's head. What of a body has not been sent by then goes out while the answer's is read.
    pub(crate) async fn send(
        &mut self,
        ask: &Ask<'_>,
        host: &HeaderValue,
        body: Outgoing,
        invitation: Option<&Invitation>,
    ) -> Result<Response<()>, NoAnswer> {
        let this = match self {
            Self::Http1(http1) => http1,
            Self::Http2(call) => {
                // In a box, with the body: for HTTP/1.1 there need be no room for it.
                let sent = Box::pin(async move { call.send(ask, &mut Some(body)).await }).await;
                return sent.map_err(|error| NoAnswer::NoHead(error.why()));
            }
        };
        this.stream.be_patient(body.size_hint().upper());
        this.sending.begin(ask, host, body);
        this.reading.has_heard = false;
        this.body = None;
        poll_fn(|cx| this.poll_head(cx, ask.method, invitation)).await
    }

    /// The next piece of the answer's body; `None`: that was all.
    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, NoAnswer>>> {
        let this = match self {
            Self::Http1(http1) => http1,
            Self::Http2(call) => return call.poll_frame(cx),
        };
        let frame = ready!(this.poll_frame(cx));
        if matches!(frame, Some(Err(_))) {
            this.is_open = false;
        }
        Poll::Ready(frame)
    }

    /// Whether nothing of the answer's body is still to come, as far as that is known without reading on.
    pub(crate) fn is_end_stream(&self) -> bool {
        match self {
            Self::Http1(http1) => http1.body.is_some_and(|body| body.is_end()),
            Self::Http2(call) => call.is_end_stream(),
        }
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1(http1) => match http1.body {
                Some(Body::Length(left)) => SizeHint::with_exact(left),
                _ => SizeHint::new(),
            },
            Self::Http2(call) => call.size_hint(),
        }
    }

    /// Whether it is through with its last request, and nobody else has it: it has read the answer to the end and sent the whole of the request.
    pub(super) fn is_done(&mut self) -> bool {
        let Self::Http1(this) = self else { return false };
        // What nobody takes any more may have found its way out since somebody looked.
        let is_sent = this.sending.is_done() || this.poll_sent(&mut unwoken()).is_ok();
        is_sent && this.is_through()
    }

    /// Whether it can take a request: it is through with its last one, and as far as can be seen still open.
    pub(crate) fn is_idle(&mut self) -> bool {
        let this = match self {
            Self::Http1(http1) => http1,
            Self::Http2(call) => return call.is_idle(),
        };
        if !this.is_through() {
            return false;
        }
        // Nothing is to come now: neither an end, nor an answer that nobody has asked for. Asked of the socket, and not of the task, which has read
        // enough for its turn when it has met a hundred that were closed.
        let Http1 { reading, stream, .. } = &mut **this;
        let more = pin!(unconstrained(poll_fn(|cx| reading.poll_more(stream, cx))));
        more.poll(&mut unwoken()).is_pending()
    }

    /// Whether any of an answer to its last request has come. None comes from a connection that was closed while it was idle.
    pub(super) fn has_heard(&self) -> bool {
        match self {
            Self::Http1(http1) => http1.reading.has_heard,
            Self::Http2(_) => false,
        }
    }

    /// Gives back what it needs no more than any other that waits for a request.
    pub(super) fn rest(&mut self) {
        if let Self::Http1(http1) = self {
            http1.sending.rest();
            http1.reading.rest();
        }
    }

    /// The bare stream, and what was read of it, once it was agreed that it changes its language.
    pub(crate) fn into_stream(self) -> Option<(Stream, Bytes)> {
        let Self::Http1(http1) = self else { return None };
        let Http1 { mut stream, reading, .. } = *http1;
        stream.be_patient(None);
        Some((stream, reading.ahead))
    }
}

impl Http1 {
    fn is_through(&self) -> bool {
        self.is_open
            && self.sending.is_done()
            && self.reading.ahead.is_empty()
            && self.body.is_some_and(|body| body.is_end())
    }

    /// Sends what can be sent now. A connection that takes no more may still bring an answer.
    fn poll_sent(&mut self, cx: &mut Context<'_>) -> Result<(), Broken> {
        match self.sending.poll(&mut self.stream, cx) {
            Poll::Pending | Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(Fault::Body(broken))) => {
                self.is_open = false;
                return Err(broken);
            }
            Poll::Ready(Err(Fault::Written(error))) => {
                tracing::debug!(%error, "a service takes no more of a request");
                self.is_open = false;
                self.sending.give_up();
            }
        }
        Ok(())
    }

    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        method: &Method,
        invitation: Option<&Invitation>,
    ) -> Poll<Result<Response<()>, NoAnswer>> {
        loop {
            self.poll_sent(cx)?;
            if !self.reading.ahead.is_empty()
                && let Some(head) = answer::head(&mut self.reading.ahead, method)?
            {
                let status = head.response.status();
                if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
                    if let (StatusCode::CONTINUE, Some(invitation)) = (status, invitation) {
                        invitation.accept();
                    }
                    continue;
                }
                self.is_open &= head.keeps_alive && status != StatusCode::SWITCHING_PROTOCOLS;
                self.body = Some(head.body);
                return Poll::Ready(Ok(head.response));
            }
            if ready!(self.reading.poll_more(&mut self.stream, cx))? == 0 {
                return Poll::Ready(Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()));
            }
        }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, NoAnswer>>> {
        if !self.sending.is_done()
            && let Err(broken) = self.poll_sent(cx)
        {
            self.sending.give_up();
            self.broken = Some(broken);
        }
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        loop {
            match body.next(&mut self.reading.ahead) {
                Ok(Next::Frame(frame)) => return Poll::Ready(Some(Ok(frame))),
                Ok(Next::End) => return Poll::Ready(None),
                Ok(Next::More) => {}
                Err(malformed) => return Poll::Ready(Some(Err(malformed.into()))),
            }
            let more = self.reading.poll_more(&mut self.stream, cx);
            if let Some(broken) = self.broken
                && !matches!(more, Poll::Ready(Ok(1..)))
            {
                return Poll::Ready(Some(Err(broken.into())));
            }
            match ready!(more) {
                Ok(1..) => {}
                Ok(0) if *body == Body::Rest => {
                    *body = Body::Length(0);
                    return Poll::Ready(None);
                }
                Ok(0) => {
                    let end = io::Error::from(io::ErrorKind::UnexpectedEof);
                    return Poll::Ready(Some(Err(end.into())));
                }
                Err(error) => return Poll::Ready(Some(Err(error.into()))),
            }
        }
    }
}

fn unwoken() -> Context<'static> {
    Context::from_waker(Waker::noop())
}
