//! [`Exchange`]: what is remembered of a request until its answer's last byte; then one line in the access log and a few counts.
//!
//! Never the path, the query or a body: those may tell who somebody is and what ails them. The template tells enough.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderValue, Method, StatusCode};
use http_kit::telemetry::ACCESS;
use http_kit::token::Caller;
use traces::context::TRACE_ID;
use traces::http::{answered, serves};
use traces::{Kind, Span};

use crate::body::Intake;
use crate::fallback;
use crate::forward::Hedged;
use crate::gateway::Core;
use crate::limits::Standing;
use crate::link::Link;
use crate::loan::Held;
use crate::refusal::Cause;
use crate::snapshot::{Route, Target};

/// Logged when the client went away before it had an answer (nginx's habit).
const CLIENT_GONE: u16 = 499;

/// A method as logs and spans call it: one of a few, whatever a client makes up.
pub(crate) fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// A request and what became of it. Dropped, it is reported.
pub(crate) struct Exchange {
    core: Arc<Core>,
    link: Arc<Link>,
    pub(crate) started: Instant,
    access_log: bool,
    pub(crate) method: &'static str,
    pub(crate) request_id: HeaderValue,
    pub(crate) traceparent: HeaderValue,
    /// If the request's trace is recorded.
    pub(crate) span: Option<Box<Span>>,
    pub(crate) route: Option<Arc<Route>>,
    pub(crate) caller: Option<Arc<Caller>>,
    pub(crate) standing: Option<Standing>,
    pub(crate) status: Option<StatusCode>,
    pub(crate) bytes: u64,
    pub(crate) retries: u32,
    /// It was sent once more where a kept connection ended under it, and what came of it before is not known.
    pub(crate) is_in_doubt: bool,
    /// It was made a second time beside the first.
    pub(crate) hedged: Option<Hedged>,
    /// It went to the route's canary.
    pub(crate) is_canary: bool,
    /// What stood in for the service's answer.
    pub(crate) fallback: Option<fallback::Kind>,
    /// Why the service's own answer was not to be had.
    pub(crate) failure: Option<Cause>,
    /// Its answer, being copied to stand in for a later one.
    pub(crate) copy: Option<Box<fallback::Passing>>,
    /// It counts among those that its service is busy with.
    is_admitted: bool,
    /// Its place lies with the body that is read,
    intake: Option<Arc<Intake>>,
    /// or where its answer is sent.
    is_lent: bool,
    end: End,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// Under way; if dropped so, the client went away.
    Open,
    Whole,
    /// The service broke off in the middle of its answer.
    Broken,
}

impl std::fmt::Debug for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exchange").field("request_id", &self.request_id).finish_non_exhaustive()
    }
}

impl Exchange {
    pub(crate) fn begin(
        core: Arc<Core>,
        link: Arc<Link>,
        started: Instant,
        method: &'static str,
        request_id: HeaderValue,
        traceparent: HeaderValue,
    ) -> Self {
        core.meters.in_flight.inc();
        Self {
            core,
            link,
            started,
            access_log: false,
            method,
            request_id,
            traceparent,
            span: None,
            route: None,
            caller: None,
            standing: None,
            status: None,
            bytes: 0,
            retries: 0,
            is_in_doubt: false,
            hedged: None,
            is_canary: false,
            fallback: None,
            failure: None,
            copy: None,
            is_admitted: false,
            intake: None,
            is_lent: false,
            end: End::Open,
        }
    }

    pub(crate) fn log_access(&mut self, yes: bool) {
        self.access_log = yes;
    }

    pub(crate) fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// The trace's id, out of the `traceparent`.
    pub(crate) fn trace_id(&self) -> &str {
        self.traceparent.to_str().ok().and_then(|text| text.get(TRACE_ID)).unwrap_or_default()
    }

    /// Its service is through with it, or was before: its place is for somebody else.
    pub(crate) fn give_back(&mut self) {
        if std::mem::take(&mut self.is_admitted)
            && let Some(route) = &self.route
        {
            route.admission.leave(self.is_canary);
        } else if std::mem::take(&mut self.is_lent) {
            self.link.with_loan(|loan| loan.put(None));
        } else if let Some(intake) = self.intake.take() {
            intake.loan.put(None);
        }
    }

    /// It was let in. With a body that is still read its client may be waited for: whoever reads that may give the place back meanwhile.
    pub(crate) fn admitted(&mut self, intake: Option<&Arc<Intake>>) {
        self.is_admitted = true;
        if let Some(intake) = intake
            && let Some(held) = self.hold()
        {
            intake.loan.put(Some(held));
            self.intake = Some(Arc::clone(intake));
        }
    }

    /// Its client may be waited for to take its answer: whoever sends that may give the place back.
    pub(crate) fn lend(&mut self) {
        // It is of the body as long as that comes: the service may wait for it with its answer.
        if self.intake.as_ref().is_some_and(|intake| !intake.is_read()) {
            return;
        }
        let lent = self.intake.take().and_then(|intake| intake.loan.take());
        if let Some(held) = lent.or_else(|| self.hold()) {
            let mut held = Some(held);
            self.link.with_loan(|loan| loan.put(held.take()));
            self.is_lent = true;
        }
    }

    /// The place, if it is here.
    fn hold(&mut self) -> Option<Box<Held>> {
        let route = self.route.as_ref().filter(|_| self.is_admitted)?;
        let held = Held::new(Arc::clone(route), self.is_canary);
        self.is_admitted = false;
        Some(Box::new(held))
    }

    pub(crate) fn is_lent(&self) -> bool {
        self.is_lent
    }

    /// The answer reached its end.
    pub(crate) fn completed(&mut self) {
        self.end = End::Whole;
        if let Some(copy) = self.copy.take() {
            copy.keep();
        }
    }

    /// The service broke off.
    pub(crate) fn broken(&mut self) {
        self.end = End::Broken;
    }

    /// What its span says at its end.
    fn trace(&self, mut span: Span, status: Option<u16>) {
        let route = self.route.as_deref();
        let method = if self.method == "other" { "_OTHER" } else { self.method };
        if let Some(route) = route {
            span.rename(format!("{method} {}", route.template));
            serves(&mut span, method, &route.template);
        } else {
            span.rename(if method == "_OTHER" { "HTTP" } else { method });
            span.set("http.request.method", method);
        }
        match (self.end, status) {
            (End::Open, _) | (_, None) => span.fail("client_gone", "the client did not wait for its answer"),
            (End::Broken, Some(status)) => {
                span.set("http.response.status_code", status);
                span.fail("broken", "the service broke off in the middle of its answer");
            }
            (End::Whole, Some(status)) => answered(Some(&mut span), Kind::Server, status),
        }
    }

    fn log(&self, status: u16, took: Duration) {
        let route = self.route.as_deref();
        let service = route.map(|route| match &route.target {
            Target::Own(_) => crate::snapshot::GATEWAY,
            Target::Service { canary: Some(canary), .. } if self.is_canary => &*canary.lane.service,
            Target::Service { lane, .. } => &*lane.service,
        });
        tracing::info!(
            target: ACCESS,
            method = self.method,
            route = route.map_or("-", |route| &*route.template),
            status,
            duration_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            bytes = self.bytes,
            request_id = self.request_id.to_str().unwrap_or_default(),
            trace_id = self.trace_id(),
            user = self.caller.as_ref().map_or("-", |caller| &*caller.user),
            upstream = service.unwrap_or("-"),
            retries = self.retries,
            // Nothing is written of what there was not.
            hedged = self.hedged.map(Hedged::as_str),
            fallback = self.fallback.map_or("-", fallback::Kind::as_str),
            failure = self.failure.map(Cause::as_str),
            broken = self.end == End::Broken,
        );
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.link.end();
        self.give_back();
        let meters = &self.core.meters;
        meters.in_flight.dec();
        let route = self.route.as_deref();
        // Probes come every few seconds for ever, and would drown what people do.
        if matches!(route.map(|route| &route.target), Some(Target::Own(own)) if own.is_probe()) {
            if let Some(span) = self.span.take() {
                span.forget();
            }
            return;
        }
        if let (Some(kind), Some(route)) = (self.fallback, route) {
            meters.fell_back(&route.meters, kind);
        }
        let took = self.started.elapsed();
        let trace = self.span.as_ref().map(|span| span.context());
        let status = self.status.map(|status| status.as_u16());
        match status {
            Some(status) if self.end != End::Open => {
                let is_error = status >= 500 || self.end == End::Broken;
                meters.answered(
                    route.map_or(&meters.unrouted, |route| &route.meters),
                    (status, is_error),
                    took,
                    trace,
                );
                if let Some(Target::Service { canary: Some(canary), .. }) = route.map(|route| &route.target) {
                    meters.versions(&canary.lane.service, self.is_canary, status);
                }
            }
            _ => meters.gave_up(),
        }
        if self.access_log {
            self.log(if self.end == End::Open { CLIENT_GONE } else { status.unwrap_or(CLIENT_GONE) }, took);
        }
        if let Some(span) = self.span.take() {
            self.trace(*span, status);
        }
    }
}
