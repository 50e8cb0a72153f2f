//! [`Current`]: the trace that the work under way belongs to. It goes along with a task, so that a call to another service, deep within a
//! handler, carries it on without a parameter through everything in between.

use std::fmt::Display;

use crate::context::TraceContext;
use crate::span::{Kind, Span};
use crate::tracer::Tracer;

tokio::task_local! {
    static CURRENT: Option<Current>;
}

/// Where the work under way stands in its trace.
#[derive(Clone, Debug)]
pub struct Current {
    /// The span it belongs to.
    pub context: TraceContext,
    /// Who makes further ones.
    pub tracer: Tracer,
}

impl Current {
    /// A span below this one, if the trace is recorded.
    pub fn child(&self, kind: Kind, name: impl Into<std::borrow::Cow<'static, str>>) -> Option<Span> {
        self.tracer.child(self.context, kind, name)
    }
}

/// Where the work under way stands, if it belongs to a trace.
pub fn current() -> Option<Current> {
    CURRENT.try_with(Clone::clone).ok().flatten()
}

/// Does work that belongs to a trace, if it does.
pub async fn within<F: Future>(current: Option<Current>, work: F) -> F::Output {
    CURRENT.scope(current, work).await
}

/// What is said of an error in a trace.
pub trait Failed: Display {
    /// Which of a few kinds it is (`error.type`).
    fn kind(&self) -> &'static str;
}

/// Does work as a step of what is under way: with a span of its own, if the trace is recorded. `failure` says what went wrong, if
/// something did. The work lies in a box of its own, so that steps within steps do not add up.
pub fn step_with<T, E: Failed>(
    name: &'static str,
    work: impl Future<Output = T>,
    failure: impl for<'a> FnOnce(&'a T) -> Option<&'a E>,
) -> impl Future<Output = T> {
    let work = Box::pin(work);
    async move {
        let Some(current) = current() else { return work.await };
        let Some(mut span) = current.child(Kind::Internal, name) else { return work.await };
        let ended = within(Some(Current { context: span.context(), ..current }), work).await;
        if let Some(error) = failure(&ended) {
            span.fail(error.kind(), error.to_string());
        }
        ended
    }
}

/// [`step_with`] of work that says itself whether it went wrong.
pub fn step<T, E: Failed>(
    name: &'static str,
    work: impl Future<Output = Result<T, E>>,
) -> impl Future<Output = Result<T, E>> {
    step_with(name, work, |ended| ended.as_ref().err())
}

/// A step that waits for nothing, and is over when what is returned is dropped.
pub fn piece(name: &'static str) -> Option<Span> {
    current()?.child(Kind::Internal, name)
}
