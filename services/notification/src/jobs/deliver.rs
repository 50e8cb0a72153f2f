//! Hands queued mail on: at least once, with ever longer pauses, for a day.

use std::sync::Arc;
use std::time::Duration;

use contracts::notifications::Channel;
use db::Db;
use tokio::sync::Notify;

use crate::domain::delivery::{Outcome, Verdict, decide};
use crate::mail::Mailer;
use crate::store::claim::{Claimed, notification_next_due, notification_note, notifications_claim};
use crate::store::scheduled::queued_is_wanted;

/// Claimed at a time: tried one after the other, all within the lease.
const BATCH: u32 = 16;
/// Looked for at least so often: another instance may have died with claims of its own.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The way out.
#[derive(Clone)]
pub struct Delivery {
    db: Db,
    mailer: Option<Arc<Mailer>>,
    due: Arc<Notify>,
}

impl Delivery {
    /// With a mail server, or without: then mail stays in the capture box.
    pub fn new(db: Db, mailer: Option<Mailer>) -> Self {
        Self { db, mailer: mailer.map(Arc::new), due: Arc::default() }
    }

    /// Whether anything hands on what goes this way.
    pub fn has_way(&self, channel: Channel) -> bool {
        channel == Channel::Email && self.mailer.is_some()
    }

    /// Lets the job look at once.
    pub fn wake(&self) {
        self.due.notify_one();
    }

    /// One attempt, and what it means.
    pub async fn attempt(&self, claimed: &Claimed) -> Verdict {
        let outcome = match &self.mailer {
            Some(mailer) => mailer.send(&claimed.id, &claimed.content, claimed.created_at).await,
            // It was queued when there still was one.
            None => Outcome::NotNow("The stack has no mail server.".to_owned()),
        };
        let chance = u64::from_le_bytes(self.db.random().bytes());
        let verdict = decide(outcome, claimed.attempt, claimed.since, self.db.clock().now(), chance);
        if let Verdict::Failed(why) | Verdict::Again(_, why) = &verdict {
            tracing::warn!(notification = %claimed.id, attempt = claimed.attempt, why, "mail was not handed on");
        }
        verdict
    }
}

/// Delivers for as long as the future lives.
pub async fn run(delivery: Delivery) {
    loop {
        match notifications_claim(&delivery.db, BATCH).await {
            Ok(claimed) if claimed.is_empty() => wait(&delivery).await,
            Ok(claimed) => {
                for claimed in &claimed {
                    deliver(&delivery, claimed).await;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the queue cannot be read");
                wait(&delivery).await;
            }
        }
    }
}

async fn deliver(delivery: &Delivery, claimed: &Claimed) {
    // What it tells of may have changed while it waited for its turn.
    match queued_is_wanted(&delivery.db, &claimed.id, &claimed.claim).await {
        Ok(true) => {}
        Ok(false) => return,
        Err(error) => {
            return tracing::warn!(%error, notification = %claimed.id, "it is not known whether this is to be sent");
        }
    }
    let verdict = delivery.attempt(claimed).await;
    let noted = async {
        let mut tx = delivery.db.begin().await?;
        notification_note(&mut tx, claimed, &verdict).await?;
        tx.commit().await
    };
    if let Err(error) = noted.await {
        // The claim runs out, and it is handed on once more, under the same Message-ID.
        tracing::warn!(%error, notification = %claimed.id, "an attempt could not be noted");
    }
}

async fn wait(delivery: &Delivery) {
    let pause = match notification_next_due(&delivery.db).await {
        Ok(Some(at)) => {
            let ahead = (at - delivery.db.clock().now()).to_std().unwrap_or_default();
            ahead.clamp(Duration::from_millis(50), LOOK_EVERY)
        }
        Ok(None) | Err(_) => LOOK_EVERY,
    };
    let _ = tokio::time::timeout(pause, delivery.due.notified()).await;
}
