//! [`Routes`]: a service's handlers, each mounted at its declared operation.
//!
//! A handler is `async fn(Api, Call<E>) -> Result<Answer<E>, Error>`. The operation `E` it takes decides method, path, permission,
//! body and answer, so a route cannot drift from what `contracts` declares; [`Routes::finish`] refuses to start a service that
//! leaves a declared operation out.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::MethodFilter;
use contracts::audit::{AuditEvents, AuditSearch};
use contracts::audit_verification::{ServiceVerification, VerificationQuery};
use contracts::endpoint::{Endpoint, Operation};
use contracts::erasure::{Kept, ServiceErasure, ServiceErasureStatus};
use contracts::export::{ExportPage, ExportSearch};
use contracts::id::PatientId;
use contracts::keys::ServiceKeys;
use contracts::problem::{Problem, ProblemCode};
use contracts::retention::{RetainedPage, RetainedSearch, RetentionRequest, ServiceRetention};
use futures_util::FutureExt;
use http::request::Parts;
use settings::Method;
use traces::{Current, Kind, Span, TraceContext, Tracer};

use crate::answer::{self, Answer};
use crate::audit;
use crate::call::{Call, Parsed, header, parse};
use crate::deadline;
use crate::erasure;
use crate::events;
use crate::export::Kinds;
use crate::html;
use crate::kit::Kit;
use crate::problem;
use crate::ready::{self, Ready};
use crate::retention::{self, Retaining, Retention};
use crate::shape::Shape;
use crate::telemetry::RequestMetrics;
use crate::verification;
use crate::wrapped;

/// Why a handler could not do what was asked: the service's own error, with the one place that says how it is shown.
pub trait Failure: std::error::Error + Send + Sync + 'static {
    /// As the caller sees it.
    fn problem(&self) -> Problem;
}

/// A service's routes, being put together.
pub struct Routes<S> {
    state: S,
    kit: Kit,
    metrics: RequestMetrics,
    tracer: Tracer,
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
            tracer: kit.tracer(),
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
        let tracer = self.tracer.clone();
        let shape = E::OPERATION
            .body
            .filter(|_| !E::OPERATION.is_internal())
            .map(|schema| Arc::new(Shape::of(schema)));
        let route = move |request: Request| {
            let (handler, state, kit, metrics) =
                (handler.clone(), state.clone(), kit.clone(), metrics.clone());
            let (shape, tracer) = (shape.clone(), tracer.clone());
            async move {
                let started = Instant::now();
                let (parts, body) = request.into_parts();
                let told = header(&parts, "traceparent").and_then(TraceContext::parse);
                let mut span = told.and_then(|told| begin(&tracer, told, E::OPERATION));
                // Others are asked within the same trace, whether or not it is recorded.
                let context = span.as_ref().map(Span::context).or(told);
                let current = context.map(|context| Current { context, tracer });
                let until = deadline::told(&parts, started);
                let trail =
                    E::OPERATION.audited.then(|| audit::trail(E::OPERATION, &parts, context.as_ref()));
                let handled = handle(&kit, &state, &handler, shape.as_deref(), (parts, body), context);
                let handled = contracts::trail::within(trail, handled);
                let handled = contracts::deadline::within(until, handled);
                let response = traces::within(current, handled).await;
                let status = response.status().as_u16();
                traces::http::answered(span.as_mut(), Kind::Server, status);
                metrics.count(E::OPERATION.id, status, started.elapsed(), span.as_ref().map(Span::context));
                response
            }
        };
        let operation = E::OPERATION;
        self.router =
            self.router.route(operation.path, axum::routing::on(method_filter(operation.method), route));
        self.mounted.push(operation.id);
        self
    }

    /// Mounts the reading of what this service wrote in the audit.
    #[must_use]
    pub fn on_audit<E>(self) -> Self
    where
        E: Endpoint<Path = (), Query = AuditSearch, Body = (), Reply = AuditEvents>,
    {
        let db = self.kit.db.clone();
        self.on(move |_, call: Call<E>| audit::collect(db.clone(), call))
    }

    /// Mounts the telling of what this service's data keys are wrapped under.
    #[must_use]
    pub fn on_keys<E>(self) -> Self
    where
        E: Endpoint<Path = (), Query = (), Body = (), Reply = ServiceKeys>,
    {
        let kit = self.kit.clone();
        self.on(move |_, _: Call<E>| wrapped::collect(kit.clone()))
    }

    /// Mounts the verification of what this service wrote in the audit.
    #[must_use]
    pub fn on_verification<E>(self) -> Self
    where
        E: Endpoint<Path = (), Query = VerificationQuery, Body = (), Reply = ServiceVerification>,
    {
        let (db, secrets) = (self.kit.db.clone(), self.kit.world.secrets.clone());
        self.on(move |_, call: Call<E>| verification::collect(db.clone(), secrets.clone(), call))
    }

    /// Mounts the giving out of what this service holds of a patient, kind by kind, and of who has seen their data.
    #[must_use]
    pub fn on_export<E, R>(self, kinds: Kinds<S, R>) -> Self
    where
        E: Endpoint<Path = (PatientId,), Query = ExportSearch, Body = (), Reply = ExportPage>,
        R: Failure + From<Problem> + From<db::Error>,
    {
        let kinds = kinds.with_accesses(self.kit.db.clone());
        self.on(move |state, call: Call<E>| {
            let kinds = kinds.clone();
            async move { kinds.page(state, &call.path.0, &call.query).await.map(Answer::new) }
        })
    }

    /// Mounts the telling of what became of a deleted patient's data here. What the service keeps of it, `kept` says.
    #[must_use]
    pub fn on_erasure<E, F, R>(self, kept: impl Fn(S, PatientId) -> F + Clone + Send + Sync + 'static) -> Self
    where
        E: Endpoint<Path = (PatientId,), Query = (), Body = (), Reply = ServiceErasure>,
        F: Future<Output = Result<Vec<Kept>, R>> + Send + 'static,
        R: Failure + From<db::Error>,
    {
        let db = self.kit.db.clone();
        self.on(move |state, call: Call<E>| {
            let (kept, db) = (kept(state, call.path.0.clone()), db.clone());
            async move {
                let told = erasure::report(&db, &call.path.0, kept.await?).await?;
                let untold = || ServiceErasure::unknown(db.service(), ServiceErasureStatus::Pending);
                Ok::<_, R>(Answer::new(told.unwrap_or_else(untold)))
            }
        })
    }

    /// Mounts the telling of what this service keeps of deleted patients, and the taking away of what has had its time.
    #[must_use]
    pub fn on_retention<L, C>(self, retention: &Retention) -> Self
    where
        L: Endpoint<Path = (PatientId,), Query = RetainedSearch, Body = (), Reply = RetainedPage>,
        C: Endpoint<Path = (), Query = (), Body = RetentionRequest, Reply = ServiceRetention>,
    {
        let (db, retention) = (self.kit.db.clone(), retention.clone());
        self.on(move |_, call: Call<L>| {
            let db = db.clone();
            async move { retention::page(&db, &call.path.0, &call.query).await.map(Answer::new) }
        })
        .on(move |_, call: Call<C>| {
            let retention = retention.clone();
            async move {
                let answer = retention.answer(call.body).await.map_err(Retaining::from)?;
                Ok::<_, Retaining>(Answer::new(answer))
            }
        })
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
        let service = Ready { db: self.kit.db.clone(), phase: self.kit.phase.clone() };
        let ready = move || {
            let service = service.clone();
            async move { ready::ready(&[service]).await }
        };
        Ok(self
            .router
            .route("/livez", axum::routing::get(ready::live))
            .route("/readyz", axum::routing::get(ready))
            .fallback(async || respond(&Problem::new(ProblemCode::NotFound)))
            .method_not_allowed_fallback(async || respond(&Problem::new(ProblemCode::MethodNotAllowed))))
    }
}

fn method_filter(method: Method) -> MethodFilter {
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

/// The span of a request, if whoever asks records the trace.
fn begin(tracer: &Tracer, told: TraceContext, operation: &Operation) -> Option<Span> {
    let method = operation.method.as_str();
    let mut span = tracer.continued(told, format!("{method} {}", operation.path))?;
    traces::http::serves(&mut span, method, operation.path);
    Some(span)
}

/// From request to response; the only place where a failure is logged.
async fn handle<E, S, H, F, R>(
    kit: &Kit,
    state: &S,
    handler: &H,
    shape: Option<&Shape>,
    (mut parts, body): (Parts, Body),
    trace: Option<TraceContext>,
) -> Response
where
    E: Endpoint,
    S: Clone,
    H: Fn(S, Call<E>) -> F,
    F: Future<Output = Result<Answer<E>, R>> + Send,
    R: Failure,
{
    let trace_id = trace.as_ref().map(TraceContext::trace_id);
    let mut goes_on = None;
    let result = match parse::<E>(kit, shape, &mut parts, body).await {
        Err(problem) => Err(problem),
        Ok(Parsed::Replay(kept)) => Ok(kept),
        Ok(Parsed::Call(call)) => {
            let receipt = call.receipt.clone();
            // In a box: it may have tens of kilobytes, and each of the layers around it would have room for it, some of them twice.
            let work = AssertUnwindSafe(Box::pin(handler(state.clone(), *call))).catch_unwind();
            let result = match deadline::keep(work).await {
                None => {
                    tracing::debug!(operation = E::OPERATION.id, trace_id, "whoever asked waits no longer");
                    Err(Problem::new(ProblemCode::DeadlineExceeded))
                }
                Some(Ok(Ok(mut answer))) => {
                    goes_on = answer.take_events();
                    Ok(answer.render())
                }
                Some(Ok(Err(failure))) => Err(log_and_show(&failure, E::OPERATION.id, trace_id.as_deref())),
                Some(Err(_)) => {
                    tracing::error!(operation = E::OPERATION.id, trace_id, "a handler panicked");
                    Err(Problem::new(ProblemCode::Internal))
                }
            };
            receipt.release(result.is_err()).await;
            result
        }
    };
    let result = audit::write_down(&kit.db, E::OPERATION, result).await;
    match (result, goes_on) {
        (Ok(_), Some(heard)) => events::response(heard),
        (Ok(kept), None) => {
            answer::response(kept, (E::OPERATION.method == Method::Get).then_some(&parts.headers))
        }
        (Err(mut problem), _) => {
            problem.trace_id = trace_id;
            let page = html::response(E::OPERATION, &problem, &parts.headers);
            page.map_or_else(|| respond(&problem), |page| page.map(Body::new))
        }
    }
}

/// The problem that the caller sees; what broke, for the log.
fn log_and_show<R: Failure>(failure: &R, operation: &str, trace_id: Option<&str>) -> Problem {
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
