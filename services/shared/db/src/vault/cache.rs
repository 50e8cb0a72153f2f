//! [`Cache`]: unwrapped keys, a bounded number, each for at most a minute.
//!
//! The age is what bounds how long another process can go on using a key that was destroyed here; see
//! [`Vault::CACHE_SECONDS`](super::Vault::CACHE_SECONDS). After it the key's row is read again. Where unwrapping means to ask somebody, one
//! whose row is what it was need not be unwrapped again for a while (the *hold*): so whoever has to be asked may be away that long.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::Vault;
use super::seal::DataKey;

/// About 1.5 MB when full.
const ENTRIES_MAX: usize = 2048;
/// About 14 MB: more than a clinic sees in a day.
const ENTRIES_MAX_HELD: usize = 16_384;

pub(super) struct Cache {
    entries: HashMap<(String, u32), Entry>,
    forgotten: u64,
    hold: TimeDelta,
    entries_max: usize,
}

/// A key that was unwrapped, and when.
#[derive(Clone)]
pub(super) struct Unwrapped {
    pub(super) key: Arc<DataKey>,
    pub(super) at: DateTime<Utc>,
}

struct Entry {
    unwrapped: Unwrapped,
    /// What it was unwrapped from.
    wrapped: Vec<u8>,
    since: DateTime<Utc>,
    until: DateTime<Utc>,
    /// Until when it need not be unwrapped again.
    held_until: DateTime<Utc>,
}

impl Entry {
    /// Also false when the clock was set back: an age must not grow by that.
    fn is_fresh(&self, now: DateTime<Utc>) -> bool {
        self.since <= now && now < self.until
    }

    fn is_held(&self, now: DateTime<Utc>) -> bool {
        self.unwrapped.at <= now && now < self.held_until
    }
}

/// How many keys had been forgotten when a look-up began.
#[derive(Clone, Copy)]
pub(super) struct Seen(u64);

impl Cache {
    /// Keeps keys for as long as they need not be unwrapped again; none: for as long as their rows need not be read again.
    pub(super) fn new(hold: TimeDelta) -> Self {
        let entries_max = if hold > TimeDelta::zero() { ENTRIES_MAX_HELD } else { ENTRIES_MAX };
        Self { entries: HashMap::new(), forgotten: 0, hold, entries_max }
    }

    pub(super) fn find(&self, name: &str, generation: u32, now: DateTime<Utc>) -> Result<Arc<DataKey>, Seen> {
        match self.entries.get(&(name.to_owned(), generation)) {
            Some(entry) if entry.is_fresh(now) => Ok(Arc::clone(&entry.unwrapped.key)),
            _ => Err(Seen(self.forgotten)),
        }
    }

    /// A key whose row was read again and is what it was, if it need not be unwrapped again yet.
    pub(super) fn held(
        &self,
        name: &str,
        generation: u32,
        wrapped: &[u8],
        now: DateTime<Utc>,
    ) -> Option<Unwrapped> {
        let entry = self.entries.get(&(name.to_owned(), generation))?;
        (entry.wrapped == wrapped && entry.is_held(now)).then(|| entry.unwrapped.clone())
    }

    /// Keeps a key that was read after [`Cache::find`] missed; not if any was forgotten since, for it may be this one.
    pub(super) fn keep(
        &mut self,
        name: &str,
        generation: u32,
        (unwrapped, wrapped): (Unwrapped, &[u8]),
        expires_at: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
        seen: Seen,
    ) {
        if seen.0 != self.forgotten {
            return;
        }
        if self.entries.len() >= self.entries_max {
            self.clear_expired(now);
        }
        if self.entries.len() >= self.entries_max {
            // Half at once, so that a full cache is not sorted out again for every key.
            let mut since: Vec<_> = self.entries.values().map(|entry| entry.since).collect();
            let (_, median, _) = since.select_nth_unstable(self.entries_max / 2);
            let median = *median;
            self.entries.retain(|_, entry| entry.since > median);
        }
        let aged = now + TimeDelta::seconds(Vault::CACHE_SECONDS);
        let no_longer = |until: DateTime<Utc>| expires_at.map_or(until, |expires_at| expires_at.min(until));
        let (until, held_until) = (no_longer(aged), no_longer(unwrapped.at + self.hold));
        let entry = Entry { unwrapped, wrapped: wrapped.to_vec(), since: now, until, held_until };
        self.entries.insert((name.to_owned(), generation), entry);
    }

    pub(super) fn forget(&mut self, name: &str) {
        self.forgotten += 1;
        self.entries.retain(|(subject, _), _| subject != name);
    }

    pub(super) fn clear_expired(&mut self, now: DateTime<Utc>) {
        self.entries.retain(|_, entry| entry.is_fresh(now) || entry.is_held(now));
    }
}
