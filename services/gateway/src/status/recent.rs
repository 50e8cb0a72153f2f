//! [`Recent`]: what is found out at most every two seconds, however many ask for it, and aside from those who answer requests.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// What was found out holds for so long.
const FRESH: Duration = Duration::from_secs(2);
/// Whoever is asked answers within this time, or is away.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(1);

/// What was said last, and when. Whoever comes while somebody asks waits for that answer.
#[derive(Debug)]
pub(crate) struct Recent<T>(Mutex<Option<(Instant, Option<Arc<T>>)>>);

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T> Recent<T> {
    /// What was found out a moment ago, or what comes of asking.
    pub(super) async fn get<F: Future<Output = Option<T>>>(&self, ask: impl FnOnce() -> F) -> Option<Arc<T>> {
        // Whoever asks may have gone away with the answer half read; the next then asks anew, but does not wait for ever.
        let mut last = timeout(ANSWER_MAX, self.0.lock()).await.ok()?;
        match &*last {
            Some((since, answer)) if since.elapsed() < FRESH => answer.clone(),
            _ => {
                let answer = ask().await.map(Arc::new);
                *last = Some((Instant::now(), answer.clone()));
                answer
            }
        }
    }
}

/// Work that would keep requests waiting, off the thread that answers them. `None`: the program ends, or the work met a mistake.
pub(super) async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    spawn_blocking(work).await.ok()
}
