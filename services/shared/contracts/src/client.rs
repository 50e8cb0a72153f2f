//! What the typed clients stand on: one service calling another.
//!
//! A [`Transport`] holds the connection pool to one peer and signs each call with this service's own identity. Its [`Policies`] are those
//! of the gateway, from the same crate: a deadline for the call and one for each attempt, repetitions of what may be repeated, within a
//! budget, a breaker that rests a peer which fails, and a bulkhead, so that one which hangs does not take all there is. A call that is made
//! for a request belongs to that request's trace, says on whose behalf it is made, and takes no longer than whoever asked waits.

mod attempt;
mod connections;
mod metrics;
mod policies;

use std::fmt::Display;
use std::sync::Arc;
use std::time::{Duration, Instant};

use resilience::retry::{Attempt, Reason, Verdict, decide};
use settings::{Address, Method, ServiceCalls};
use tls::Credentials;
use traces::{Current, Kind, Span};

use crate::ambient::Random;
use crate::deadline;
use crate::endpoint::{Encoding, Endpoint, Operation, Representation};
use crate::problem::{Problem, ProblemCode};
use crate::trail;
use attempt::Bounds;
use connections::Connections;
pub use metrics::{ClientMetrics, Target};
use metrics::{Ended, Retry};
use policies::Policies;

/// Gives a fresh token of this service's own identity.
pub type TokenSource = Arc<dyn Fn() -> String + Send + Sync>;

/// Calls one peer.
pub struct Transport {
    connections: Connections,
    token: TokenSource,
    policies: Policies,
    target: Target,
    random: Random,
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transport").field("base", &self.connections.base).finish_non_exhaustive()
    }
}

/// What is asked of a peer.
struct Asked<'a> {
    operation: &'static Operation,
    /// Whether doing it twice has the effect of doing it once.
    idempotent: bool,
    /// The request, but for what differs from one attempt to the next.
    request: reqwest::Request,
    current: Option<&'a Current>,
}

/// How one call differs from others to the same peer.
#[derive(Clone, Copy, Debug, Default)]
struct Terms<'a> {
    /// Another time than the usual one.
    timeout: Option<Duration>,
    idempotency_key: Option<&'a str>,
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
    /// A transport to a peer, on the usual terms and not counted. At an `https://` address both show a certificate: the peer the one of the
    /// address's host, this process that of its credentials.
    ///
    /// # Errors
    /// If the address asks for credentials and there are none, or the HTTP client cannot be built.
    pub fn new(
        address: &Address,
        credentials: Option<Arc<Credentials>>,
        token: TokenSource,
        random: Random,
    ) -> Result<Arc<Self>, ClientError> {
        Self::on(&ServiceCalls::default(), Target::default(), address, credentials, token, random)
    }

    /// [`Transport::new`] on these terms, counted as calls to this target.
    ///
    /// # Errors
    /// As there.
    pub fn on(
        calls: &ServiceCalls,
        target: Target,
        address: &Address,
        credentials: Option<Arc<Credentials>>,
        token: TokenSource,
        random: Random,
    ) -> Result<Arc<Self>, ClientError> {
        let connections = Connections::new(address, credentials)?;
        let policies = Policies::new(calls, Instant::now());
        target.watch(&policies);
        Ok(Arc::new(Self { connections, token, policies, target, random }))
    }

    /// Makes a call; the typed clients' methods are the way to use it.
    pub async fn call<E: Endpoint>(
        &self,
        ids: &[&(dyn Display + Sync)],
        query: &E::Query,
        body: &E::Body,
    ) -> Result<E::Reply, ClientError> {
        self.call_on::<E>(Terms::default(), ids, query, body).await
    }

    /// [`Transport::call`] that may take this long, counted from now. Longer than the usual time, it is a question that the peer holds open
    /// until it has something to say: that it takes long is no sign of its being slow.
    pub async fn call_within<E: Endpoint>(
        &self,
        timeout: Duration,
        ids: &[&(dyn Display + Sync)],
        query: &E::Query,
        body: &E::Body,
    ) -> Result<E::Reply, ClientError> {
        self.call_on::<E>(Terms { timeout: Some(timeout), ..Terms::default() }, ids, query, body).await
    }

    /// [`Transport::call`] of what the peer does once for a key, however often it is asked (`Idempotency-Key`): it may be repeated,
    /// whatever its method.
    pub async fn call_once<E: Endpoint>(
        &self,
        idempotency_key: &str,
        ids: &[&(dyn Display + Sync)],
        query: &E::Query,
        body: &E::Body,
    ) -> Result<E::Reply, ClientError> {
        let terms = Terms { idempotency_key: Some(idempotency_key), ..Terms::default() };
        self.call_on::<E>(terms, ids, query, body).await
    }

    async fn call_on<E: Endpoint>(
        &self,
        terms: Terms<'_>,
        ids: &[&(dyn Display + Sync)],
        query: &E::Query,
        body: &E::Body,
    ) -> Result<E::Reply, ClientError> {
        let begun = Instant::now();
        let mut call = self.target.begin();
        let operation = E::OPERATION;
        let current = traces::current();
        let url = format!("{}{}", self.connections.base, fill(operation.path, ids));
        let mut request = self.connections.http().request(method(operation.method), url);
        if operation.query.is_some() {
            request = request.query(query);
        }
        if operation.body.is_some() {
            request = match operation.encoding {
                Encoding::Form => request.form(body),
                Encoding::Mail => {
                    let text = serde_json::to_value(body).map_err(ClientError::unavailable)?;
                    let text = text.as_str().unwrap_or_default().to_owned();
                    request.header("content-type", Encoding::Mail.media_type()).body(text)
                }
                Encoding::Json => {
                    let body = serde_json::to_vec(body).map_err(ClientError::unavailable)?;
                    request.header("content-type", Encoding::Json.media_type()).body(body)
                }
            };
        }
        if let Some(user) = trail::on_behalf_of() {
            request = request.header(trail::HEADER, user);
        }
        if let Some(key) = terms.idempotency_key {
            request = request.header("idempotency-key", key);
        }
        let request = request.build().map_err(ClientError::unavailable)?;
        let idempotent = terms.idempotency_key.is_some() || is_idempotent(operation.method);
        let asked = Asked { operation, idempotent, request, current: current.as_ref() };
        let bounds = self.policies.bounds(begun, terms.timeout, deadline::current());
        let (ended, result) = self.repeat(&asked, bounds).await;
        call.ended(ended);
        result
    }

    /// Attempts, until one counts.
    async fn repeat<R: Representation>(
        &self,
        asked: &Asked<'_>,
        bounds: Bounds,
    ) -> (Ended, Result<R, ClientError>) {
        self.policies.budget.deposit(bounds.begun);
        let mut retries_made = 0;
        loop {
            let Some(time) = bounds.time_of_attempt(Instant::now()) else {
                let why = "there is no time left to ask it";
                return (Ended::NoTime, Err(ClientError::unavailable(why)));
            };
            let (ended, outcome, result) = self.attempt(asked, retries_made, time, bounds).await;
            let Some(outcome) = outcome else { return (ended, result) };
            let attempt = Attempt {
                idempotent: asked.idempotent,
                retries_made,
                time_left: bounds.time_left(Instant::now()),
            };
            let random = u64::from_le_bytes(self.random.bytes());
            let after = match decide(&self.policies.retries, attempt, outcome, random) {
                Verdict::Retry { after } => after,
                Verdict::Stop(reason) => {
                    if reason == Reason::TooLate {
                        self.target.retry(Retry::TooLate);
                    }
                    return (ended, result);
                }
            };
            if !self.policies.budget.try_withdraw(Instant::now()) {
                self.target.retry(Retry::OverBudget);
                return (ended, result);
            }
            self.target.retry(Retry::Made);
            tokio::time::sleep(after).await;
            retries_made += 1;
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
}

/// RFC 9110 §9.2.2. A PATCH is not, nor a POST.
const fn is_idempotent(method: Method) -> bool {
    matches!(method, Method::Get | Method::Put | Method::Delete)
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
