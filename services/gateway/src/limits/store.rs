//! [`Store`]: the Redis or Valkey where several gateways count together.
//!
//! One script counts a request against all its limits at once, by the server's clock, so that the gateways' own clocks do not matter. A request
//! waits for it a few milliseconds at most. Of a store that fails three times in a row the thread lets go, and until it answers again nobody
//! asks it: a store that is away costs a request one look at a pointer.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use aws_lc_rs::digest::{Context, SHA256};
use data_encoding::BASE64URL_NOPAD;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use resilience::limit::Limit;
use settings::{RateLimitStore, SecretRef};
use tokio::sync::watch;
use tokio::time::timeout;

use super::buckets::Subject;
use super::line::Line;
use crate::worker;

/// Of a SHA-256: more than enough to keep callers apart.
const DIGEST_BYTES: usize = 16;

/// The store in force, for those who keep the connections to it.
pub(crate) type Stores = watch::Receiver<Option<Arc<Store>>>;

/// A store, and who is connected to it.
#[derive(Debug)]
pub(crate) struct Store {
    pub(super) settings: RateLimitStore,
    secrets: Option<PathBuf>,
    /// A connection for each thread, while there is one.
    lines: Box<[ArcSwapOption<Line>]>,
    pub(super) is_away: AtomicBool,
    pub(super) meters: StoreMeters,
}

/// One limit that is asked about.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) key: String,
    pub(super) limit: Limit,
}

/// What the store says.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) allowed: bool,
    /// When each bucket is full again.
    pub(super) resets: Vec<Duration>,
}

impl Store {
    pub(crate) fn new(settings: RateLimitStore, secrets: Option<&Path>, meters: StoreMeters) -> Self {
        Self {
            settings,
            secrets: secrets.map(Path::to_owned),
            lines: std::iter::repeat_with(ArcSwapOption::empty).take(worker::places()).collect(),
            is_away: AtomicBool::new(false),
            meters,
        }
    }

    /// Whether it is the one that these settings describe.
    pub(crate) fn is_of(&self, settings: &RateLimitStore) -> bool {
        self.settings == *settings
    }

    /// This thread's connection, while there is one.
    pub(crate) fn line(&self) -> Option<Arc<Line>> {
        let line = self.lines.get(worker::place())?.load_full();
        if line.is_none() {
            self.meters.alone.inc();
        }
        line
    }

    /// Where a thread's connection is kept.
    pub(super) fn place(&self, place: usize) -> Option<&ArcSwapOption<Line>> {
        self.lines.get(place)
    }

    /// A bucket's name: nothing in it tells who is counted. The part in braces keeps all of them at one node of a cluster.
    pub(super) fn key(&self, scope: &str, subject: &Subject<'_>) -> String {
        let mut digest = Context::new(&SHA256);
        let by = subject.by().name();
        for part in [scope.as_bytes(), by.as_bytes()] {
            digest.update(part);
            digest.update(&[0]);
        }
        match subject {
            Subject::Client(address) => digest.update(&address.to_be_bytes()),
            Subject::User(id) => digest.update(id.as_bytes()),
            Subject::Key(key) => digest.update(key),
            Subject::Total => {}
        }
        let digest = digest.finish();
        let digest = BASE64URL_NOPAD.encode(&digest.as_ref()[..DIGEST_BYTES]);
        format!("{}:{digest}", self.prefix())
    }

    pub(super) fn prefix(&self) -> String {
        format!("{{{}}}", self.settings.prefix)
    }

    /// What the store says, if it does in time.
    pub(super) async fn ask(&self, line: &Line, questions: &[Question]) -> Option<Answer> {
        let asked = Instant::now();
        let answer = timeout(self.deadline(), line.count(questions)).await;
        self.meters.seconds.observe(asked.elapsed().as_secs_f64());
        let failed = match &answer {
            Ok(Ok(answer)) if answer.resets.len() == questions.len() => None,
            Ok(Ok(_)) => Some("no answer to what was asked".to_owned()),
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("no answer in time".to_owned()),
        };
        let Some(failed) = failed else {
            line.is_well();
            self.meters.counted(true);
            return answer.ok()?.ok();
        };
        self.meters.counted(false);
        self.meters.alone.inc();
        tracing::debug!(error = failed, "the store of the limits fails");
        if line.is_failing() {
            self.lose(line);
        }
        None
    }

    /// Lets go of a connection: nobody asks there from now on.
    fn lose(&self, line: &Line) {
        for place in &self.lines {
            let is_it = place.load().as_deref().is_some_and(|known| std::ptr::eq(known, line));
            if is_it {
                place.store(None);
            }
        }
        line.end();
    }

    pub(super) fn deadline(&self) -> Duration {
        Duration::from_millis(self.settings.timeout_ms)
    }

    /// The file that a secret is in.
    pub(super) fn file(&self, secret: &SecretRef) -> Option<PathBuf> {
        Some(self.secrets.as_ref()?.join(&secret.secret).join(&secret.key))
    }

    /// Notes whether it answers, and says whether that is news.
    pub(super) fn is_news(&self, is_away: bool) -> bool {
        self.is_away.swap(is_away, Ordering::Relaxed) != is_away
    }
}

/// The store counts in whole microseconds; rounded up, so that the rate is never exceeded.
pub(super) fn rounded(limit: Limit) -> Limit {
    Limit::every(Duration::from_micros(micros(limit)), limit.burst())
}

pub(super) fn micros(limit: Limit) -> u64 {
    u64::try_from(limit.interval().as_nanos().div_ceil(1_000)).unwrap_or(u64::MAX)
}

/// What is counted of the store.
#[derive(Clone, Debug)]
pub(crate) struct StoreMeters {
    checks: Family<Outcome, Counter>,
    /// Requests that were counted here alone.
    alone: Counter,
    seconds: Histogram,
    pub(super) connections: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

impl StoreMeters {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let this = Self {
            checks: Family::default(),
            alone: Counter::default(),
            seconds: Histogram::new([0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1]),
            connections: Gauge::default(),
        };
        let help = "Requests that the store of the limits was asked about";
        registry.register("gateway_limit_store_checks", help, this.checks.clone());
        let help = "Requests counted by this gateway alone, since the store of the limits was away or failed";
        registry.register("gateway_limit_store_fallbacks", help, this.alone.clone());
        let help = "How long the store of the limits took";
        registry.register("gateway_limit_store_seconds", help, this.seconds.clone());
        let help = "Connections to the store of the limits";
        registry.register("gateway_limit_store_connections", help, this.connections.clone());
        this
    }

    fn counted(&self, answered: bool) {
        self.checks.get_or_create(&Outcome { outcome: if answered { "answered" } else { "failed" } }).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> Store {
        let settings = serde_json::json!({ "host": "redis", "prefix": "clinic/east" });
        let meters = StoreMeters::register(&mut Registry::default());
        Store::new(serde_json::from_value(settings).unwrap(), None, meters)
    }

    #[test]
    fn a_bucket_has_a_name_of_its_own_and_tells_nobodys() {
        let store = store();
        let subjects = [
            Subject::Client(0x0a00_0001),
            Subject::User("usr_john"),
            Subject::Key(b"usr_john"),
            Subject::Total,
        ];
        let mut keys: Vec<String> = ["", "GET /x"]
            .into_iter()
            .flat_map(|scope| subjects.iter().map(|subject| store.key(scope, subject)).collect::<Vec<_>>())
            .collect();
        assert!(
            keys.iter().all(|key| key.starts_with("{clinic/east}:") && !key.contains("john")),
            "{keys:?}"
        );
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), 8);
    }

    #[test]
    fn a_rate_that_has_no_whole_microseconds_is_rounded_down() {
        assert_eq!(rounded(Limit::per_second(3, 2)), Limit::every(Duration::from_micros(333_334), 2));
        assert_eq!(rounded(Limit::per_second(1_000_000, 2)), Limit::per_second(1_000_000, 2));
    }
}
