//! One attempt at a call, from the permits to the report.

use std::time::{Duration, Instant};

use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Client, Request};
use resilience::breaker::Permit;
use resilience::bulkhead::Place;
use resilience::retry::{Outcome, parse_retry_after};
use traces::{Kind, Span};

use super::metrics::Ended;
use super::{Asked, ClientError, Transport};
use crate::deadline;
use crate::endpoint::Representation;

/// How long a call may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) begun: Instant,
    /// When it is over, repetitions included.
    pub(super) until: Instant,
    /// How long each attempt may take.
    pub(super) attempt: Duration,
    /// The peer holds it open until it has something to say.
    pub(super) held_open: bool,
}

impl Bounds {
    pub(super) fn time_left(&self, now: Instant) -> Duration {
        self.until.saturating_duration_since(now)
    }

    /// How long an attempt may take that begins now; `None`: there is no time for one.
    pub(super) fn time_of_attempt(&self, now: Instant) -> Option<Duration> {
        let time = self.attempt.min(self.time_left(now));
        // What is passed on is in whole milliseconds.
        (time >= Duration::from_millis(1)).then_some(time)
    }
}

impl Transport {
    /// Asks once. Without an [`Outcome`] there is no point in asking again: this side itself does not let it through.
    pub(super) async fn attempt<R: Representation>(
        &self,
        asked: &Asked<'_>,
        retries_made: u32,
        time: Duration,
        bounds: Bounds,
    ) -> (Ended, Option<Outcome>, Result<R, ClientError>) {
        let mut span = asked.current.and_then(|current| self.span(current, asked.operation, retries_made));
        let begun = Instant::now();
        let (_place, permit) = match self.admit(begun, bounds.held_open) {
            Ok(admitted) => admitted,
            Err(Refused { ended, kind, error }) => {
                traces::http::not_sent(span.as_mut(), kind);
                return (ended, None, Err(error));
            }
        };
        let Some(request) = self.request(asked, time, span.as_ref()) else {
            return (Ended::Broken, None, Err(ClientError::unavailable("it cannot be asked")));
        };
        // The connections of this moment: what this process shows of itself may have changed since the last attempt.
        let answered = answer(&self.connections.http(), request, span.as_mut()).await;
        let (now, waited) = (Instant::now(), begun.elapsed());
        // A peer is not to blame for a caller who hardly waited: that one's permit goes back uncounted.
        let is_hasty = time < bounds.attempt && waited < self.policies.fair;
        match answered {
            Ok(Answer { status, is_sick, retry_after, body }) => {
                if is_sick {
                    // A peer that was told how long there is gives up first, and says so by 504.
                    if !(is_hasty && status == 504) {
                        permit.failure(now);
                    }
                } else {
                    permit.success(now, if bounds.held_open { Duration::ZERO } else { waited });
                }
                let ended = if status >= 500 { Ended::Failed } else { Ended::Answered };
                (ended, Some(Outcome::Answered { status, retry_after }), read(status, &body))
            }
            Err(error) => {
                if !(is_hasty && error.is_timeout()) {
                    permit.failure(now);
                }
                let (ended, outcome) = match (error.is_connect(), error.is_timeout()) {
                    (true, _) => (Ended::Unreached, Outcome::NotSent),
                    (false, true) => (Ended::Timeout, Outcome::NoAnswer),
                    (false, false) => (Ended::Broken, Outcome::NoAnswer),
                };
                (ended, Some(outcome), Err(ClientError::unavailable(error.without_url())))
            }
        }
    }

    /// A place in the bulkhead, and leave of the breaker. A question that is held open takes no place: it is hardly work for the peer, and
    /// under way for long.
    fn admit(&self, now: Instant, held_open: bool) -> Result<(Option<Place>, Permit), Refused> {
        let place = (!held_open).then(|| self.policies.bulkhead.try_acquire()).transpose();
        let place = place.map_err(|full| Refused {
            ended: Ended::Full,
            kind: "bulkhead_full",
            error: ClientError::unavailable(full),
        })?;
        let permit = self.policies.breaker.try_acquire(now).map_err(|open| {
            let why = format_args!("it has failed, and rests for {} ms", open.retry_after.as_millis());
            Refused { ended: Ended::Open, kind: "circuit_open", error: ClientError::unavailable(why) }
        })?;
        Ok((place, permit))
    }

    /// The request with what differs from one attempt to the next.
    fn request(&self, asked: &Asked<'_>, time: Duration, span: Option<&Span>) -> Option<Request> {
        let mut request = asked.request.try_clone()?;
        *request.timeout_mut() = Some(time);
        let mut token = HeaderValue::from_str(&format!("Bearer {}", (self.token)())).ok()?;
        token.set_sensitive(true);
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, token);
        headers.insert(deadline::HEADER, deadline::millis(time).into());
        if let Some(current) = asked.current {
            let context = span.map_or(current.context, Span::context);
            headers.insert("traceparent", HeaderValue::from_bytes(&context.header()[..]).ok()?);
        }
        Some(request)
    }
}

/// What this side itself does not let through.
struct Refused {
    ended: Ended,
    /// As a trace has it.
    kind: &'static str,
    error: ClientError,
}

/// A whole answer.
struct Answer {
    status: u16,
    /// Whether it speaks against the peer, as the gateway has it: one that refuses in order (503, with a problem document) is well.
    is_sick: bool,
    retry_after: Option<Duration>,
    body: bytes::Bytes,
}

async fn answer(
    http: &Client,
    request: Request,
    mut span: Option<&mut Span>,
) -> Result<Answer, reqwest::Error> {
    let told = async {
        let answer = http.execute(request).await?;
        let status = answer.status().as_u16();
        traces::http::answered(span.as_deref_mut(), Kind::Client, status);
        let header = |name| answer.headers().get(name).and_then(|value| value.to_str().ok());
        let is_sick = match status {
            503 => header("content-type") != Some("application/problem+json"),
            status => matches!(status, 500 | 502 | 504),
        };
        let retry_after = header("retry-after").and_then(parse_retry_after);
        Ok(Answer { status, is_sick, retry_after, body: answer.bytes().await? })
    };
    let told: Result<Answer, reqwest::Error> = told.await;
    if let Err(error) = &told {
        traces::http::not_answered(span, error.is_timeout(), error.is_connect());
    }
    told
}

/// Reads an answer. Members that this version does not know are passed over: the peer may be newer.
fn read<R: Representation>(status: u16, body: &[u8]) -> Result<R, ClientError> {
    if (200..300).contains(&status) {
        return R::from_bytes(body).map_err(|error| {
            // The error's own text may repeat a value, which may be health data.
            ClientError::unavailable(format_args!(
                "its answer is not understood at line {} column {}",
                error.line(),
                error.column()
            ))
        });
    }
    Err(serde_json::from_slice(body).map_or_else(
        |_| ClientError::unavailable(format_args!("it answered {status}")),
        |problem| ClientError::Problem(Box::new(problem)),
    ))
}
