//! [`SentNotes`]: that messages were handed on is noted for all at once whose hand-over ended while the notes before were written.
//!
//! Each waits until its own note is committed, so that no more are handed on at once than may be. Whoever is killed before that hands them on once more.

use std::time::Duration;

use db::Db;
use tokio::sync::{mpsc, oneshot};

use crate::store::claim::{Claimed, notifications_note_sent};

/// Noted at a time.
const BATCH: usize = 64;
/// Longer than a transaction is tried; then whoever waits notes by itself.
const WAIT_MAX: Duration = Duration::from_secs(30);

struct Sent {
    claimed: Claimed,
    noted: oneshot::Sender<()>,
}

/// Takes what was handed on, and notes it.
#[derive(Clone)]
pub(super) struct SentNotes(mpsc::Sender<Sent>);

impl SentNotes {
    /// What takes them, and the work of noting them, which ends with the last one that takes some.
    pub(super) fn new(db: Db) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (tx, rx) = mpsc::channel(BATCH);
        (Self(tx), note_all(db, rx))
    }

    /// Notes one; whether it is noted. If not, nothing is known of it.
    pub(super) async fn note(&self, claimed: &Claimed) -> bool {
        let (noted, answer) = oneshot::channel();
        let sent = Sent { claimed: claimed.clone(), noted };
        self.0.send(sent).await.is_ok() && matches!(tokio::time::timeout(WAIT_MAX, answer).await, Ok(Ok(())))
    }
}

async fn note_all(db: Db, mut rx: mpsc::Receiver<Sent>) {
    let mut sent = Vec::with_capacity(BATCH);
    while rx.recv_many(&mut sent, BATCH).await > 0 {
        let claimed: Vec<_> = sent.iter().map(|sent| &sent.claimed).collect();
        let noted = db::retrying(&db, async |mut tx| {
            notifications_note_sent(&mut tx, &claimed).await?;
            tx.commit().await
        });
        match noted.await {
            Ok(()) => {
                for Sent { noted, .. } in sent.drain(..) {
                    // If nobody waits for it any more, it is noted twice, which changes nothing.
                    let _ = noted.send(());
                }
            }
            Err(error) => {
                tracing::warn!(%error, notifications = sent.len(), "that these were handed on could not be noted together");
                sent.clear();
            }
        }
    }
}
