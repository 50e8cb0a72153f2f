//! What the typed clients stand on: one service calling another.
//!
//! A [`Transport`] holds the connection pool to one peer and signs each call with this service's own identity. It keeps a deadline,
//! rests a peer that fails (circuit breaker), and repeats what may be repeated, within a budget. A call that is made for a request belongs to
//! that request's trace.

mod connections;

use std::fmt::Display;
use std::sync::Arc;
use std::time::{Duration, Instant};

use resilience::breaker::{Breaker, BreakerConfig};
use resilience::retry::{
    Attempt, Backoff, Outcome, RetryBudget, RetryPolicy, Verdict, decide, parse_retry_after,
};
use settings::{Address, Method};
use tls::Credentials;
use traces::{Current, Kind, Span};

use crate::ambient::Random;
use crate::endpoint::{Endpoint, Operation};
use crate::problem::{Problem, ProblemCode};
use connections::Connections;

/// Gives a fresh token of this service's own identity.
pub type TokenSource = Arc<dyn Fn() -> String + Send + Sync>;

/// Within a stack a call that takes longer than this has failed, repetitions included.
const DEADLINE: Duration = Duration::from_secs(5);

const RETRIES: RetryPolicy = RetryPolicy { retries_max: 2, backoff: Backoff { base_ms: 20, max_ms: 500 } };
const BREAKER: BreakerConfig = BreakerConfig {
    failure_rate_percent: 50,
    window_calls: 50,
    min_calls: 10,
    slow_call_ms: 3_000,
    open_ms: 1_000,
    half_open_calls: 2,
};
const RETRY_BUDGET_PERCENT: u32 = 20;
const RETRY_FLOOR_PER_SECOND: u32 = 10;

/// Calls one peer.
pub struct Transport {
    connections: Connections,
    token: TokenSource,
    breaker: Breaker,
    budget: RetryBudget,
    random: Random,
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transport").field("base", &self.connections.base).finish_non_exhaustive()
    }
}

/// Why a call gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The peer answered with a problem.
    #[error("the service answered {}: {}", .0.status, .0.code)]
    Problem(Box<Problem>),
    /// The peer did not answer, or answered what nobody understands. Try later.
    #[error("the service does not answer: {0}")]
    Unavailable(String),
}

impl ClientError {
    /// Whether the peer said that there is no such thing.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Problem(problem) if matches!(problem.code, ProblemCode::NotFound | ProblemCode::Gone))
    }

    fn unavailable(why: impl Display) -> Self {
        Self::Unavailable(why.to_string())
    }
}

/// What a peer answered, or `None` if it said that there is no such thing.
pub fn found<T>(answer: Result<T, ClientError>) -> Result<Option<T>, ClientError> {
    match answer {
        Err(error) if error.is_not_found() => Ok(None),
        answer => answer.map(Some),
    }
}

impl Transport {
    /// A transport to a peer. At an `https://` address both show a certificate: the peer the one of the address's host, this process that of
    /// its credentials.
    ///
    /// # Errors
    /// If the address asks for credentials and there are none, or the HTTP client cannot be built.
    pub fn new(
        address: &Address,
        credentials: Option<Arc<Credentials>>,
        token: TokenSource,
        random: Random,
    ) -> Result<Arc<Self>, ClientError> {
        Ok(Arc::new(Self {
            connections: Connections::new(address, credentials)?,
            token,
            breaker: Breaker::new(BREAKER),
            budget: RetryBudget::new(RETRY_BUDGET_PERCENT, RETRY_FLOOR_PER_SECOND, Instant::now()),
            random,
        }))
    }

    /// Makes a call; the typed clients' methods are the way to use it. `deadline` counts from now.
    pub async fn call_within<E: Endpoint>(
        &self,
        deadline: Duration,
        ids: &[&(dyn Display + Sync)],
        query: &E::Query,
        body: &E::Body,
    ) -> Result<E::Reply, ClientError> {
        let started = Instant::now();
        let operation = E::OPERATION;
        let url = format!("{}{}", self.connections.base, fill(operation.path, ids));
        let body = match operation.body {
            Some(_) => Some(serde_json::to_vec(body).map_err(ClientError::unavailable)?),
            None => None,
        };
        self.budget.deposit(started);
        let current = traces::current();
        let mut retries_made = 0;
        loop {
            let time_left = deadline.saturating_sub(started.elapsed());
            let span = current.as_ref().and_then(|current| self.span(current, operation, retries_made));
            let mut request = self
                .connections
                .http()
                .request(method(operation.method), &url)
                .timeout(time_left)
                .bearer_auth((self.token)());
            if operation.query.is_some() {
                request = request.query(query);
            }
            if let Some(body) = &body {
                request = request.header("content-type", "application/json").body(body.clone());
            }
            if let Some(current) = &current {
                let context = span.as_ref().map_or(current.context, Span::context);
                request = request.header("traceparent", &context.header()[..]);
            }
            // A question that is given more than the usual time is one that the peer holds open until it has something to say.
            let may_take_long = deadline > DEADLINE;
            let (outcome, result) = self.attempt::<E::Reply>(request, may_take_long, span).await;
            let attempt = Attempt {
                idempotent: operation.method != Method::Post,
                retries_made,
                time_left: deadline.saturating_sub(started.elapsed()),
            };
            match decide(&RETRIES, attempt, outcome, u64::from_le_bytes(self.random.bytes())) {
                Verdict::Retry { after } if self.budget.try_withdraw(Instant::now()) => {
                    tokio::time::sleep(after).await;
                    retries_made += 1;
                }
                _ => return result,
            }
        }
    }

    /// The span of one attempt, if the trace is recorded.
    fn span(&self, current: &Current, operation: &Operation, retries_made: u32) -> Option<Span> {
        let method = operation.method.as_str();
        let mut span = current.child(Kind::Client, format!("{method} {}", operation.path))?;
        traces::http::asks(&mut span, method, operation.path, retries_made);
        traces::http::towards(&mut span, &self.connections.address);
        Some(span)
    }

    /// [`Transport::call_within`] the usual deadline.
    pub async fn call<E: Endpoint>(
        &self,
        ids: &[&(dyn Display + Sync)],
        query: &E::Query,
        body: &E::Body,
    ) -> Result<E::Reply, ClientError> {
        self.call_within::<E>(DEADLINE, ids, query, body).await
    }

    async fn attempt<R: serde::de::DeserializeOwned>(
        &self,
        request: reqwest::RequestBuilder,
        may_take_long: bool,
        mut span: Option<Span>,
    ) -> (Outcome, Result<R, ClientError>) {
        let begun = Instant::now();
        let permit = match self.breaker.try_acquire(begun) {
            Ok(permit) => permit,
            Err(open) => {
                let why = format_args!("it has failed, and rests for {} ms", open.retry_after.as_millis());
                traces::http::not_sent(span.as_mut(), "circuit_open");
                return (Outcome::NotSent, Err(ClientError::unavailable(why)));
            }
        };
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => {
                permit.failure(Instant::now());
                let outcome = if error.is_connect() { Outcome::NotSent } else { Outcome::NoAnswer };
                traces::http::not_answered(span.as_mut(), error.is_timeout(), error.is_connect());
                return (outcome, Err(ClientError::unavailable(error.without_url())));
            }
        };
        let status = answer.status().as_u16();
        traces::http::answered(span.as_mut(), Kind::Client, status);
        let retry_after = answer
            .headers()
            .get("retry-after")
            .and_then(|value| value.to_str().ok())
            .and_then(parse_retry_after);
        let body = match answer.bytes().await {
            Ok(body) => body,
            Err(error) => {
                permit.failure(Instant::now());
                traces::http::not_answered(span.as_mut(), error.is_timeout(), false);
                return (Outcome::NoAnswer, Err(ClientError::unavailable(error.without_url())));
            }
        };
        if status >= 500 {
            permit.failure(Instant::now());
        } else {
            permit.success(Instant::now(), if may_take_long { Duration::ZERO } else { begun.elapsed() });
        }
        (Outcome::Answered { status, retry_after }, read(status, &body))
    }
}

/// Reads an answer. Members that this version does not know are passed over: the peer may be newer.
fn read<R: serde::de::DeserializeOwned>(status: u16, body: &[u8]) -> Result<R, ClientError> {
    if (200..300).contains(&status) {
        return serde_json::from_slice(body).map_err(|error| {
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

fn method(method: Method) -> reqwest::Method {
    match method {
        Method::Get => reqwest::Method::GET,
        Method::Post => reqwest::Method::POST,
        Method::Put => reqwest::Method::PUT,
        Method::Patch => reqwest::Method::PATCH,
        Method::Delete => reqwest::Method::DELETE,
    }
}

/// The path with each `{…}` replaced by the next id. Ids are safe in a path by their form.
fn fill(template: &str, ids: &[&(dyn Display + Sync)]) -> String {
    let mut ids = ids.iter();
    template
        .split('/')
        .map(|segment| match (segment.starts_with('{'), ids.len()) {
            (true, 1..) => ids.next().map(ToString::to_string).unwrap_or_default(),
            _ => segment.to_owned(),
        })
        .collect::<Vec<_>>()
        .join("/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::RecordId;

    #[test]
    fn ids_take_their_places_in_the_path() {
        let id = RecordId::parse("rec001").unwrap();
        assert_eq!(fill("/api/records/{recordId}", &[&id]), "/api/records/rec001");
        assert_eq!(fill("/api/a/{x}/b/{y}", &[&1, &2]), "/api/a/1/b/2");
    }
}
