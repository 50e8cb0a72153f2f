//! [`Cache`]: unwrapped keys, at most a few thousand, each for at most a minute.
//!
//! The age is what bounds how long another process can go on using a key that was destroyed here; see
//! [`Vault::CACHE_SECONDS`](super::Vault::CACHE_SECONDS).

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::Vault;
use super::seal::DataKey;

/// About 1.5 MB when full.
const ENTRIES_MAX: usize = 2048;

#[derive(Default)]
pub(super) struct Cache {
    entries: HashMap<(String, u32), Entry>,
    forgotten: u64,
}

struct Entry {
    key: Arc<DataKey>,
    since: DateTime<Utc>,
    until: DateTime<Utc>,
}

impl Entry {
    /// Also false when the clock was set back: an age must not grow by that.
    fn is_fresh(&self, now: DateTime<Utc>) -> bool {
        self.since <= now && now < self.until
    }
}

/// How many keys had been forgotten when a look-up began.
#[derive(Clone, Copy)]
pub(super) struct Seen(u64);

impl Cache {
    pub(super) fn find(&self, name: &str, generation: u32, now: DateTime<Utc>) -> Result<Arc<DataKey>, Seen> {
        match self.entries.get(&(name.to_owned(), generation)) {
            Some(entry) if entry.is_fresh(now) => Ok(Arc::clone(&entry.key)),
            _ => Err(Seen(self.forgotten)),
        }
    }

    /// Keeps a key that was read after [`Cache::find`] missed; not if any was forgotten since, for it may be this one.
    pub(super) fn keep(
        &mut self,
        name: &str,
        generation: u32,
        key: Arc<DataKey>,
        expires_at: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
        seen: Seen,
    ) {
        if seen.0 != self.forgotten {
            return;
        }
        if self.entries.len() >= ENTRIES_MAX {
            self.clear_expired(now);
        }
        if self.entries.len() >= ENTRIES_MAX {
            // Half at once, so that a full cache is not sorted out again for every key.
            let mut since: Vec<_> = self.entries.values().map(|entry| entry.since).collect();
            let (_, median, _) = since.select_nth_unstable(ENTRIES_MAX / 2);
            let median = *median;
            self.entries.retain(|_, entry| entry.since > median);
        }
        let aged = now + TimeDelta::seconds(Vault::CACHE_SECONDS);
        let until = expires_at.map_or(aged, |expires_at| expires_at.min(aged));
        self.entries.insert((name.to_owned(), generation), Entry { key, since: now, until });
    }

    pub(super) fn forget(&mut self, name: &str) {
        self.forgotten += 1;
        self.entries.retain(|(subject, _), _| subject != name);
    }

    pub(super) fn clear_expired(&mut self, now: DateTime<Utc>) {
        self.entries.retain(|_, entry| entry.is_fresh(now));
    }
}
