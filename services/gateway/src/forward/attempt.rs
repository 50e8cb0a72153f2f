//! One attempt: an endpoint picked, its breaker asked, the request sent, and what came of it reported.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use contracts::problem::ProblemCode;
use http::header::{CONTENT_TYPE, RETRY_AFTER, UPGRADE};
use http::{HeaderValue, Response, StatusCode};
use resilience::balance::Pick;
use resilience::breaker::Permit;
use resilience::health::Failure;
use resilience::retry::{Outcome, parse_retry_after};
use traces::http::{answered, not_answered};
use traces::{Kind, Span};

use super::{Answer, Answering, Errand, Load, client_fault};
use crate::body::{Broken, Outgoing};
use crate::exchange::method_name;
use crate::kept::Member;
use crate::refusal::{Cause, Refusal};
use crate::upstream::{Ask, Connection, ConnectionOption, OwnLines, SendError};

/// What one attempt came to.
pub(super) struct Attempted {
    pub(super) outcome: Outcome,
    /// What the client gets if there is no further one.
    pub(super) stands: Result<Answer, Refusal>,
}

/// What came of sending; `None`: nothing in time.
pub(super) type Sent = Option<Result<(Response<()>, Connection), SendError>>;

impl Errand<'_> {
    /// One attempt: pick, ask the breaker, send, report. An error ends the errand.
    pub(super) async fn attempt(&mut self, avoid: &mut Option<usize>) -> Result<Attempted, Refusal> {
        // What came before the first attempt is a few microseconds, and looking at the clock is not free.
        let started = if avoid.is_none() { self.since } else { Instant::now() };
        let (pick, permit) = self.pick(started, *avoid)?;
        *avoid = Some(pick.index());
        let until = self.until(started);
        let mut sent = self.send(&pick, Some(started), until).await?;
        // The service closed a kept connection just as we used it, or it said goodbye. That speaks neither against it nor against a new one.
        while self.may_resend(&sent) {
            sent = self.send(&pick, None, until).await?;
        }
        self.settle((pick, permit), sent, started)
    }

    /// Until when this attempt is waited for: less long than all of them only where another may still be made. Of a write none is given up before its
    /// time: it may be committing, and the next would meet what it has done.
    pub(super) fn until(&self, started: Instant) -> Instant {
        let deadline = self.time.deadline;
        match self.pace.per_try {
            Some(per_try) if self.retries_made < self.policy.retries_max && self.is_read() => {
                deadline.min(started + per_try)
            }
            _ => deadline,
        }
    }

    /// Reports an attempt's end, and says what it comes to.
    pub(super) fn settle(
        &mut self,
        (pick, permit): (Pick<Arc<Member>>, Option<Permit>),
        sent: Sent,
        started: Instant,
    ) -> Result<Attempted, Refusal> {
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
                // How long a body takes that is read on the way is for its client to say.
                let took = if self.is_streaming() { Duration::ZERO } else { now - started };
                report(
                    permit,
                    |permit| {
                        if is_sick { permit.failure(now) } else { permit.success(now, took) }
                    },
                );
                if let Some(invitation) = &self.invitation {
                    invitation.answered();
                }
                let answering = Answering { pick, connection: Some(connection), since: now };
                return Ok(judge(response, answering, self.own.option));
            }
            None => {
                pick.answered(now);
                let refusal = Refusal::bare(ProblemCode::DeadlineExceeded);
                let is_over = now >= self.time.deadline;
                // A client that is in a hurry could have every endpoint set aside by it.
                if !(is_over && self.time.is_hurried) {
                    pick.failed(now, Failure::Silent);
                    report(permit, |permit| permit.failure(now));
                }
                if is_over {
                    return Err(refusal);
                }
                return Ok(Attempted { outcome: Outcome::NoAnswer, stands: Err(refusal) });
            }
            // A service that refuses a request in order, or says goodbye, is well.
            Some(Err(SendError::Unprocessed(why))) => {
                tracing::debug!(service = %self.lane.service, endpoint = %pick.address, %why, "not taken");
                pick.answered(now);
                return Ok(Attempted { outcome: Outcome::NotSent, stands: Err(unreachable()) });
            }
            Some(Err(SendError::NotSent(why))) => {
                tracing::debug!(service = %self.lane.service, endpoint = %pick.address, %why, "not reached");
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

    /// Sends once, at `now` on a kept connection or else on a new one. What the client did wrong with its body ends the errand, and says
    /// nothing of the endpoint.
    async fn send(
        &mut self,
        endpoint: &Member,
        now: Option<Instant>,
        mut until: Instant,
    ) -> Result<Sent, Refusal> {
        let mut body = self.next();
        if body.is_none() {
            return Err(unreachable());
        }
        if self.retries_made > 0 {
            self.own.time_left = self.pace.left(self.time.begun);
        }
        let mut span = None;
        // Apart, since it is rare: each attempt of a trace that is recorded has a place of its own in it.
        let traced = self.trace.is_some().then(|| {
            let mut own = Box::new(self.own.clone());
            span = self.span(endpoint, &mut own);
            own
        });
        let ask = Ask { own: Some(traced.as_deref().unwrap_or(&self.own)), ..self.ask() };
        let sent = {
            let mut sending = pin!(endpoint.endpoint.send(&ask, &mut body, self.invitation.as_ref(), now));
            loop {
                let sent = self.link.within(until.into(), sending.as_mut()).await;
                // Given up only for another one: without leave for that, this one is all there is.
                if sent.is_some() || until >= self.time.deadline || self.pays() {
                    break sent;
                }
                until = self.time.deadline;
            }
        };
        // What was not sent can be sent again.
        if let (Load::Stream(stream), Some(Outgoing::Streaming(unsent))) = (&mut self.body, body) {
            *stream = Some(Box::new(unsent));
        }
        if let Some(span) = &mut span {
            tell(span, &sent);
        }
        match self.intake.as_ref().and_then(|intake| intake.fault()) {
            Some(fault) => Err(client_fault(fault)),
            None if sent.is_none() && self.intake.as_ref().is_some_and(|intake| intake.is_waiting()) => {
                Err(client_fault(Broken::Idle))
            }
            None if sent.is_none() && self.intake.as_ref().is_some_and(|intake| intake.is_queued()) => {
                let detail = "The service has more to do than it can just now.";
                Err(Refusal::unavailable(Cause::Shed, detail, Duration::from_secs(1)))
            }
            None => Ok(sent),
        }
    }

    /// Takes leave for a repetition before this attempt is given up.
    pub(super) fn pays(&self) -> bool {
        // Of two that are under way at once the other may have it: what follows is one repetition.
        let is_granted = self.paid.load(Ordering::Relaxed) || self.budget.try_withdraw(Instant::now());
        self.paid.store(is_granted, Ordering::Relaxed);
        is_granted
    }

    /// The span of an attempt, whose place in the trace the service is told.
    pub(super) fn span(&self, endpoint: &Member, own: &mut OwnLines<'_>) -> Option<Box<Span>> {
        let (context, template) = self.trace.as_ref()?;
        let method = method_name(&self.method);
        let name = format!("{method} {template}");
        let mut span = Box::new(self.core.world.tracer.child(*context, Kind::Client, name)?);
        traces::http::asks(&mut span, method, template, self.retries_made);
        traces::http::towards(&mut span, &endpoint.address);
        let traceparent = HeaderValue::from_maybe_shared(Bytes::from_owner(span.context().header()));
        if let Ok(traceparent) = traceparent {
            own.traceparent = traceparent;
        }
        Some(span)
    }

    /// An endpoint that is well and not the one that has just failed, with leave to call it.
    pub(super) fn pick(
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
                Refusal::unavailable(Cause::BreakerOpen, detail, open.retry_after)
            })?
        };
        Ok((pick, Some(permit)))
    }
}

/// Whether a kept connection was closed by the service just as it was used.
pub(super) fn is_stale(sent: &Sent) -> bool {
    matches!(sent, Some(Err(SendError::NoAnswer { maybe_stale: true, .. })))
}

/// Whether the service has done nothing with it, and says so: it can be sent again, whatever it asks for.
pub(super) fn is_unprocessed(sent: &Sent) -> bool {
    matches!(sent, Some(Err(SendError::Unprocessed(_))))
}

/// Whether an answer speaks against the endpoint. A service that refuses in order (503, with a problem document) is well: it sheds what
/// it cannot do just now, such as writes to a full disk, and the rest must go on reaching it.
fn is_sick(response: &Response<()>) -> bool {
    let is_problem =
        || response.headers().get(CONTENT_TYPE).is_some_and(|value| value == http_kit::problem::MEDIA_TYPE);
    match response.status().as_u16() {
        503 => !is_problem(),
        status => matches!(status, 500 | 502 | 504),
    }
}

/// What an attempt's span says of how it ended.
pub(super) fn tell(span: &mut Span, sent: &Sent) {
    match sent {
        Some(Ok((response, _))) => answered(Some(span), Kind::Client, response.status().as_u16()),
        Some(Err(SendError::NotSent(_) | SendError::Unprocessed(_))) => not_answered(Some(span), false, true),
        Some(Err(SendError::NoAnswer { .. })) => not_answered(Some(span), false, false),
        None => not_answered(Some(span), true, false),
    }
}

/// An answer is an answer; whether "later" is one is for the retry policy to say.
fn judge(response: Response<()>, answering: Answering, option: ConnectionOption) -> Attempted {
    let status = response.status().as_u16();
    let asked = || response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after = if status < 429 { None } else { asked().and_then(parse_retry_after) };
    let outcome = Outcome::Answered { status, retry_after };
    let stands = if is_odd(&response, option) { Err(broke_off()) } else { Ok((response, answering)) };
    Attempted { outcome, stands }
}

/// Whether the service speaks another language than was asked for.
fn is_odd(response: &Response<()>, option: ConnectionOption) -> bool {
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return false;
    }
    let to = response.headers().get(UPGRADE).map_or(&[][..], HeaderValue::as_bytes);
    !(option == ConnectionOption::WebSocket && to.eq_ignore_ascii_case(b"websocket"))
}

fn report(permit: Option<Permit>, how: impl FnOnce(Permit)) {
    if let Some(permit) = permit {
        how(permit);
    }
}

fn unreachable() -> Refusal {
    Refusal::unavailable(Cause::Unreached, "The service cannot be reached.", Duration::from_secs(1))
}

fn broke_off() -> Refusal {
    let detail = "The service broke off. If this was a write it may have happened: read before repeating.";
    Refusal::unavailable(Cause::Broken, detail, Duration::from_secs(1))
}
