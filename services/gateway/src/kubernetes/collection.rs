//! A collection of the API server's, listed and then watched for as long as the future lives.
//!
//! Nothing that a network can do to a watch may stop it: each lasts a bounded time and is asked for again, one that is silent for
//! longer than that is given up, and now and then everything is listed anew, whatever the watches said.

use std::fmt::Debug;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

/// A watch ends after this long, and the next begins. Load balancers forget connections that are idle for some minutes.
const WATCH_SECONDS: u32 = 30;
/// A list, or the beginning of a watch, takes longer than this only if nobody answers.
const ANSWER_MAX: Duration = Duration::from_secs(10);
const RESYNC_EVERY: Duration = Duration::from_mins(10);
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// What has happened to a collection.
#[derive(Debug)]
pub(crate) enum Change<K> {
    /// This is all there is.
    All(Vec<K>),
    /// This one is new, or has changed.
    Applied(K),
    /// The one of this name is gone.
    Deleted(String),
}

/// Which objects: both are selectors as the API has them, empty for all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    pub(crate) labels: String,
    pub(crate) fields: String,
}

/// When the API server was last heard of.
#[derive(Debug)]
pub(crate) struct Heard(Mutex<Instant>);

impl Default for Heard {
    fn default() -> Self {
        Self(Mutex::new(Instant::now()))
    }
}

impl Heard {
    fn now(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    pub(crate) fn age(&self) -> Duration {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }
}

/// Why a round ended early.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error(transparent)]
    Kube(#[from] kube::Error),
    #[error("the API server ended the watch: {0}")]
    Refused(String),
    #[error("the API server does not answer")]
    Silent,
}

impl From<tokio::time::error::Elapsed> for Lost {
    fn from(_: tokio::time::error::Elapsed) -> Self {
        Self::Silent
    }
}

/// Tells of every change, beginning with everything there is. What was told stays true until something else is.
pub(crate) async fn follow<K>(api: Api<K>, selection: Selection, heard: &Heard, tell: impl AsyncFn(Change<K>))
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    let mut pause = PAUSE_MIN;
    loop {
        let begun = Instant::now();
        let result = round(&api, &selection, heard, &tell).await;
        if begun.elapsed() > PAUSE_MAX {
            pause = PAUSE_MIN;
        }
        if let Err(error) = result {
            // The first is news; the API server may be away for long.
            let kind = K::kind(&());
            if pause == PAUSE_MIN {
                tracing::warn!(%error, %kind, "the API server cannot be followed; what is known stays in force");
            } else {
                tracing::debug!(%error, %kind, "the API server cannot be followed yet");
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Lists, then watches until it is time to list again.
async fn round<K>(
    api: &Api<K>,
    selection: &Selection,
    heard: &Heard,
    tell: &impl AsyncFn(Change<K>),
) -> Result<(), Lost>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    let Selection { labels, fields } = selection;
    let list = timeout(ANSWER_MAX, api.list(&ListParams::default().labels(labels).fields(fields))).await??;
    heard.now();
    let mut version = list.metadata.resource_version.unwrap_or_default();
    tell(Change::All(list.items)).await;

    let listed = Instant::now();
    let params = WatchParams::default().labels(labels).fields(fields).timeout(WATCH_SECONDS);
    while listed.elapsed() < RESYNC_EVERY {
        let begun = Instant::now();
        let events = timeout(ANSWER_MAX, api.watch(&params, &version)).await??;
        let mut events = std::pin::pin!(events);
        let silence_max = Duration::from_secs(u64::from(WATCH_SECONDS)) + ANSWER_MAX;
        while let Some(event) = timeout(silence_max, events.next()).await? {
            let event = event?;
            heard.now();
            match event {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                    version = object.resource_version().unwrap_or(version);
                    tell(Change::Applied(object)).await;
                }
                WatchEvent::Deleted(object) => {
                    version = object.resource_version().unwrap_or(version);
                    tell(Change::Deleted(object.name_any())).await;
                }
                WatchEvent::Bookmark(mark) => version = mark.metadata.resource_version,
                // Too old to go on from there (410) is no error: one begins anew.
                WatchEvent::Error(status) if status.code == 410 => return Ok(()),
                WatchEvent::Error(status) => return Err(Lost::Refused(status.message)),
            }
        }
        heard.now();
        if begun.elapsed() < PAUSE_MAX {
            // Whatever ends watches at once must not be asked without end.
            tokio::time::sleep(PAUSE_MIN).await;
        }
    }
    Ok(())
}
