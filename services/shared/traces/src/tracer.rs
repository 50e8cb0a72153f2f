//! [`Tracer`]: makes the spans of one part, and hands them on. A process has one way out, which all of its parts share.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::registry::Registry;
use settings::Tracing;
use tokio::sync::{mpsc, oneshot, watch};

use crate::context::TraceContext;
use crate::export::{self, Exporter};
use crate::queue::Queue;
use crate::sampling::Sampling;
use crate::span::{Finished, Kind, Span};

/// What is left at the end of a process is sent within this time, or not at all.
const FLUSH_MAX: Duration = Duration::from_secs(3);

/// Makes the spans of one part of a stack.
#[derive(Clone, Debug)]
pub struct Tracer {
    part: &'static str,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    sampling: AtomicU64,
    dice: AtomicU64,
    queue: Arc<Queue>,
    settings: watch::Sender<Option<Tracing>>,
    flush: mpsc::Sender<oneshot::Sender<()>>,
    /// What sends, until it is started with the first settings that ask for it.
    waiting: Mutex<Option<Exporter>>,
}

impl Tracer {
    /// One that makes no spans until [`Tracer::configure`] says where they go. `seed` is where ids begin: any number that no other process
    /// has. Secrets that the settings name are files in `secrets`, `<dir>/<secret>/<key>`.
    pub fn new(part: &'static str, seed: u64, secrets: Option<PathBuf>) -> Self {
        let queue = Arc::new(Queue::default());
        let (settings, settings_seen) = watch::channel(None);
        let (flush, flushes) = mpsc::channel(1);
        let instance = seed.to_be_bytes();
        let exporter = Exporter::new(Arc::clone(&queue), settings_seen, flushes, secrets, instance);
        let shared = Shared {
            sampling: AtomicU64::new(Sampling::OFF.bits()),
            dice: AtomicU64::new(seed),
            queue,
            settings,
            flush,
            waiting: Mutex::new(Some(exporter)),
        };
        Self { part, shared: Arc::new(shared) }
    }

    /// One that is never told where spans go.
    pub fn off() -> Self {
        Self::new("none", 0, None)
    }

    /// The same way out, for another part of the same process.
    #[must_use]
    pub fn of(&self, part: &'static str) -> Self {
        Self { part, shared: Arc::clone(&self.shared) }
    }

    /// Counts what is sent and what is dropped.
    pub fn register(&self, registry: &mut Registry) {
        self.shared.queue.register(registry);
    }

    /// Whether settings can be meant, before they are taken into force.
    pub fn check(settings: &Tracing) -> Result<(), String> {
        export::address(settings).map(drop)
    }

    /// Takes settings into force, at any time; `None`: spans are made no more. To be called on the runtime that outlives the others of the
    /// process: what sends runs there.
    pub fn configure(&self, settings: Option<&Tracing>) {
        let Shared { sampling, waiting, .. } = &*self.shared;
        sampling.store(Sampling::of(settings).bits(), Ordering::Relaxed);
        self.shared.settings.send_if_modified(|known| {
            let is_new = known.as_ref() != settings;
            *known = settings.cloned();
            is_new
        });
        if settings.is_some() {
            let exporter = waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(exporter) = exporter {
                tokio::spawn(exporter.run());
            }
        }
    }

    /// Which traces that begin here are recorded.
    pub fn sampling(&self) -> Sampling {
        Sampling::from_bits(self.shared.sampling.load(Ordering::Relaxed))
    }

    /// A span of a trace that begins here, if it is one to be recorded.
    pub fn root(&self, name: impl Into<Cow<'static, str>>) -> Option<Span> {
        let id = self.roll();
        self.sampling().takes(id).then(|| {
            let trace_id = (u128::from(self.roll()) << 64 | u128::from(self.roll())).to_be_bytes();
            let context = TraceContext::start(trace_id, id.to_be_bytes()).sampled(true);
            Span::begin(self.clone(), context, None, false, (Kind::Internal, name.into()))
        })
    }

    /// The span of a request whose place is decided: `parent` is what whoever asked said of theirs.
    pub fn server(
        &self,
        context: TraceContext,
        parent: Option<TraceContext>,
        name: impl Into<Cow<'static, str>>,
    ) -> Span {
        let parent = parent.map(|parent| parent.span_id());
        Span::begin(self.clone(), context, parent, parent.is_some(), (Kind::Server, name.into()))
    }

    /// The span of a request that others ask within a trace, if that is recorded.
    pub fn continued(&self, parent: TraceContext, name: impl Into<Cow<'static, str>>) -> Option<Span> {
        (parent.is_sampled() && self.sampling().is_on())
            .then(|| self.server(parent.child(self.span_id()), Some(parent), name))
    }

    /// A span that belongs to another of this process, if that is recorded.
    pub fn child(
        &self,
        parent: TraceContext,
        kind: Kind,
        name: impl Into<Cow<'static, str>>,
    ) -> Option<Span> {
        (parent.is_sampled() && self.sampling().is_on()).then(|| {
            let context = parent.child(self.span_id());
            Span::begin(self.clone(), context, Some(parent.span_id()), false, (kind, name.into()))
        })
    }

    /// An id for a span.
    pub fn span_id(&self) -> [u8; 8] {
        self.roll().to_be_bytes()
    }

    /// Sends what there is, for at most three seconds: the end of a process.
    pub async fn flush(&self) {
        let (done, is_done) = oneshot::channel();
        let sent = async {
            if self.shared.settings.borrow().is_some() && self.shared.flush.send(done).await.is_ok() {
                let _ = is_done.await;
            }
        };
        if tokio::time::timeout(FLUSH_MAX, sent).await.is_err() {
            tracing::warn!("the collector did not take the last spans in time");
        }
        self.shared.queue.drop_all();
    }

    pub(crate) const fn part(&self) -> &'static str {
        self.part
    }

    pub(crate) fn hand_on(&self, span: Box<Finished>) {
        self.shared.queue.push(span);
    }

    /// Well spread, not secret (`SplitMix64`), and without a system call.
    fn roll(&self) -> u64 {
        let mut z = self.shared.dice.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        // No id is all zeros (W3C Trace Context §3.2.2.3).
        (z ^ (z >> 31)).max(1)
    }
}
