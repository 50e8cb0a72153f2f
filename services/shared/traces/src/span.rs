//! [`Span`]: one piece of work, from its beginning to when it is dropped. Whatever ends the work ends its span: an error, a deadline, a client
//! that went away.

use std::borrow::Cow;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::context::TraceContext;
use crate::tracer::Tracer;

/// What a span is to the one that it belongs to (OpenTelemetry's `SpanKind`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Work within the process.
    Internal,
    /// A request that is answered.
    Server,
    /// A request that is made.
    Client,
}

/// An attribute's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Text. Never what a caller sent, but for methods.
    Text(Cow<'static, str>),
    /// A number.
    Number(i64),
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<u16> for Value {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

/// What a span says, when it is over.
#[derive(Clone, Debug)]
pub(crate) struct Finished {
    pub(crate) part: &'static str,
    pub(crate) context: TraceContext,
    pub(crate) parent: Option<[u8; 8]>,
    pub(crate) is_parent_remote: bool,
    pub(crate) name: Cow<'static, str>,
    pub(crate) kind: Kind,
    pub(crate) start: Duration,
    pub(crate) took: Duration,
    pub(crate) attributes: Vec<(&'static str, Value)>,
    pub(crate) failure: Option<Cow<'static, str>>,
    /// Whether it is known how it ended.
    pub(crate) has_ended: bool,
}

/// One piece of work, being measured. Dropped, it is over, and goes to the collector.
#[derive(Debug)]
pub struct Span {
    tracer: Tracer,
    began: Instant,
    /// There until the drop.
    said: Option<Box<Finished>>,
    context: TraceContext,
}

impl Span {
    pub(crate) fn begin(
        tracer: Tracer,
        context: TraceContext,
        parent: Option<[u8; 8]>,
        is_parent_remote: bool,
        (kind, name): (Kind, Cow<'static, str>),
    ) -> Self {
        let said = Finished {
            part: tracer.part(),
            context,
            parent,
            is_parent_remote,
            name,
            kind,
            start: now(),
            took: Duration::ZERO,
            attributes: Vec::with_capacity(8),
            failure: None,
            has_ended: kind == Kind::Internal,
        };
        Self { tracer, began: Instant::now(), said: Some(Box::new(said)), context }
    }

    /// Where it stands: what is told to whoever is asked next.
    pub const fn context(&self) -> TraceContext {
        self.context
    }

    /// Calls it something else: of a request it is known late which one it was.
    pub fn rename(&mut self, name: impl Into<Cow<'static, str>>) {
        if let Some(said) = &mut self.said {
            said.name = name.into();
        }
    }

    /// Says more of it.
    pub fn set(&mut self, attribute: &'static str, value: impl Into<Value>) {
        if let Some(said) = &mut self.said {
            said.attributes.push((attribute, value.into()));
        }
    }

    /// How it ends is known now. A request that ends before that was given up by whoever made it.
    pub fn end(&mut self) {
        if let Some(said) = &mut self.said {
            said.has_ended = true;
        }
    }

    /// Nobody is told of it.
    pub fn forget(mut self) {
        self.said = None;
    }

    /// It went wrong: the kind of error (`error.type`), such as a status or `timeout`, and if there is more to say, that.
    pub fn fail(&mut self, kind: impl Into<Value>, why: impl Into<Cow<'static, str>>) {
        self.set("error.type", kind);
        if let Some(said) = &mut self.said {
            said.failure = Some(why.into());
            said.has_ended = true;
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if self.said.as_ref().is_some_and(|said| !said.has_ended) {
            self.fail("cancelled", "given up");
        }
        if let Some(mut said) = self.said.take() {
            said.took = self.began.elapsed();
            self.tracer.hand_on(said);
        }
    }
}

/// Since 1970. A span's times are for people who look, as those of log lines are: nothing is decided by them.
fn now() -> Duration {
    #[expect(clippy::disallowed_methods, reason = "a span says when it was, as a log line does")]
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
