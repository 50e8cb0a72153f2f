//! Logs and metrics. Neither ever holds health data: paths are templates, people are ids.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use contracts::client::ClientMetrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::exemplar::HistogramWithExemplars;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use settings::{LogFormat, Observability};
use traces::{TraceContext, Tracer};
use tracing_subscriber::layer::{Layer, Layered, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry as Spans, reload};

use crate::log_lines;
pub use crate::log_lines::{ACCESS, flush as flush_log};

/// What can be changed about the log of this process.
struct Log {
    filter: reload::Handle<EnvFilter, Spans>,
    lines: reload::Handle<Lines, Filtered>,
}

type Filtered = Layered<reload::Layer<EnvFilter, Spans>, Spans>;
type Lines = Box<dyn Layer<Filtered> + Send + Sync>;

static LOG: OnceLock<Log> = OnceLock::new();

/// Starts logging to standard error. The first call in a process counts; later ones do nothing.
pub fn start_logging(settings: &Observability) {
    let (filter, filter_handle) = reload::Layer::new(filter(settings));
    let (lines, lines_handle) = reload::Layer::new(lines(settings));
    if tracing_subscriber::registry().with(filter).with(lines).try_init().is_ok() {
        let _ = LOG.set(Log { filter: filter_handle, lines: lines_handle });
    }
}

/// Changes level and format of a log that was started.
pub fn change_logging(settings: &Observability) {
    if let Some(log) = LOG.get() {
        // An error means that the subscriber is gone, and with it whoever would read the log.
        let _ = log.filter.reload(filter(settings));
        let _ = log.lines.reload(lines(settings));
    }
}

/// Counts panics, and logs where they were. What they said is left out: it may quote a value. A panic ends the request or the
/// connection that it happened in, and nothing else.
pub fn count_panics(metrics: &Metrics, part: &'static str) {
    let panics: Counter = Counter::default();
    metrics.register(part, |registry| {
        registry.register("panics", "Mistakes in the program that were met", panics.clone());
    });
    std::panic::set_hook(Box::new(move |panic| {
        panics.inc();
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "a panic: this is a mistake in the program");
    }));
}

/// What is never told, whatever level is asked for. Errors are told where they are dealt with; these would tell of each attempt beside it, or show what
/// stands in a database's URL.
const NOT_TOLD: &str = "kube_client::client::builder=off,sqlx_postgres::options::parse=off";

fn filter(settings: &Observability) -> EnvFilter {
    EnvFilter::try_new(format!("{NOT_TOLD},{}", settings.log_level))
        .unwrap_or_else(|_| EnvFilter::new(format!("{NOT_TOLD},info")))
}

fn lines(settings: &Observability) -> Lines {
    let lines = tracing_subscriber::fmt::layer().with_writer(log_lines::Lines);
    match settings.log_format {
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
        LogFormat::Text => lines.with_target(false).boxed(),
    }
}

/// A registry that parts of a process share.
#[derive(Clone, Default)]
pub struct Metrics(Arc<Shared>);

#[derive(Default)]
struct Shared {
    registry: Mutex<Registry>,
    clients: Mutex<HashMap<&'static str, ClientMetrics>>,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// Registers metrics under `healthcare_`, with a label that names the part.
    pub fn register<T>(&self, part: &'static str, with: impl FnOnce(&mut Registry) -> T) -> T {
        let mut registry = self.0.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let registry = registry.sub_registry_with_prefix("healthcare");
        with(registry.sub_registry_with_label(("service".into(), part.into())))
    }

    /// Registers what becomes of a process's spans, in the name of one of its parts.
    pub fn register_tracer(&self, part: &'static str, tracer: &Tracer) {
        self.register(part, |registry| tracer.register(registry));
    }

    /// What is counted of a part's calls to others: one for all of its ways to them.
    pub fn clients(&self, part: &'static str) -> ClientMetrics {
        let mut clients = self.0.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || {
            let metrics = ClientMetrics::default();
            self.register(part, |registry| metrics.register(registry));
            metrics
        };
        clients.entry(part).or_insert_with(new).clone()
    }

    /// The page that Prometheus reads (`OpenMetrics` text).
    pub fn page(&self) -> String {
        let registry = self.0.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let mut page = String::new();
        if prometheus_client::encoding::text::encode(&mut page, &registry).is_err() {
            let _ = writeln!(page, "# EOF");
        }
        page
    }
}

/// The media type of [`Metrics::page`].
pub const METRICS_MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Requests, by operation and class of status: few enough series to keep for years.
#[derive(Clone, Debug)]
pub struct RequestMetrics {
    total: Family<RequestLabels, Counter>,
    seconds: Family<OperationLabel, HistogramWithExemplars<TraceLabel>>,
}

/// Points from a bucket of a histogram to a trace of a request that fell into it (an `OpenMetrics` exemplar).
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct TraceLabel {
    trace_id: String,
}

impl From<TraceContext> for TraceLabel {
    fn from(context: TraceContext) -> Self {
        Self { trace_id: context.trace_id() }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    operation: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationLabel {
    operation: &'static str,
}

/// From half a millisecond to ten seconds.
const SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];

impl RequestMetrics {
    /// Registers them for one part.
    pub fn register(metrics: &Metrics, part: &'static str) -> Self {
        let this = Self {
            total: Family::default(),
            seconds: Family::new_with_constructor(|| HistogramWithExemplars::new(SECONDS.into_iter())),
        };
        metrics.register(part, |registry| {
            registry.register("requests", "Requests answered", this.total.clone());
            registry.register("request_seconds", "Time to answer", this.seconds.clone());
        });
        this
    }

    /// Counts one, and points to its trace if that is recorded.
    pub fn count(&self, operation: &'static str, status: u16, took: Duration, trace: Option<TraceContext>) {
        self.total.get_or_create(&RequestLabels { operation, status: status_class(status) }).inc();
        self.seconds.get_or_create(&OperationLabel { operation }).observe(
            took.as_secs_f64(),
            trace.map(TraceLabel::from),
            None,
        );
    }
}

/// `2xx`, `4xx`, ….
pub const fn status_class(status: u16) -> &'static str {
    match status / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::panic::{catch_unwind, set_hook, take_hook};

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Whatever a mistake quotes, such as the text that could not be cut where it was cut.
    #[test]
    fn a_panic_is_counted_and_told_by_its_place_and_not_by_what_it_says() {
        let (metrics, sink) = (Metrics::default(), Sink::default());
        let written = sink.clone();
        let lines = tracing_subscriber::fmt::layer().json().with_writer(move || sink.clone());
        let before = take_hook();
        count_panics(&metrics, "patient-service");
        let name = "CANARYß Jones";
        let ended = tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), || {
            catch_unwind(|| name[..7].len())
        });
        set_hook(before);
        assert!(ended.is_err(), "there is no such place in it");
        let log = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert!(log.contains("telemetry.rs:") && !log.contains("CANARY"), "{log}");
        let page = metrics.page();
        assert!(page.contains("healthcare_panics_total{service=\"patient-service\"} 1\n"), "{page}");
    }
}
