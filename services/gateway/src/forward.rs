//! Forwarding: an endpoint picked, a request sent, sent again where that is safe, and the answer's head brought back.

use std::pin::pin;
use std::sync::Arc;
use std::task::Context;
use std::time::{Duration, Instant};

use bytes::Bytes;
use contracts::problem::ProblemCode;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST, RETRY_AFTER, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use resilience::balance::Pick;
use resilience::breaker::Permit;
use resilience::health::Failure;
use resilience::retry::{
    Attempt, Outcome, Reason, RetryBudget, RetryPolicy, Verdict, decide, parse_retry_after,
};
use tokio::time::timeout_at;
use traces::http::{answered, not_answered};
use traces::{Kind, Span, TraceContext};

use crate::body::{Broken, ClientBody, Intake, Outgoing};
use crate::exchange::method_name;
use crate::gateway::Core;
use crate::headers::{Asked, TRACEPARENT};
use crate::invitation::Invitation;
use crate::kept::{Lane, Member};
use crate::link::Link;
use crate::refusal::Refusal;
use crate::target::{is_just_chunked, is_length_clear};
use crate::upstream::{Connection, SendError, Stream};

/// A body up to this size is read first, so that the request can be made again.
const REPLAY_BYTES_MAX: u64 = 64 * 1024;
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A request to be made, as often as need be.
pub(crate) struct Errand<'a> {
    core: &'a Core,
    link: &'a Link,
    lane: &'a Lane,
    policy: RetryPolicy,
    budget: &'a RetryBudget,
    /// When the request's head was there.
    begun: Instant,
    deadline: Instant,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Load,
    intake: Option<Arc<Intake>>,
    invitation: Option<Invitation>,
    websocket: bool,
    pub(crate) retries_made: u32,
    /// Where the request stands in its trace, and its route, if the trace is recorded: each attempt then has a span of its own.
    pub(crate) trace: Option<(TraceContext, Arc<str>)>,
}

/// What the errand carries.
#[expect(clippy::large_enum_variant, reason = "one a request, where a box would be one allocation more")]
enum Load {
    Nothing,
    /// Can be sent again.
    Kept(Bytes),
    /// Can be sent once; gone when it was.
    Stream(Option<Request<Outgoing>>),
}

/// An answer that is being read: the endpoint counts as busy until it is, and the connection is kept then.
#[derive(Debug)]
pub(crate) struct Answering {
    pick: Pick<Arc<Member>>,
    connection: Option<Connection>,
    /// When its head came.
    since: Instant,
}

impl Answering {
    /// The answer broke off.
    pub(crate) fn broke_off(&self) {
        self.pick.failed(Instant::now(), Failure::BrokeOff);
    }

    /// The answer was read to its end.
    pub(crate) fn reuse(&mut self) {
        self.pick.endpoint.health.completed();
        if let Some(connection) = self.connection.take() {
            self.pick.endpoint.keep(connection, self.since);
        }
    }

    /// What the connection became, when the answer was that it changes its language: its stream, and what was read of it already.
    pub(crate) fn into_stream(self) -> Option<(Stream, Bytes, Pick<Arc<Member>>)> {
        let (stream, read) = self.connection?.into_stream()?;
        Some((stream, read, self.pick))
    }

    /// Reads what has come of the answer's body, and has the task woken when more comes.
    pub(crate) fn drive(&mut self, cx: &mut Context<'_>) {
        if let Some(connection) = &mut self.connection {
            connection.drive(cx);
        }
    }
}

/// What one attempt came to.
struct Attempted {
    outcome: Outcome,
    /// What the client gets if there is no further one.
    stands: Result<Answer, Refusal>,
}

/// An answer's head, with its body still to be read.
pub(crate) type Answer = (Response<Incoming>, Answering);

/// The parts of a request that the way has finished with.
pub(crate) struct Parcel {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Incoming,
    pub(crate) bytes_max: u64,
    pub(crate) asked: Asked,
}

/// Whether an answer speaks against the endpoint. A service that refuses in order (503, with a problem document) is well: it sheds what
/// it cannot do just now, such as writes to a full disk, and the rest must go on reaching it.
fn is_sick(response: &Response<Incoming>) -> bool {
    let is_problem =
        || response.headers().get(CONTENT_TYPE).is_some_and(|value| value == http_kit::problem::MEDIA_TYPE);
    match response.status().as_u16() {
        503 => !is_problem(),
        status => matches!(status, 500 | 502 | 504),
    }
}

impl<'a> Errand<'a> {
    /// Whether it had the client's body in hand, so that a refusal leaves some of it unread on the connection.
    pub(crate) fn is_streaming(&self) -> bool {
        self.intake.is_some()
    }

    /// Takes a request's body in hand: nothing, read first, or streamed.
    pub(crate) async fn prepare(
        (core, link): (&'a Core, &'a Link),
        (lane, policy, budget): (&'a Lane, RetryPolicy, &'a RetryBudget),
        (begun, deadline): (Instant, Instant),
        parcel: Parcel,
    ) -> Result<Self, Refusal> {
        let Parcel { method, uri, headers, body, bytes_max, asked } = parcel;
        let known = body.size_hint().exact();
        let mut errand = Self {
            core,
            link,
            lane,
            policy,
            budget,
            begun,
            deadline,
            method,
            uri,
            headers,
            body: Load::Nothing,
            intake: None,
            invitation: None,
            websocket: asked.websocket,
            retries_made: 0,
            trace: None,
        };
        if body.is_end_stream() {
            return Ok(errand);
        }
        let (body, intake) = ClientBody::new(body, bytes_max);
        let is_small = known.is_some_and(|bytes| bytes <= REPLAY_BYTES_MAX);
        if is_small && !asked.to_continue && policy.retries_max > 0 && errand.is_idempotent() {
            // In a box, as everything here that is rare and large: a request's future is moved about, with all that it may ever need.
            let read = Box::pin(timeout_at(deadline.into(), body.collect())).await;
            let bytes = read.map_err(|_| client_fault(Broken::Idle))?.map_err(client_fault)?.to_bytes();
            errand.body = Load::Kept(bytes);
        } else {
            errand.intake = Some(intake);
            errand.invitation = asked.to_continue.then(Invitation::default);
            errand.body = Load::Stream(Some(errand.streaming(body, known.is_none())));
        }
        Ok(errand)
    }

    fn streaming(&mut self, body: ClientBody, is_chunked: bool) -> Request<Outgoing> {
        if is_chunked {
            // hyper takes it for granted that a GET has no body.
            self.headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        let Some(invitation) = self.invitation.clone() else {
            return self.request(Outgoing::Streaming(body));
        };
        self.headers.insert(EXPECT, HeaderValue::from_static("100-continue"));
        let mut request = self.request(Outgoing::Streaming(body.by_invitation(&invitation)));
        invitation.listen(&mut request);
        request
    }

    /// Whether the client still waits to be told to send a body that the service did not want.
    pub(crate) fn is_declined(&self) -> bool {
        self.invitation.as_ref().is_some_and(Invitation::is_declined)
    }

    /// Gets an answer's head, in as many attempts as are safe, allowed and in time.
    pub(crate) async fn run(&mut self) -> Result<Answer, Refusal> {
        self.budget.deposit(self.begun);
        let mut avoid = None;
        loop {
            let Attempted { outcome, stands } = self.attempt(&mut avoid).await?;
            match self.verdict(outcome) {
                Verdict::Retry { after } if self.budget.try_withdraw(Instant::now()) => {
                    drop(stands);
                    self.retries_made += 1;
                    self.core.meters.retries.inc();
                    tokio::time::sleep(after).await;
                }
                _ => return stands,
            }
        }
    }

    /// One attempt: pick, ask the breaker, send, report. An error ends the errand.
    async fn attempt(&mut self, avoid: &mut Option<usize>) -> Result<Attempted, Refusal> {
        // What came before the first attempt is a few microseconds, and looking at the clock is not free.
        let started = if avoid.is_none() { self.begun } else { Instant::now() };
        let (pick, permit) = self.pick(started, *avoid)?;
        *avoid = Some(pick.index());
        let mut sent = self.send(&pick, Some(started)).await?;
        if matches!(sent, Some(Err(SendError::NoAnswer { maybe_stale: true, .. }))) && self.can_repeat() {
            // The service closed a kept connection just as we used it. That speaks neither against it nor against a new one.
            sent = self.send(&pick, None).await?;
        }
        let now = Instant::now();
        let (outcome, refusal) = match sent {
            Some(Ok((response, connection))) => {
                pick.answered(now);
                let is_sick = is_sick(&response);
                if is_sick {
                    pick.failed(now, Failure::BadAnswer);
                } else {
                    pick.endpoint.health.answered();
                }
                report(permit, |permit| {
                    if is_sick { permit.failure(now) } else { permit.success(now, now - started) }
                });
                if let Some(invitation) = &self.invitation {
                    invitation.answered();
                }
                let answering = Answering { pick, connection: Some(connection), since: now };
                return Ok(judge(response, answering, self.websocket));
            }
            None => {
                pick.answered(now);
                pick.failed(now, Failure::Silent);
                report(permit, |permit| permit.failure(now));
                return Err(Refusal::bare(ProblemCode::DeadlineExceeded));
            }
            Some(Err(SendError::NotSent(request, why))) => {
                tracing::debug!(service = %self.lane.service, endpoint = %pick.address, %why, "not reached");
                if let Load::Stream(stream) = &mut self.body {
                    *stream = Some(*request);
                }
                pick.failed(now, Failure::Unreached);
                (Outcome::NotSent, unreachable())
            }
            Some(Err(SendError::NoAnswer { why, .. })) => {
                tracing::debug!(service = %self.lane.service, endpoint = %pick.address, %why, "no answer");
                pick.failed(now, Failure::Silent);
                (Outcome::NoAnswer, broke_off())
            }
        };
        report(permit, |permit| permit.failure(now));
        Ok(Attempted { outcome, stands: Err(refusal) })
    }

    /// Sends once, at `now` on a kept connection or else on a new one; `None` when the deadline passes. What the client did wrong with its body ends the errand, and says nothing of
    /// the endpoint.
    async fn send(
        &mut self,
        endpoint: &Member,
        now: Option<Instant>,
    ) -> Result<Option<Result<(Response<Incoming>, Connection), SendError>>, Refusal> {
        let Some(mut request) = self.next() else { return Err(unreachable()) };
        request.headers_mut().insert(HOST, endpoint.endpoint.host.clone());
        let mut span = self.span(endpoint, &mut request);
        let sending = pin!(endpoint.endpoint.send(request, now));
        let sent = self.link.within(self.deadline.into(), sending).await;
        if let Some(span) = &mut span {
            tell(span, sent.as_ref());
        }
        match self.intake.as_ref().and_then(|intake| intake.fault()) {
            Some(fault) => Err(client_fault(fault)),
            None if sent.is_none() && self.intake.as_ref().is_some_and(|intake| intake.is_waiting()) => {
                Err(client_fault(Broken::Idle))
            }
            None => Ok(sent),
        }
    }

    /// The span of an attempt, whose place in the trace the service is told.
    fn span(&self, endpoint: &Member, request: &mut Request<Outgoing>) -> Option<Box<Span>> {
        let (context, template) = self.trace.as_ref()?;
        let method = method_name(&self.method);
        let name = format!("{method} {template}");
        let mut span = Box::new(self.core.world.tracer.child(*context, Kind::Client, name)?);
        traces::http::asks(&mut span, method, template, self.retries_made);
        traces::http::towards(&mut span, &endpoint.address);
        let traceparent = HeaderValue::from_maybe_shared(Bytes::from_owner(span.context().header()));
        if let Ok(traceparent) = traceparent {
            request.headers_mut().insert(TRACEPARENT, traceparent);
        }
        Some(span)
    }

    /// An endpoint that is well and not the one that has just failed, with leave to call it.
    fn pick(
        &self,
        now: Instant,
        avoid: Option<usize>,
    ) -> Result<(Pick<Arc<Member>>, Option<Permit>), Refusal> {
        let balancer = &self.lane.balancer;
        let share = |member: &Arc<Member>| self.lane.share(member, now);
        let Some(pick) = balancer.pick_but(avoid, now, self.core.roll(), share) else {
            return Err(unreachable());
        };
        let Some(breaker) = &pick.breaker else { return Ok((pick, None)) };
        // With more than half of the endpoints unwell, the load is spread over all rather than crush the rest; with all breakers open
        // there is nothing left to spread.
        let admits = |member: &Member| member.breaker.as_ref().is_none_or(|breaker| breaker.admits(now));
        let permit = if pick.is_panic() && balancer.endpoints().any(|(member, _)| admits(member)) {
            breaker.acquire_anyway(now)
        } else {
            breaker.try_acquire(now).map_err(|open| {
                let detail = format!("{} is being given a rest after failures.", self.lane.service);
                Refusal::unavailable(detail, open.retry_after)
            })?
        };
        Ok((pick, Some(permit)))
    }

    fn verdict(&self, outcome: Outcome) -> Verdict {
        // Nearly always: an answer, for which nobody need look at the clock.
        if matches!(outcome, Outcome::Answered { status: ..429, .. }) {
            return Verdict::Stop(Reason::Final);
        }
        let attempt = Attempt {
            idempotent: self.can_repeat(),
            retries_made: self.retries_made,
            time_left: self.deadline.saturating_duration_since(Instant::now()),
        };
        decide(&self.policy, attempt, outcome, self.core.roll())
    }

    /// The next attempt's request.
    fn next(&mut self) -> Option<Request<Outgoing>> {
        match &mut self.body {
            Load::Nothing => Some(self.request(Outgoing::Empty)),
            Load::Kept(bytes) => {
                let bytes = bytes.clone();
                Some(self.request(Outgoing::Kept(Some(bytes))))
            }
            Load::Stream(request) => request.take(),
        }
    }

    fn request(&self, body: Outgoing) -> Request<Outgoing> {
        let mut request = Request::new(body);
        request.method_mut().clone_from(&self.method);
        request.uri_mut().clone_from(&self.uri);
        request.headers_mut().clone_from(&self.headers);
        request
    }

    /// Doing it twice is as good as once (RFC 9110 §9.2.2; a POST with a key is recognised by the service).
    fn is_idempotent(&self) -> bool {
        matches!(self.method, Method::GET | Method::HEAD | Method::PUT | Method::DELETE)
            || (self.method == Method::POST && self.headers.contains_key(IDEMPOTENCY_KEY))
    }

    fn can_repeat(&self) -> bool {
        self.is_idempotent() && !matches!(self.body, Load::Stream(None))
    }
}

/// What an attempt's span says of how it ended.
fn tell(span: &mut Span, sent: Option<&Result<(Response<Incoming>, Connection), SendError>>) {
    match sent {
        Some(Ok((response, _))) => answered(Some(span), Kind::Client, response.status().as_u16()),
        Some(Err(SendError::NotSent(..))) => not_answered(Some(span), false, true),
        Some(Err(SendError::NoAnswer { .. })) => not_answered(Some(span), false, false),
        None => not_answered(Some(span), true, false),
    }
}

/// An answer is an answer; whether "later" is one is for the retry policy to say.
fn judge(response: Response<Incoming>, answering: Answering, websocket: bool) -> Attempted {
    let status = response.status().as_u16();
    let asked = || response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after = if status < 429 { None } else { asked().and_then(parse_retry_after) };
    let outcome = Outcome::Answered { status, retry_after };
    let stands = if is_odd(&response, websocket) { Err(broke_off()) } else { Ok((response, answering)) };
    Attempted { outcome, stands }
}

/// Whether the service speaks another language: of an upgrade nobody asked for, or with a body whose end two readers could see in two
/// places (RFC 9112 §6.3), or in a coding that we would have to undo before it is told on.
fn is_odd(response: &Response<Incoming>, websocket: bool) -> bool {
    let headers = response.headers();
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let to = headers.get(UPGRADE).map_or(&[][..], HeaderValue::as_bytes);
        return !(websocket && to.eq_ignore_ascii_case(b"websocket"));
    }
    !is_length_clear(headers)
        || (headers.contains_key(TRANSFER_ENCODING)
            && (headers.contains_key(CONTENT_LENGTH) || !is_just_chunked(headers)))
}

fn report(permit: Option<Permit>, how: impl FnOnce(Permit)) {
    if let Some(permit) = permit {
        how(permit);
    }
}

fn unreachable() -> Refusal {
    Refusal::unavailable("The service cannot be reached.", Duration::from_secs(1))
}

fn broke_off() -> Refusal {
    let detail = "The service broke off. If this was a write it may have happened: read before repeating.";
    Refusal::unavailable(detail, Duration::from_secs(1))
}

/// What the client is told of its own body.
fn client_fault(fault: Broken) -> Refusal {
    match fault {
        Broken::TooLarge => Refusal { close: true, ..Refusal::bare(ProblemCode::PayloadTooLarge) },
        Broken::Idle => Refusal::malformed("The body did not come in time."),
        Broken::Unreadable => Refusal::malformed("The body cannot be read."),
    }
}
