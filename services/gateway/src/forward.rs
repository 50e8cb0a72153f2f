//! Forwarding: an endpoint picked, a request sent, sent again where that is safe, and the answer's head brought back.

mod attempt;
mod hedge;
mod resend;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use contracts::problem::ProblemCode;
use http::header::{IF_MATCH, IF_UNMODIFIED_SINCE};
use http::{HeaderMap, HeaderName, Method, Response, Uri};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use resilience::balance::Pick;
use resilience::health::Failure;
use resilience::retry::{Attempt, Outcome, Reason, RetryBudget, RetryPolicy, Verdict, decide};
use traces::TraceContext;

use crate::body::{Broken, ClientBody, Intake, Outgoing};
use crate::gateway::Core;
use crate::gather::{Gathered, Loaded, SMALL_BYTES_MAX, gather};
use crate::invitation::Invitation;
use crate::kept::{Lane, Member};
use crate::link::Link;
use crate::pace::{Pace, Time};
use crate::refusal::Refusal;
use crate::upstream::{Ask, Connection, NoAnswer, OwnLines, Stream};
use attempt::Attempted;
pub(crate) use hedge::Hedged;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A request to be made, as often as need be.
pub(crate) struct Errand<'a> {
    core: &'a Core,
    link: &'a Arc<Link>,
    lane: &'a Lane,
    policy: RetryPolicy,
    budget: &'a RetryBudget,
    pace: &'a Pace,
    time: Time,
    /// Since when it is the service that is waited for.
    since: Instant,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    own: OwnLines<'a>,
    body: Load,
    intake: Option<Arc<Intake>>,
    invitation: Option<Invitation>,
    /// For the next repetition the budget was asked already, and agreed.
    paid: AtomicBool,
    /// It was sent once more because a kept connection was closed.
    resent: resend::Resent,
    pub(crate) retries_made: u32,
    pub(crate) hedged: Option<Hedged>,
    /// Where the request stands in its trace, and its route, if the trace is recorded: each attempt then has a span of its own.
    pub(crate) trace: Option<(TraceContext, Arc<str>)>,
}

/// What the errand carries.
enum Load {
    Nothing,
    /// Was read first, and can be sent again.
    Kept(Gathered),
    /// Can be sent once; gone when it was. In a box, since most requests have none, and are moved about.
    Stream(Option<Box<ClientBody>>),
}

/// An answer that is being read: the endpoint counts as busy until it is, and the connection is kept then.
#[derive(Debug)]
pub(crate) struct Answering {
    pick: Pick<Arc<Member>>,
    connection: Option<Connection>,
    /// When its head came.
    pub(crate) since: Instant,
}

impl Answering {
    /// Nothing more came of the answer.
    pub(crate) fn fell_silent(&self) {
        self.pick.failed(Instant::now(), Failure::BrokeOff);
    }

    /// The answer broke off. What the client did wrong in its own request speaks against nobody else.
    pub(crate) fn broke_off(&self, error: &NoAnswer) {
        if !matches!(error, NoAnswer::Body(_)) {
            self.pick.endpoint.tell_malformed(error);
            self.fell_silent();
        }
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

    /// The next piece of the answer's body; `None`: that was all.
    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, NoAnswer>>> {
        let Some(connection) = &mut self.connection else { return Poll::Ready(None) };
        connection.poll_frame(cx)
    }

    /// Whether nothing of it is still to come, as far as that is known without reading on.
    pub(crate) fn is_end_stream(&self) -> bool {
        self.connection.as_ref().is_none_or(Connection::is_end_stream)
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        self.connection.as_ref().map(Connection::size_hint).unwrap_or_default()
    }
}

/// An answer's head, with its body still to be read.
pub(crate) type Answer = (Response<()>, Answering);

/// The parts of a request that the way has finished with.
pub(crate) struct Parcel<'a> {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) own: OwnLines<'a>,
}

impl<'a> Errand<'a> {
    /// Whether it had the client's body in hand, so that a refusal leaves some of it unread on the connection.
    pub(crate) fn is_streaming(&self) -> bool {
        self.intake.is_some()
    }

    /// The client's body, if it is read while the service has the request.
    pub(crate) fn intake(&self) -> Option<&Arc<Intake>> {
        self.intake.as_ref()
    }

    /// A request without a body.
    pub(crate) fn new(
        (core, link): (&'a Core, &'a Arc<Link>),
        (lane, policy, budget): (&'a Lane, RetryPolicy, &'a RetryBudget),
        (pace, time): (&'a Pace, Time),
        parcel: Parcel<'a>,
    ) -> Self {
        let Parcel { method, uri, headers, own } = parcel;
        Self {
            core,
            link,
            lane,
            policy,
            budget,
            pace,
            time,
            since: time.begun,
            method,
            uri,
            headers,
            own,
            body: Load::Nothing,
            intake: None,
            invitation: None,
            paid: AtomicBool::new(false),
            resent: resend::Resent::default(),
            retries_made: 0,
            hedged: None,
            trace: None,
        }
    }

    /// Takes the request's body in hand: nothing, read first, or streamed.
    pub(crate) async fn load(&mut self, body: Incoming, bytes_max: u64) -> Result<(), Refusal> {
        // There must be something to wait for.
        let expects = std::mem::take(&mut self.own.expects);
        if body.is_end_stream() {
            return Ok(());
        }
        let known = body.size_hint().exact();
        let (mut body, intake) = ClientBody::new(body, bytes_max, self.link);
        // One that its client holds back until the service asks for it cannot be read before.
        if known.is_some_and(|bytes| bytes <= SMALL_BYTES_MAX) && !expects {
            body = match self.read_first(body).await? {
                Loaded::All(read) => {
                    self.body = Load::Kept(read);
                    return Ok(());
                }
                Loaded::Some(rest) => rest,
            };
        }
        self.intake = Some(intake);
        self.own.expects = expects;
        let body =
            if expects { body.by_invitation(self.invitation.insert(Invitation::default())) } else { body };
        self.body = Load::Stream(Some(Box::new(body)));
        Ok(())
    }

    async fn read_first(&mut self, body: ClientBody) -> Result<Loaded, Refusal> {
        // In a box, as everything here that is rare and large: a request's future is moved about, with all that it may ever need.
        let mut reading = Box::pin(gather(body, &self.core.bodies));
        let read = self.link.within(self.time.deadline.into(), reading.as_mut()).await;
        let loaded = read.unwrap_or(Err(Broken::Idle)).map_err(client_fault)?;
        self.own.time_left = self.pace.left(self.time.begun);
        self.since = Instant::now();
        Ok(loaded)
    }

    /// Whether the client still waits to be told to send a body that the service did not want.
    pub(crate) fn is_declined(&self) -> bool {
        self.invitation.as_ref().is_some_and(Invitation::is_declined)
    }

    /// Gets an answer's head, in as many attempts as are safe, allowed and in time.
    pub(crate) async fn run(&mut self) -> Result<Answer, Refusal> {
        self.budget.deposit(self.time.begun);
        let hedging = self.pace.hedging.as_deref().filter(|_| self.may_hedge());
        if let Some(hedging) = hedging {
            hedging.budget.deposit(self.time.begun);
        }
        let mut avoid = None;
        loop {
            let Attempted { outcome, stands } = match hedging {
                // In a box: with two requests under way it is twice as large.
                Some(hedging) if avoid.is_none() => Box::pin(self.hedged(hedging, &mut avoid)).await?,
                _ => self.attempt(&mut avoid).await?,
            };
            match self.verdict(outcome) {
                Verdict::Retry { after }
                    if std::mem::take(self.paid.get_mut()) || self.budget.try_withdraw(Instant::now()) =>
                {
                    drop(stands);
                    self.retries_made += 1;
                    self.core.meters.retries.inc();
                    tokio::time::sleep(after).await;
                }
                _ => return stands,
            }
        }
    }

    fn verdict(&self, outcome: Outcome) -> Verdict {
        // Nearly always: an answer, for which nobody need look at the clock.
        if matches!(outcome, Outcome::Answered { status: ..429, .. }) {
            return Verdict::Stop(Reason::Final);
        }
        let attempt = Attempt {
            idempotent: self.can_repeat(),
            retries_made: self.retries_made,
            time_left: self.time.deadline.saturating_duration_since(Instant::now()),
        };
        decide(&self.policy, attempt, outcome, self.core.roll())
    }

    /// The next attempt's body.
    fn next(&mut self) -> Option<Outgoing> {
        match &mut self.body {
            Load::Nothing => Some(Outgoing::Empty),
            Load::Kept(read) => Some(Outgoing::Kept(Some(read.bytes.clone()))),
            Load::Stream(body) => body.take().map(|body| Outgoing::Streaming(*body)),
        }
    }

    /// The request's head.
    fn ask(&self) -> Ask<'_> {
        Ask { method: &self.method, uri: &self.uri, headers: &self.headers, own: Some(&self.own) }
    }

    /// Doing it twice is as good as once (RFC 9110 §9.2.2; a POST with a key is recognised by the service). A write under a condition is not: where the
    /// first has been done, the second meets what that has left, and would be told as refused.
    fn is_idempotent(&self) -> bool {
        match self.method {
            Method::GET | Method::HEAD => true,
            Method::PUT | Method::DELETE => {
                !self.headers.contains_key(IF_MATCH) && !self.headers.contains_key(IF_UNMODIFIED_SINCE)
            }
            Method::POST => self.headers.contains_key(IDEMPOTENCY_KEY),
            _ => false,
        }
    }

    fn is_read(&self) -> bool {
        matches!(self.method, Method::GET | Method::HEAD)
    }

    fn can_repeat(&self) -> bool {
        self.is_idempotent() && self.has_body()
    }

    /// Whether its body is still there, or it has none.
    fn has_body(&self) -> bool {
        !matches!(self.body, Load::Stream(None))
    }
}

/// What the client is told of its own body.
fn client_fault(fault: Broken) -> Refusal {
    match fault {
        Broken::TooLarge => Refusal { close: true, ..Refusal::bare(ProblemCode::PayloadTooLarge) },
        Broken::Idle => Refusal::malformed("The body did not come in time."),
        Broken::Unreadable => Refusal::malformed("The body cannot be read."),
    }
}
