//! [`Lanes`]: the ends of this process's chains, each for one transaction at a time.
//!
//! A lane is taken as the last thing before a commit and given back after it: nothing is waited for in between but the database, and
//! whoever is waited for there waits for no lane. Its end moves only when a commit is known to have gone through, so that one which is
//! rolled back leaves no gap. If nobody knows (the connection was lost, the task was dropped), the chain is left as it is, and another begun.

use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::{Mutex, MutexGuard};

use super::chain::{MAC, Row};

/// A chain gets entries for so long after its first.
const CHAIN_LIFE: TimeDelta = TimeDelta::days(1);

/// Where a chain ends.
#[derive(Clone)]
pub(super) struct End {
    pub(super) chain: String,
    pub(super) opened_at: DateTime<Utc>,
    pub(super) seq: i64,
    pub(super) mac: [u8; MAC],
}

impl End {
    /// Behind one more row.
    pub(super) fn follow(&mut self, row: &Row) {
        self.seq = row.seq;
        self.mac.copy_from_slice(&row.mac);
    }
}

/// One chain's.
#[derive(Default)]
pub(super) struct Lane {
    end: Option<End>,
    is_unsure: bool,
}

pub(super) struct Lanes {
    lanes: Vec<Mutex<Lane>>,
    next: AtomicUsize,
}

impl Lanes {
    pub(super) fn new(count: usize) -> Self {
        Self { lanes: (0..count).map(|_| Mutex::default()).collect(), next: AtomicUsize::new(0) }
    }

    /// Where this process's chains are known to end.
    pub(super) async fn ends(&self) -> Vec<End> {
        let mut ends = Vec::with_capacity(self.lanes.len());
        for lane in &self.lanes {
            ends.extend(lane.lock().await.end.clone());
        }
        ends
    }

    /// One that is free, or else the next to become so of one taken in turn.
    pub(super) async fn take(&self) -> MutexGuard<'_, Lane> {
        if let Some(lane) = self.lanes.iter().find_map(|lane| lane.try_lock().ok()) {
            return lane;
        }
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.lanes.len();
        self.lanes[turn].lock().await
    }
}

impl Lane {
    /// Where the next entry goes, if the chain may go on.
    pub(super) fn end(&self, now: DateTime<Utc>) -> Option<End> {
        self.end.clone().filter(|end| !self.is_unsure && now - end.opened_at < CHAIN_LIFE)
    }

    /// From here on it is not known where the chain ends.
    pub(super) fn commits(&mut self) {
        self.is_unsure = true;
    }

    /// Now it is.
    pub(super) fn ends(&mut self, end: End) {
        *self = Self { end: Some(end), is_unsure: false };
    }
}
