//! [`Queue`]: spans that wait to be sent. Putting one there never waits; where there is no room it is dropped, and counted.

use std::sync::{Mutex, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use tokio::sync::Notify;

use crate::span::Finished;

/// So many wait at most: some two megabytes.
pub(crate) const SPANS_MAX: usize = 4_096;
/// So many are sent at once.
pub(crate) const BATCH: usize = 512;

/// Why a span did not reach the collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dropped {
    /// More came than the collector takes.
    QueueFull,
    /// The collector does not answer, or says that it cannot now.
    Unreachable,
    /// The collector answered that it does not want it.
    Refused,
    /// It could not be asked: a header's secret, or the authority's certificate, is not there.
    Unusable,
    /// The process ended first.
    Stopped,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

/// In boxes: the lock is held for a pointer, not for a whole span.
pub(crate) type Spans = Vec<Box<Finished>>;

/// What waits, and what became of the rest.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    spans: Mutex<Spans>,
    /// Told when there is a whole batch.
    pub(crate) is_worth_it: Notify,
    sent: Counter,
    dropped: Family<Reason, Counter>,
}

impl Queue {
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register("trace_spans_sent", "Spans that the collector took", self.sent.clone());
        registry.register(
            "trace_spans_dropped",
            "Spans that did not reach the collector, by reason",
            self.dropped.clone(),
        );
    }

    pub(crate) fn push(&self, span: Box<Finished>) {
        let mut spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = spans.len();
        if waiting < SPANS_MAX {
            spans.push(span);
        }
        drop(spans);
        if waiting >= SPANS_MAX {
            self.drop_count(Dropped::QueueFull, 1);
        } else if waiting + 1 == BATCH {
            self.is_worth_it.notify_one();
        }
    }

    /// The oldest, one batch at most.
    pub(crate) fn take(&self) -> Spans {
        let mut spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = spans.len().min(BATCH);
        let rest = spans.split_off(oldest);
        std::mem::replace(&mut *spans, rest)
    }

    /// Nobody will send them any more.
    pub(crate) fn drop_all(&self) {
        let spans = std::mem::take(&mut *self.spans.lock().unwrap_or_else(PoisonError::into_inner));
        self.drop_count(Dropped::Stopped, spans.len());
    }

    pub(crate) fn sent_count(&self, spans: usize) {
        self.sent.inc_by(spans as u64);
    }

    pub(crate) fn drop_count(&self, why: Dropped, spans: usize) {
        if spans == 0 {
            return;
        }
        let reason = match why {
            Dropped::QueueFull => "queue_full",
            Dropped::Unreachable => "unreachable",
            Dropped::Refused => "refused",
            Dropped::Unusable => "unusable",
            Dropped::Stopped => "stopped",
        };
        self.dropped.get_or_create(&Reason { reason }).inc_by(spans as u64);
    }
}
