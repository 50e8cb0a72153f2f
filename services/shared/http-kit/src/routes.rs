//! [`Routes`]: a service's handlers, each mounted at its declared operation.
//!
//! A handler is `async fn(Api, Call<E>) -> Result<Answer<E>, Error>`. The operation `E` it takes decides method, path, permission,
//! body and answer, so a route cannot drift from what `contracts` declares; [`Routes::finish`] refuses to start a service that
//! leaves a declared operation out.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{RawPathParams, Request};
use axum::response::Response;
use axum::routing::MethodFilter;
use contracts::endpoint::{Access, Endpoint, Operation, PathIds};
use contracts::problem::{Problem, ProblemCode};
use db::{Begun, KeptAnswer, Ticket};
use futures_util::FutureExt;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use settings::Method;

use crate::answer::{self, Answer};
use crate::etag::IfMatch;
use crate::kit::Kit;
use crate::shape::Shape;
use crate::telemetry::RequestMetrics;
use crate::token::Caller;
use crate::trace::TraceContext;
use crate::{json, problem};

/// The largest body, bytes.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
const IDEMPOTENCY_KEY: &str = "idempotency-key";
const IDEMPOTENCY_KEY_MAX: usize = 255;

/// Why a handler could not do what was asked: the service's own error, with the one place that says how it is shown.
pub trait Failure: std::error::Error + Send + Sync + 'static {
    /// As the caller sees it.
    fn problem(&self) -> Problem;
}

/// A request, parsed: all that a handler needs.
pub struct Call<E: Endpoint> {
    /// The ids in the path.
    pub path: E::Path,
    /// The query string.
    pub query: E::Query,
    /// The body.
    pub body: E::Body,
    /// Who calls; on a public operation, nobody in particular.
    pub caller: Arc<Caller>,
    /// The version that the client believes to change.
    pub if_match: IfMatch,
    /// Keeps the answer for a repeated request.
    pub receipt: Receipt,
    /// The address that the gateway saw, for attempts to be counted by: the gateway writes the header anew, and nobody else reaches a
    /// service (a socket of this user's own, or the network policy). Never logged.
    pub client_address: Option<String>,
}

/// Keeps a POST's answer in the transaction of its effect, when the client sent an `Idempotency-Key`.
#[derive(Clone)]
pub struct Receipt(Option<Arc<ReceiptInner>>);

struct ReceiptInner {
    db: db::Db,
    ticket: Ticket,
    kept: AtomicBool,
}

impl Receipt {
    /// For a call without an `Idempotency-Key`, and for tests of handlers.
    pub fn none() -> Self {
        Self(None)
    }

    /// Commits the transaction, and the answer with it: the last line of a POST's handler.
    pub async fn commit<E: Endpoint>(&self, mut tx: db::Tx, answer: &Answer<E>) -> Result<(), db::Error> {
        if let Some(inner) = &self.0 {
            db::idempotency_keep(&mut tx, &inner.db, &inner.ticket, &answer.render()).await?;
            inner.kept.store(true, Ordering::Release);
        }
        tx.commit().await
    }
}

/// A service's routes, being put together.
pub struct Routes<S> {
    state: S,
    kit: Kit,
    metrics: RequestMetrics,
    router: Router,
    declared: &'static [&'static Operation],
    mounted: Vec<&'static str>,
}

/// The service does not answer what it declares.
#[derive(Debug, thiserror::Error)]
#[error("{service} mounts other operations than it declares: missing {missing:?}, foreign {foreign:?}")]
pub struct Drift {
    service: settings::ServiceName,
    missing: Vec<&'static str>,
    foreign: Vec<&'static str>,
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    /// Begins with what the service declares.
    pub fn new(kit: &Kit, state: S, declared: &'static [&'static Operation]) -> Self {
        Self {
            state,
            metrics: RequestMetrics::register(&kit.world.metrics, kit.settings.service.as_str()),
            kit: kit.clone(),
            router: Router::new(),
            declared,
            mounted: Vec::new(),
        }
    }

    /// Mounts a handler at its operation.
    #[must_use]
    pub fn on<E, H, F, R>(mut self, handler: H) -> Self
    where
        E: Endpoint,
        H: Fn(S, Call<E>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<Answer<E>, R>> + Send + 'static,
        R: Failure,
    {
        let (state, kit, metrics) = (self.state.clone(), self.kit.clone(), self.metrics.clone());
        let shape = E::OPERATION
            .body
            .filter(|_| !E::OPERATION.is_internal())
            .map(|schema| Arc::new(Shape::of(schema)));
        let route = move |request: Request| {
            let (handler, state, kit, metrics) =
                (handler.clone(), state.clone(), kit.clone(), metrics.clone());
            let shape = shape.clone();
            async move {
                let started = Instant::now();
                let response = handle(&kit, &state, &handler, shape.as_deref(), request).await;
                metrics.count(E::OPERATION.id, response.status().as_u16(), started.elapsed());
                response
            }
        };
        let operation = E::OPERATION;
        self.router = self.router.route(operation.path, axum::routing::on(filter(operation.method), route));
        self.mounted.push(operation.id);
        self
    }

    /// The router, with health checks and answers for what is not there.
    pub fn finish(self) -> Result<Router, Drift> {
        let missing: Vec<_> = self
            .declared
            .iter()
            .map(|operation| operation.id)
            .filter(|id| !self.mounted.contains(id))
            .collect();
        let foreign: Vec<_> = self
            .mounted
            .iter()
            .copied()
            .filter(|id| !self.declared.iter().any(|operation| operation.id == *id))
            .collect();
        if !missing.is_empty() || !foreign.is_empty() {
            return Err(Drift { service: self.kit.settings.service, missing, foreign });
        }
        let db = self.kit.db.clone();
        let ready = move || {
            let db = db.clone();
            async move {
                match db.ping().await {
                    Ok(()) => (http::StatusCode::OK, "ready\n"),
                    Err(_) => (http::StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n"),
                }
            }
        };
        Ok(self
            .router
            .route("/livez", axum::routing::get(async || "alive\n"))
            .route("/readyz", axum::routing::get(ready))
            .fallback(async || respond(&Problem::new(ProblemCode::NotFound)))
            .method_not_allowed_fallback(async || respond(&Problem::new(ProblemCode::MethodNotAllowed))))
    }
}

fn filter(method: Method) -> MethodFilter {
    match method {
        Method::Get => MethodFilter::GET,
        Method::Post => MethodFilter::POST,
        Method::Put => MethodFilter::PUT,
        Method::Patch => MethodFilter::PATCH,
        Method::Delete => MethodFilter::DELETE,
    }
}

fn respond(problem: &Problem) -> Response {
    problem::response(problem).map(Body::new)
}

/// From request to response; the only place where a failure is logged.
async fn handle<E, S, H, F, R>(
    kit: &Kit,
    state: &S,
    handler: &H,
    shape: Option<&Shape>,
    request: Request,
) -> Response
where
    E: Endpoint,
    S: Clone,
    H: Fn(S, Call<E>) -> F,
    F: Future<Output = Result<Answer<E>, R>> + Send,
    R: Failure,
{
    let (mut parts, body) = request.into_parts();
    let trace = header(&parts, "traceparent").and_then(TraceContext::parse);
    let trace_id = trace.as_ref().map(TraceContext::trace_id);
    let result = match parse::<E>(kit, shape, &mut parts, body).await {
        Err(problem) => Err(problem),
        Ok(Parsed::Replay(kept)) => Ok(kept),
        Ok(Parsed::Call(call)) => {
            let receipt = call.receipt.clone();
            let outcome = AssertUnwindSafe(handler(state.clone(), *call)).catch_unwind().await;
            let result = match outcome {
                Ok(Ok(answer)) => Ok(answer.render()),
                Ok(Err(failure)) => Err(shown(&failure, E::OPERATION.id, trace_id.as_deref())),
                Err(_) => {
                    tracing::error!(operation = E::OPERATION.id, trace_id, "a handler panicked");
                    Err(Problem::new(ProblemCode::Internal))
                }
            };
            release(receipt, result.is_err()).await;
            result
        }
    };
    match result {
        Ok(kept) => answer::response(kept, (E::OPERATION.method == Method::Get).then_some(&parts.headers)),
        Err(mut problem) => {
            problem.trace_id = trace_id;
            respond(&problem)
        }
    }
}

fn shown<R: Failure>(failure: &R, operation: &str, trace_id: Option<&str>) -> Problem {
    let problem = failure.problem();
    match problem.status {
        500 => tracing::error!(operation, trace_id, error = %chain(failure), "a request failed"),
        501.. => {
            tracing::warn!(operation, trace_id, error = %chain(failure), "a request could not be served");
        }
        _ => tracing::debug!(operation, trace_id, code = %problem.code, "a request was refused"),
    }
    problem
}

/// An error and what caused it, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Gives the idempotency key back if nothing came of it.
async fn release(receipt: Receipt, failed: bool) {
    let Some(inner) = receipt.0 else { return };
    if (failed || !inner.kept.load(Ordering::Acquire))
        && let Err(error) = db::idempotency_release(&inner.db, &inner.ticket).await
    {
        tracing::warn!(%error, "an idempotency key stays taken for a minute");
    }
}

enum Parsed<E: Endpoint> {
    Call(Box<Call<E>>),
    Replay(KeptAnswer),
}

/// Authorise first: whoever may not call learns nothing of what would have been wrong with the body.
async fn parse<E: Endpoint>(
    kit: &Kit,
    shape: Option<&Shape>,
    parts: &mut Parts,
    body: Body,
) -> Result<Parsed<E>, Problem> {
    let operation = E::OPERATION;
    let caller = authorize(kit, parts, operation.access).await?;
    let path = ids::<E>(parts).await?;
    let query = parts.uri.query().unwrap_or_default();
    if operation.query.is_none() {
        json::refuse_query(query)?;
    }
    let query = json::read_query(if operation.query.is_some() { query } else { "" })?;
    let (body, bytes) = if operation.body.is_some() {
        media_type(parts)?;
        let bytes = collect(body).await?;
        // The public is read strictly; another service may be newer, and its further members are passed over.
        let body = match shape {
            Some(shape) => json::read(&bytes).and_then(|body| shape.check(&bytes).map(|()| body))?,
            None => json::read_leniently(&bytes)?,
        };
        (body, bytes)
    } else {
        (json::read(b"null")?, bytes::Bytes::new())
    };
    let mut receipt = Receipt::none();
    // Whoever is nobody has no keys of their own.
    let is_public = operation.access == Access::Public;
    if operation.method == Method::Post && !is_public && !operation.is_internal() {
        match begin(kit, parts, &caller, &bytes).await? {
            Some(Begun::Replay(kept)) => return Ok(Parsed::Replay(kept)),
            Some(Begun::Mismatch) => return Err(Problem::new(ProblemCode::IdempotencyMismatch)),
            Some(Begun::InFlight) => return Err(Problem::new(ProblemCode::IdempotencyInFlight)),
            Some(Begun::Fresh(ticket)) => {
                let inner = ReceiptInner { db: kit.db.clone(), ticket, kept: AtomicBool::new(false) };
                receipt = Receipt(Some(Arc::new(inner)));
            }
            None => {}
        }
    }
    let if_match = IfMatch::read(&parts.headers);
    let client_address = header(parts, "x-forwarded-for").map(str::to_owned);
    Ok(Parsed::Call(Box::new(Call { path, query, body, caller, if_match, receipt, client_address })))
}

async fn authorize(kit: &Kit, parts: &Parts, access: Access) -> Result<Arc<Caller>, Problem> {
    if access == Access::Public {
        return Ok(Arc::new(Caller::nobody()));
    }
    let header = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let caller = kit.world.verifier.authorize(header).await.map_err(|error| problem::of_token(&error))?;
    match access {
        Access::Needs(permission) if !caller.may(permission) => {
            Err(Problem::new(ProblemCode::Forbidden)
                .detail(format!("The permission {permission} is needed.")))
        }
        Access::Needs(permission) => Ok(Caller::acting_by(caller, permission)),
        _ => Ok(caller),
    }
}

async fn ids<E: Endpoint>(parts: &mut Parts) -> Result<E::Path, Problem> {
    use axum::extract::FromRequestParts;
    let not_found = || Problem::new(ProblemCode::NotFound);
    if E::Path::COUNT == 0 {
        return E::Path::from_segments(std::iter::empty()).ok_or_else(not_found);
    }
    let params = RawPathParams::from_request_parts(parts, &()).await.map_err(|_| not_found())?;
    // An id that is not of the form names nothing that could be here.
    E::Path::from_segments(params.iter().map(|(_, value)| value)).ok_or_else(not_found)
}

fn media_type(parts: &Parts) -> Result<(), Problem> {
    let value = header(parts, CONTENT_TYPE.as_str()).unwrap_or_default().to_ascii_lowercase();
    let (essence, parameters) = value.split_once(';').unwrap_or((&value, ""));
    let essence = essence.trim();
    let json =
        essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"));
    let charset = parameters.split(';').filter_map(|parameter| parameter.trim().strip_prefix("charset="));
    let utf8 =
        charset.map(|value| value.trim_matches('"')).all(|value| value == "utf-8" || value == "us-ascii");
    if json && utf8 { Ok(()) } else { Err(Problem::new(ProblemCode::UnsupportedMediaType)) }
}

async fn collect(body: Body) -> Result<bytes::Bytes, Problem> {
    match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Problem::new(ProblemCode::PayloadTooLarge)),
        Err(_) => Err(Problem::new(ProblemCode::MalformedRequest).detail("The body ended early.")),
    }
}

async fn begin(kit: &Kit, parts: &Parts, caller: &Caller, body: &[u8]) -> Result<Option<Begun>, Problem> {
    let Some(key) = parts.headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let key = key.to_str().unwrap_or_default();
    if key.is_empty() || key.len() > IDEMPOTENCY_KEY_MAX {
        return Err(Problem::new(ProblemCode::MalformedRequest)
            .detail("Idempotency-Key must have 1 to 255 printable ASCII characters."));
    }
    let scope = format!("{} {}", caller.user, parts.uri.path());
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, body);
    let mut hash = [0; 32];
    hash.copy_from_slice(digest.as_ref());
    db::idempotency_begin(&kit.db, &scope, key, &hash).await.map(Some).map_err(|error| of_db(&error))
}

fn header<'a>(parts: &'a Parts, name: &str) -> Option<&'a str> {
    parts.headers.get(name).and_then(|value| value.to_str().ok())
}

/// How a database's error is shown where a service has nothing more fitting to say.
pub fn of_db(error: &db::Error) -> Problem {
    match error {
        db::Error::Unavailable(_) | db::Error::Retryable(_) | db::Error::NotMigrated => {
            Problem::new(ProblemCode::Unavailable)
        }
        db::Error::LostRace => Problem::new(ProblemCode::ConcurrentChange),
        db::Error::Superseded => Problem::new(ProblemCode::IdempotencyInFlight),
        db::Error::KeyDestroyed { .. } => Problem::new(ProblemCode::Gone),
        db::Error::Constraint { .. } | db::Error::Sealed(_) | db::Error::Other(_) => {
            Problem::new(ProblemCode::Internal)
        }
    }
}

/// How a peer's failure is shown: what a peer says of our own request is no business of the caller's.
pub fn of_client(_: &contracts::client::ClientError) -> Problem {
    Problem::new(ProblemCode::Unavailable).detail("Another service that is needed does not answer.")
}
