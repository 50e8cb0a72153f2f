//! [`Feed`]: tells those who follow the revocations that there is something new.
//!
//! One job for each process looks at the last number: at once when a revocation was committed here, and a few times a second for those of
//! other replicas. Whoever waits, waits for the job. When the service stops, so does the job, and nobody waits any longer.

use std::sync::Arc;
use std::time::Duration;

use db::Db;
use tokio::sync::{Notify, watch};

use crate::store::revocation::revocation_last;

/// Another replica's logout is known after this at the latest.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// Wakes the job, and waits for it.
#[derive(Clone, Debug)]
pub struct Feed {
    wake: Arc<Notify>,
    last: watch::Receiver<i64>,
}

/// The other half: the job.
#[derive(Debug)]
pub struct Watch {
    wake: Arc<Notify>,
    last: watch::Sender<i64>,
}

/// A feed and its job.
pub fn feed() -> (Feed, Watch) {
    let (sender, receiver) = watch::channel(0);
    let wake = Arc::new(Notify::new());
    (Feed { wake: Arc::clone(&wake), last: receiver }, Watch { wake, last: sender })
}

impl Feed {
    /// Something was revoked here.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Returns when there is something after this number, when the time is over, or when the service stops.
    pub async fn wait_beyond(&self, after: i64, at_most: Duration) {
        let mut last = self.last.clone();
        let _ = tokio::time::timeout(at_most, last.wait_for(|last| *last > after)).await;
    }
}

impl Watch {
    /// Looks for as long as the future lives.
    pub async fn run(self, db: Db) {
        loop {
            match look(&db).await {
                Ok(now) => {
                    self.last.send_if_modified(|last| std::mem::replace(last, now) != now);
                }
                Err(error) => tracing::debug!(%error, "the revocations cannot be looked at"),
            }
            let _ = tokio::time::timeout(LOOK_EVERY, self.wake.notified()).await;
        }
    }
}

async fn look(db: &Db) -> Result<i64, db::Error> {
    revocation_last(&mut db.read().await?).await
}
