//! [`Trail`]: what one reconcile did, told in one line at its end.
//!
//! Every line that is logged in between stands in the span `reconcile`, with the stack and an id, so that the story of one reconcile, or of
//! one stack, can be picked out of the log of eight at once.

use std::time::Duration;

use contracts::ambient::Random;
use traces::{Current, Tracer};
use tracing::{Level, Span};

use crate::Error;

/// What one reconcile did.
#[derive(Clone, Debug, Default)]
pub struct Trail {
    /// Objects made or changed, Secrets among them.
    pub written: usize,
    /// Objects taken away.
    pub deleted: usize,
    /// Whether the status was written.
    pub status: bool,
    /// Why the stack is ready, or is not: the reason of its condition.
    pub outcome: Option<String>,
}

/// The span of one reconcile. It is there at every level of the log: a warning is worth little without its stack.
pub fn span(namespace: &str, stack: &str, generation: Option<i64>, random: &Random) -> Span {
    let id = data_encoding::HEXLOWER.encode(&random.bytes::<8>());
    let trace_id = traces::current().map(|current| current.context.trace_id());
    tracing::span!(Level::ERROR, "reconcile", id, namespace, stack, generation, trace_id)
}

/// Where one reconcile stands in a trace of its own, if that is recorded: a step of it is a span below.
#[derive(Debug)]
pub struct Traced {
    span: Option<traces::Span>,
    tracer: Tracer,
}

impl Traced {
    /// Begins one.
    pub fn begin(tracer: &Tracer, namespace: &str, stack: &str, generation: Option<i64>) -> Self {
        let mut span = tracer.root("reconcile");
        if let Some(span) = &mut span {
            span.set("k8s.namespace.name", namespace.to_owned());
            span.set("healthcare.stack", stack.to_owned());
            span.set("healthcare.generation", generation.unwrap_or_default());
        }
        Self { span, tracer: tracer.clone() }
    }

    /// What the reconcile's work is done within.
    pub fn current(&self) -> Option<Current> {
        let span = self.span.as_ref()?;
        Some(Current { context: span.context(), tracer: self.tracer.clone() })
    }

    /// It is over.
    pub fn end<T>(self, came_to: &'static str, ended: &Result<T, Error>) {
        let Some(mut span) = self.span else { return };
        span.set("healthcare.outcome", came_to);
        if let Err(error) = ended {
            span.fail(error.reason(), error.to_string());
        }
    }
}

impl Trail {
    /// Whether the cluster is as it was before.
    const fn is_idle(&self) -> bool {
        self.written == 0 && self.deleted == 0 && !self.status
    }

    /// What a reconcile came to, in a word: one that wrote took the time of its writes.
    pub const fn came_to<T>(&self, ended: &Result<T, Error>) -> &'static str {
        match ended {
            Err(_) => "failed",
            Ok(_) if self.is_idle() => "unchanged",
            Ok(_) => "changed",
        }
    }

    /// Tells how a reconcile ended. At rest nobody needs to read of it.
    pub fn tell<T>(&self, took: Duration, ended: &Result<T, Error>) {
        let Self { written, deleted, status, outcome } = self;
        // A number, in 64 bits: a larger one would be written as text.
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let outcome = outcome.as_deref().unwrap_or("unknown");
        match ended {
            // Told by whoever decides when it is tried again.
            Err(error) => tracing::debug!(
                took_ms,
                written,
                deleted,
                status,
                reason = error.reason(),
                "reconcile failed"
            ),
            Ok(_) if self.is_idle() => tracing::debug!(took_ms, outcome, "reconciled: nothing to do"),
            Ok(_) => tracing::info!(took_ms, written, deleted, status, outcome, "reconciled"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;
    use serde_json::Value;
    use tracing_subscriber::fmt::MakeWriter;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Lines {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    /// What is logged at a level, as the operator's log is written.
    fn logged(level: Level, work: impl FnOnce()) -> Vec<Value> {
        let lines = Lines::default();
        let log = tracing_subscriber::fmt().json().flatten_event(true).with_max_level(level);
        tracing::subscriber::with_default(log.with_writer(lines.clone()).finish(), work);
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn one(trail: &Trail, ended: &Result<(), Error>) {
        let span = span("clinic", "a", Some(3), &Random::system());
        span.in_scope(|| trail.tell(Duration::from_millis(12), ended));
    }

    #[test]
    fn a_reconcile_that_wrote_something_is_one_line_with_all_that_there_is_to_know() {
        let trail =
            Trail { written: 2, status: true, outcome: Some("RollingOut".to_owned()), ..Trail::default() };
        let lines = logged(Level::INFO, || one(&trail, &Ok(())));
        let [line] = lines.as_slice() else { panic!("{lines:?}") };
        assert_eq!((&line["message"], &line["level"]), (&"reconciled".into(), &"INFO".into()));
        assert_eq!(
            (&line["took_ms"], &line["written"], &line["outcome"]),
            (&12.into(), &2.into(), &"RollingOut".into())
        );
        let span = &line["span"];
        assert_eq!(
            (&span["name"], &span["namespace"], &span["stack"]),
            (&"reconcile".into(), &"clinic".into(), &"a".into())
        );
        assert_eq!(span["generation"], 3);
        assert_eq!(span["id"].as_str().map(str::len), Some(16));
    }

    #[test]
    fn a_stack_at_rest_is_told_of_only_to_those_who_ask() {
        let rest = Trail::default();
        assert_eq!(rest.came_to(&Ok(())), "unchanged");
        assert_eq!(Trail { deleted: 1, ..Trail::default() }.came_to(&Ok(())), "changed");
        assert_eq!(rest.came_to::<()>(&Err(Error::TimedOut(1))), "failed");
        assert!(logged(Level::INFO, || one(&rest, &Ok(()))).is_empty());
        assert_eq!(logged(Level::DEBUG, || one(&rest, &Ok(()))).len(), 1);
    }

    #[test]
    fn a_warning_has_its_stack_at_every_level() {
        let lines = logged(Level::WARN, || {
            span("clinic", "a", None, &Random::system()).in_scope(|| tracing::warn!("something"));
        });
        assert_eq!(lines[0]["span"]["stack"], "a");
    }
}
