//! [`Feed`]: tells those who follow the revocations that there is something new, and this process itself what it is.
//!
//! One job for each process looks at the last number: at once when a revocation was committed here, and a few times a second for those of
//! other replicas. Whoever waits, waits for the job. When the service stops, so does the job, and nobody waits any longer.
//!
//! What was revoked is read before anybody is let in, and whatever comes after it as soon as it is seen: auth asks nobody else.

use std::sync::Arc;
use std::time::Duration;

use db::Db;
use http_kit::token::Verifier;
use tokio::sync::{Notify, watch};

use crate::store::revocation::{revocation_last, revocations_after};

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
    verifier: Arc<Verifier>,
}

/// A feed and its job, which has read what was revoked so far.
pub async fn feed(db: &Db, verifier: Arc<Verifier>) -> Result<(Feed, Watch), db::Error> {
    let (sender, receiver) = watch::channel(0);
    let wake = Arc::new(Notify::new());
    let watch = Watch { wake: Arc::clone(&wake), last: sender, verifier };
    watch.look(db).await?;
    Ok((Feed { wake, last: receiver }, watch))
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
        tokio::join!(self.verifier.revocations().grow_old(), self.look_on(&db));
    }

    async fn look_on(&self, db: &Db) {
        loop {
            if let Err(error) = self.look(db).await {
                tracing::debug!(%error, "the revocations cannot be looked at");
            }
            let _ = tokio::time::timeout(LOOK_EVERY, self.wake.notified()).await;
        }
    }

    /// Reads what came after the last number seen.
    async fn look(&self, db: &Db) -> Result<(), db::Error> {
        let (mut tx, list) = (db.read().await?, self.verifier.revocations());
        let last = revocation_last(&mut tx).await?;
        let mut seen = *self.last.borrow();
        while seen != last {
            let new = revocations_after(&mut tx, seen).await?;
            list.hear(&new.items, db.clock());
            // There was more than one answer holds; or more was revoked meanwhile, which is looked at next time.
            seen = if new.cursor == seen { last } else { new.cursor };
            self.last.send_replace(seen);
        }
        list.hear(&[], db.clock());
        Ok(())
    }
}
