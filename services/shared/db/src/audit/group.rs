//! What changes nothing is written down too: many entries, one commit.
//!
//! While one task commits, others put their entries down; the first of them to get its turn then writes for all. So a read costs one
//! commit when it comes alone, and a share of one when many come at once. There is no task of its own: who is cut off while it
//! writes for others leaves them to write for themselves.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::chain;
use super::entry::Prepared;
use crate::{Db, Error};

/// Entries in one commit at most.
const BATCH: usize = 256;

#[derive(Default)]
pub(super) struct Group {
    waiting: Mutex<Vec<Waiting>>,
    turn: tokio::sync::Mutex<()>,
}

struct Waiting {
    entry: Arc<Prepared>,
    written: oneshot::Sender<Result<(), Error>>,
}

pub(super) async fn write(db: &Db, entry: Prepared) -> Result<(), Error> {
    let entry = Arc::new(entry);
    let group = &db.audit().group;
    loop {
        let (written, mut is_written) = oneshot::channel();
        group.lock().push(Waiting { entry: Arc::clone(&entry), written });
        let answer = loop {
            tokio::select! {
                biased;
                answer = &mut is_written => break answer,
                _turn = group.turn.lock() => lead(db).await,
            }
        };
        // Whoever wrote for this one was cut off in the middle. Twice written is better than not at all.
        if let Ok(answer) = answer {
            return answer;
        }
    }
}

/// Writes what waits.
async fn lead(db: &Db) {
    let batch: Vec<_> = {
        let mut waiting = db.audit().group.lock();
        let count = waiting.len().min(BATCH);
        waiting.drain(..count).collect()
    };
    if batch.is_empty() {
        return;
    }
    let entries: Vec<_> = batch.iter().map(|waiting| &*waiting.entry).collect();
    let outcome = commit(db, &entries).await.map_err(Arc::new);
    for waiting in batch {
        // Who does not wait any more has nobody to tell.
        let _ = waiting.written.send(outcome.clone().map_err(Error::Audit));
    }
}

async fn commit(db: &Db, entries: &[&Prepared]) -> Result<(), Error> {
    let tx = db.begin().await?;
    chain::commit(db, tx, entries).await
}

impl Group {
    fn lock(&self) -> MutexGuard<'_, Vec<Waiting>> {
        // Every change to it is a single push or drain.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
