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

/// A question without an answer by then has none.
const QUESTION_MAX: Duration = Duration::from_secs(5);

/// What was said last, and when. Whoever comes while somebody asks waits for that answer.
#[derive(Debug)]
pub(crate) struct Recent<T>(Arc<Mutex<Last<T>>>);

type Last<T> = Option<(Instant, Option<Arc<T>>)>;

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(None)))
    }
}

impl<T: Send + Sync + 'static> Recent<T> {
    /// What was found out a moment ago, or what comes of asking.
    pub(super) async fn get<F>(&self, ask: impl FnOnce() -> F) -> Option<Arc<T>>
    where
        F: Future<Output = Option<T>> + Send + 'static,
    {
        let mut last = timeout(ANSWER_MAX, Arc::clone(&self.0).lock_owned()).await.ok()?;
        match &*last {
            Some((since, answer)) if since.elapsed() < FRESH => answer.clone(),
            _ => {
                let question = ask();
                // In a task of its own: others wait for the answer, and whoever asks may go away before it is there.
                let asking = tokio::spawn(async move {
                    // Whoever comes meanwhile waits for it, so it must not hang.
                    let answer = timeout(QUESTION_MAX, question).await.ok().flatten().map(Arc::new);
                    *last = Some((Instant::now(), answer.clone()));
                    answer
                });
                asking.await.ok().flatten()
            }
        }
    }
}

/// Work that would keep requests waiting, off the thread that answers them. `None`: the program ends, or the work met a mistake.
pub(super) async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    spawn_blocking(work).await.ok()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn whoever_asks_and_goes_away_leaves_the_answer_to_those_who_wait_for_it() {
        let (recent, asked) = (Recent::default(), Arc::new(AtomicUsize::new(0)));
        let ask = || {
            let asked = Arc::clone(&asked);
            async move {
                let number = asked.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(100)).await;
                Some(number)
            }
        };
        let hurried = timeout(Duration::from_millis(20), recent.get(ask));
        let (hurried, patient) = tokio::join!(hurried, recent.get(ask));
        assert!(hurried.is_err());
        assert_eq!(patient.as_deref(), Some(&0), "the first question's answer");
        assert_eq!(recent.get(ask).await.as_deref(), Some(&0));
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_question_that_meets_a_mistake_is_asked_again() {
        let recent = Recent::<u8>::default();
        assert_eq!(recent.get(|| async { panic!("a mistake") }).await, None);
        assert_eq!(recent.get(|| async { Some(1) }).await.as_deref(), Some(&1));
    }
}
