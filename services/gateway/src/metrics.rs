//! Counts and times. Labels come from the configuration alone, never from a request, so that nobody outside can add a series.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http_kit::telemetry::{Metrics, TraceLabel, status_class};
use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::exemplar::HistogramWithExemplars;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::{MetricType, TypedMetric};
use settings::Priority;
use traces::TraceContext;

use crate::admission;
use crate::fallback::{Kind, Larder};
use crate::kept::Lanes;
use crate::limits::{By, StoreMeters};

mod looked_at;

use looked_at::{Endpoints, Shelves};

/// From half a millisecond to ten seconds.
const SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];
/// 1xx to 5xx.
const CLASSES: usize = 5;

/// The gateway's own.
#[derive(Debug)]
pub(crate) struct Meters {
    total: Totals,
    seconds: Histograms,
    pub(crate) in_flight: Gauge,
    pub(crate) tunnels: Gauge,
    pub(crate) turned_away: Counter,
    /// By [`By`].
    refused: [Counter; 4],
    pub(crate) store: StoreMeters,
    pub(crate) retries: Counter,
    /// Reads made a second time, and of these the ones whose second attempt answered first.
    pub(crate) hedges: Counter,
    pub(crate) hedges_won: Counter,
    fallbacks: Family<FallbackLabels, Counter>,
    aborted: Counter,
    versions: Family<VersionLabels, Counter>,
    shed: Family<ShedLabels, Counter>,
    not_requests: Counter,
    /// Of requests that no route took.
    pub(crate) unrouted: RouteMeters,
    /// As `GET /api/gateway` tells them, of all gateways together too.
    requests: Counter,
    errors: Counter,
}

/// A route's, looked up once each, so that a request only adds. A series begins with its first request: a page of zeros for
/// every route and status would be read by nobody.
#[derive(Debug)]
pub(crate) struct RouteMeters {
    labels: RouteLabels,
    totals: Totals,
    histograms: Histograms,
    total: [OnceLock<Counter>; CLASSES],
    seconds: OnceLock<Seconds>,
}

/// Times. With traces, each bucket points to one of a request that fell into it (an exemplar), which costs every request a lock more: whether
/// they are there is decided when the gateway starts.
#[derive(Clone, Debug)]
enum Seconds {
    Plain(Histogram),
    Traced(HistogramWithExemplars<TraceLabel>),
}

impl Seconds {
    const PLAIN: fn() -> Self = || Self::Plain(Histogram::new(SECONDS));
    const TRACED: fn() -> Self = || Self::Traced(HistogramWithExemplars::new(SECONDS.into_iter()));

    fn observe(&self, took: Duration, trace: Option<TraceContext>) {
        let seconds = took.as_secs_f64();
        match self {
            Self::Plain(histogram) => histogram.observe(seconds),
            Self::Traced(histogram) => histogram.observe(seconds, trace.map(TraceLabel::from), None),
        }
    }
}

impl TypedMetric for Seconds {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Seconds {
    fn encode(&self, encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        match self {
            Self::Plain(histogram) => histogram.encode(encoder),
            Self::Traced(histogram) => histogram.encode(encoder),
        }
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    method: &'static str,
    route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatusLabels {
    method: &'static str,
    route: String,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FallbackLabels {
    route: String,
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LimiterLabels {
    by: &'static str,
}

/// One process, which no other is called as: its counts never fall.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProcessLabels {
    process: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VersionLabels {
    canary: String,
    by: &'static str,
    status: &'static str,
}

/// Counts what is refused for want of room. A series begins with the first.
#[derive(Debug)]
pub(crate) struct ShedMeter {
    labels: ShedLabels,
    shed: Family<ShedLabels, Counter>,
}

impl ShedMeter {
    pub(crate) fn inc(&self) {
        self.shed.get_or_create(&self.labels).inc();
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ShedLabels {
    upstream: String,
    priority: &'static str,
}

impl Meters {
    /// `process` is a name that no other gateway has, nor had before.
    pub(crate) fn register(
        metrics: &Metrics,
        (lanes, larder): (Lanes, Arc<OnceLock<Arc<Larder>>>),
        is_traced: bool,
        process: String,
    ) -> Self {
        let process = ProcessLabels { process };
        let requests: Family<ProcessLabels, Counter> = Family::default();
        let errors: Family<ProcessLabels, Counter> = Family::default();
        let total = Family::default();
        let seconds = Family::new_with_constructor(if is_traced { Seconds::TRACED } else { Seconds::PLAIN });
        let refused: Family<LimiterLabels, Counter> = Family::default();
        let this = Self {
            unrouted: RouteMeters::new(&total, &seconds, "-", "-"),
            total,
            seconds,
            in_flight: Gauge::default(),
            tunnels: Gauge::default(),
            turned_away: Counter::default(),
            refused: By::ALL.map(|by| refused.get_or_create_owned(&LimiterLabels { by: by.name() })),
            store: metrics.register("api-gateway", StoreMeters::register),
            retries: Counter::default(),
            hedges: Counter::default(),
            hedges_won: Counter::default(),
            fallbacks: Family::default(),
            aborted: Counter::default(),
            versions: Family::default(),
            shed: Family::default(),
            not_requests: Counter::default(),
            requests: requests.get_or_create_owned(&process),
            errors: errors.get_or_create_owned(&process),
        };
        metrics.register("api-gateway", |registry| {
            registry.register("gateway_requests", "Requests answered", this.total.clone());
            registry.register(
                "gateway_request_seconds",
                "From a request's head to its answer's last byte",
                this.seconds.clone(),
            );
            registry.register("gateway_requests_in_flight", "Requests under way", this.in_flight.clone());
            registry.register("gateway_tunnels", "Connections that became WebSockets", this.tunnels.clone());
            registry.register(
                "gateway_turned_away",
                "Connections of an address that had too many",
                this.turned_away.clone(),
            );
            registry.register("gateway_rate_limited", "Requests refused by a rate limit", refused);
            registry.register("gateway_retries", "Attempts made again", this.retries.clone());
            registry.register(
                "gateway_hedges",
                "Reads made a second time beside the first",
                this.hedges.clone(),
            );
            registry.register(
                "gateway_hedges_won",
                "Reads whose second attempt answered first",
                this.hedges_won.clone(),
            );
            registry.register(
                "gateway_fallbacks",
                "Requests answered in a service's place, by the last good answer or a static one",
                this.fallbacks.clone(),
            );
            registry.register("gateway_aborted", "Requests given up by the client", this.aborted.clone());
            registry.register(
                "gateway_canary_requests",
                "Requests answered on routes with a canary, by who answered",
                this.versions.clone(),
            );
            registry.register(
                "gateway_bad_requests",
                "Bytes that were no HTTP request",
                this.not_requests.clone(),
            );
            registry.register("gateway_process_requests", "Requests answered by this process", requests);
            registry.register(
                "gateway_process_errors",
                "Requests that this process answered with 5xx, or ended itself",
                errors,
            );
            registry.register(
                "gateway_shed",
                "Requests refused since their service had more to do than it can",
                this.shed.clone(),
            );
            registry.register_collector(Box::new(admission::Shown(Arc::clone(&lanes))));
            registry.register_collector(Box::new(Endpoints(lanes)));
            registry.register_collector(Box::new(Shelves(larder)));
        });
        this
    }

    /// The meters of a route.
    pub(crate) fn route(&self, method: settings::Method, template: &str) -> RouteMeters {
        RouteMeters::new(&self.total, &self.seconds, method.as_str(), template)
    }

    /// Counts an answered request.
    pub(crate) fn answered(
        &self,
        route: &RouteMeters,
        (status, is_error): (u16, bool),
        took: Duration,
        trace: Option<TraceContext>,
    ) {
        self.requests.inc();
        if is_error {
            self.errors.inc();
        }
        let class = usize::from(status / 100).clamp(1, CLASSES) - 1;
        route.total[class].get_or_init(|| route.counter(status)).inc();
        let seconds = || route.histograms.get_or_create_owned(&route.labels);
        route.seconds.get_or_init(seconds).observe(took, trace);
    }

    /// Counts a request that a limit refused.
    pub(crate) fn limited(&self, by: By) {
        self.refused[by as usize].inc();
    }

    /// Counts requests of a priority that an upstream had no room for.
    pub(crate) fn shed(&self, upstream: &str, priority: Priority) -> ShedMeter {
        let labels = ShedLabels { upstream: upstream.to_owned(), priority: admission::name(priority) };
        ShedMeter { labels, shed: self.shed.clone() }
    }

    /// Counts an answered request of a route with a canary.
    pub(crate) fn versions(&self, canary: &str, is_canary: bool, status: u16) {
        let by = if is_canary { "canary" } else { "stable" };
        let labels = VersionLabels { canary: canary.to_owned(), by, status: status_class(status) };
        self.versions.get_or_create(&labels).inc();
    }

    /// Counts a request that was answered in its service's place.
    pub(crate) fn fell_back(&self, route: &RouteMeters, kind: Kind) {
        let labels = FallbackLabels { route: route.labels.route.clone(), kind: kind.as_str() };
        self.fallbacks.get_or_create(&labels).inc();
    }

    /// Counts a request whose client did not wait.
    pub(crate) fn gave_up(&self) {
        self.aborted.inc();
    }

    /// Counts bytes that were no request.
    pub(crate) fn no_request(&self) {
        self.not_requests.inc();
        self.requests.inc();
    }

    /// Requests answered, and errors among them.
    pub(crate) fn totals(&self) -> (u64, u64) {
        (self.requests.get(), self.errors.get())
    }
}

type Totals = Family<StatusLabels, Counter>;
type Histograms = Family<RouteLabels, Seconds, fn() -> Seconds>;

impl RouteMeters {
    fn new(totals: &Totals, histograms: &Histograms, method: &'static str, route: &str) -> Self {
        Self {
            labels: RouteLabels { method, route: route.to_owned() },
            totals: totals.clone(),
            histograms: histograms.clone(),
            total: Default::default(),
            seconds: OnceLock::new(),
        }
    }

    fn counter(&self, status: u16) -> Counter {
        let RouteLabels { method, route } = self.labels.clone();
        self.totals.get_or_create_owned(&StatusLabels { method, route, status: status_class(status) })
    }
}
