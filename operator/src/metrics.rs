//! The operator's own metrics.

use std::time::Duration;

use http_kit::telemetry::{Metrics as Registry, TraceLabel};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::exemplar::HistogramWithExemplars;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use traces::{TraceContext, Tracer};

/// From a fifth of a millisecond to half a minute.
const SECONDS: [f64; 16] =
    [0.0002, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

type Seconds = HistogramWithExemplars<TraceLabel>;

/// What the operator counts.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    reconcile_seconds: Family<OutcomeLabel, Seconds, fn() -> Seconds>,
    errors: Family<ReasonLabel, Counter>,
    repairs: Family<KindLabel, Counter>,
    written: Counter,
    left: Counter,
    status_writes: Counter,
    requests: Family<VerbLabel, Counter>,
    queue_depth: Gauge,
    watch_age: Family<PathLabel, Gauge>,
    leads: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VerbLabel {
    verb: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PathLabel {
    path: String,
}

impl Metrics {
    /// Registers them.
    pub fn new() -> Self {
        let registry = Registry::default();
        let this = Self {
            registry: registry.clone(),
            reconcile_seconds: Family::new_with_constructor(|| Seconds::new(SECONDS.into_iter())),
            errors: Family::default(),
            repairs: Family::default(),
            written: Counter::default(),
            left: Counter::default(),
            status_writes: Counter::default(),
            requests: Family::default(),
            queue_depth: Gauge::default(),
            watch_age: Family::default(),
            leads: Gauge::default(),
        };
        registry.register("operator", |to| {
            to.register(
                "reconcile_seconds",
                "Time of one reconcile, by what it came to: changed, unchanged or failed",
                this.reconcile_seconds.clone(),
            );
            to.register(
                "reconcile_errors",
                "Reconciles that did not come to their end, by reason",
                this.errors.clone(),
            );
            to.register(
                "drift_repairs",
                "Objects that somebody had changed or deleted, by kind",
                this.repairs.clone(),
            );
            to.register("objects_written", "Objects made or changed", this.written.clone());
            to.register("objects_left", "Objects found as they should be", this.left.clone());
            to.register("status_writes", "Statuses written", this.status_writes.clone());
            to.register("api_requests", "Requests to the API server, by verb", this.requests.clone());
            to.register("queue_depth", "Stacks that wait for a reconcile", this.queue_depth.clone());
            to.register(
                "watch_silent_seconds",
                "Time since a watch was last seen alive",
                this.watch_age.clone(),
            );
            to.register("leads", "1 if this replica leads", this.leads.clone());
        });
        this
    }

    /// A reconcile ended; see [`crate::trail::Trail::came_to`]. `trace`: where it stands, if its trace is recorded.
    pub fn reconciled(&self, outcome: &'static str, took: Duration, trace: Option<TraceContext>) {
        let seconds = self.reconcile_seconds.get_or_create(&OutcomeLabel { outcome });
        seconds.observe(took.as_secs_f64(), trace.map(TraceLabel::from), None);
    }

    /// Counts what becomes of spans.
    pub fn register_tracer(&self, tracer: &Tracer) {
        self.registry.register_tracer("operator", tracer);
    }

    /// A reconcile failed.
    pub fn failed(&self, reason: &'static str) {
        self.errors.get_or_create(&ReasonLabel { reason }).inc();
    }

    /// Somebody's change was taken back.
    pub fn repaired(&self, kind: &str) {
        self.repairs.get_or_create(&KindLabel { kind: kind.to_owned() }).inc();
    }

    /// An object was made or changed.
    pub fn written(&self) {
        self.written.inc();
    }

    /// Objects were as they should be.
    pub fn left(&self, objects: u64) {
        self.left.inc_by(objects);
    }

    /// A status was written.
    pub fn status_written(&self) {
        self.status_writes.inc();
    }

    /// A request was sent.
    pub fn request(&self, verb: &'static str) {
        self.requests.get_or_create(&VerbLabel { verb }).inc();
    }

    /// So many stacks wait.
    pub fn queue_depth(&self, depth: usize) {
        self.queue_depth.set(i64::try_from(depth).unwrap_or(i64::MAX));
    }

    /// Whether this replica leads.
    pub fn leads(&self, leads: bool) {
        self.leads.set(i64::from(leads));
    }

    /// The page that Prometheus reads, with the watches' ages as they are now.
    pub fn page(&self, silences: &[(String, Duration)]) -> String {
        self.watch_age.clear();
        for (path, silence) in silences {
            let seconds = i64::try_from(silence.as_secs()).unwrap_or(i64::MAX);
            self.watch_age.get_or_create(&PathLabel { path: path.clone() }).set(seconds);
        }
        self.registry.page()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
