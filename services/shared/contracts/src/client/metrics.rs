//! [`ClientMetrics`]: what became of the calls of one service to the others. Few series: a target is one of seven, and ends are a short list.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use resilience::breaker::{Breaker, State};
use resilience::bulkhead::Bulkhead;

use super::policies::Policies;

/// What became of the calls of one service to the others. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct ClientMetrics {
    calls: Family<CallLabels, Counter>,
    retries: Family<RetryLabels, Counter>,
    watched: Watched,
}

/// A service that is called, and what is counted of that.
#[derive(Clone, Debug, Default)]
pub struct Target {
    name: &'static str,
    metrics: ClientMetrics,
}

/// How a call ended, repetitions included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// By an answer other than 5xx.
    Answered,
    /// By 5xx.
    Failed,
    /// Without an answer in time.
    Timeout,
    /// Without a connection.
    Unreached,
    /// Its connection broke off.
    Broken,
    /// Refused by the breaker.
    Open,
    /// Refused by the bulkhead.
    Full,
    /// There was no time left for it.
    NoTime,
    /// Whoever made it did not wait.
    Cancelled,
}

/// What became of the wish to repeat an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Retry {
    /// It was.
    Made,
    /// There were too many repetitions already.
    OverBudget,
    /// The deadline was too near.
    TooLate,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    target: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RetryLabels {
    target: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TargetLabel {
    target: &'static str,
}

/// Breakers and bulkheads, which are asked when the page is. There may be several ways to one target.
#[derive(Clone, Debug, Default)]
struct Watched(Arc<Mutex<Vec<Way>>>);

/// What is shown of one way to a target.
#[derive(Debug)]
struct Way {
    target: &'static str,
    breaker: Breaker,
    bulkhead: Bulkhead,
}

impl ClientMetrics {
    /// Shows them.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("client_calls", "Calls to other services, by how they ended", self.calls.clone());
        registry.register(
            "client_retries",
            "Repeated attempts, and those that were not",
            self.retries.clone(),
        );
        registry.register_collector(Box::new(self.watched.clone()));
    }

    /// For calls to this service.
    pub fn target(&self, name: &'static str) -> Target {
        Target { name, metrics: self.clone() }
    }
}

impl Target {
    pub(super) fn watch(&self, policies: &Policies) {
        let Watched(watched) = &self.metrics.watched;
        let (breaker, bulkhead) = (policies.breaker.clone(), policies.bulkhead.clone());
        let way = Way { target: self.name, breaker, bulkhead };
        watched.lock().unwrap_or_else(PoisonError::into_inner).push(way);
    }

    /// Begins to count a call: dropped, it was cancelled.
    pub(super) fn begin(&self) -> Counting<'_> {
        Counting { target: self, ended: Ended::Cancelled }
    }

    pub(super) fn retry(&self, retry: Retry) {
        let outcome = match retry {
            Retry::Made => "made",
            Retry::OverBudget => "over_budget",
            Retry::TooLate => "too_late",
        };
        self.metrics.retries.get_or_create(&RetryLabels { target: self.name, outcome }).inc();
    }
}

/// A call under way.
pub(super) struct Counting<'a> {
    target: &'a Target,
    ended: Ended,
}

impl Counting<'_> {
    pub(super) fn ended(&mut self, ended: Ended) {
        self.ended = ended;
    }
}

impl Drop for Counting<'_> {
    fn drop(&mut self) {
        let outcome = match self.ended {
            Ended::Answered => "answered",
            Ended::Failed => "failed",
            Ended::Timeout => "timeout",
            Ended::Unreached => "unreached",
            Ended::Broken => "broken",
            Ended::Open => "open",
            Ended::Full => "full",
            Ended::NoTime => "no_time",
            Ended::Cancelled => "cancelled",
        };
        let Target { name: target, metrics } = self.target;
        metrics.calls.get_or_create(&CallLabels { target, outcome }).inc();
    }
}

/// What the page says of a target.
#[derive(Default)]
struct Shown {
    breaker: i64,
    in_flight: i64,
}

type Value = fn(&Shown) -> i64;

impl Watched {
    /// Of several breakers the worst is shown; calls add up.
    fn shown(&self) -> BTreeMap<&'static str, Shown> {
        let mut targets: BTreeMap<_, Shown> = BTreeMap::new();
        for Way { target, breaker, bulkhead } in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter()
        {
            let shown = targets.entry(*target).or_default();
            shown.breaker = shown.breaker.max(match breaker.state() {
                State::Closed => 0,
                State::HalfOpen => 1,
                State::Open => 2,
            });
            shown.in_flight += i64::from(bulkhead.calls());
        }
        targets
    }
}

impl Collector for Watched {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let targets = self.shown();
        let families: [(&str, &str, Value); 2] = [
            (
                "client_breaker_state",
                "The circuit breaker of calls to a service: 0 closed, 1 half open, 2 open",
                |shown| shown.breaker,
            ),
            ("client_in_flight", "Calls under way to a service", |shown| shown.in_flight),
        ];
        for (name, help, value) in families {
            let kind = ConstGauge::new(0_i64).metric_type();
            let mut family = encoder.encode_descriptor(name, help, None, kind)?;
            for (&target, shown) in &targets {
                ConstGauge::new(value(shown)).encode(family.encode_family(&TargetLabel { target })?)?;
            }
        }
        Ok(())
    }
}
