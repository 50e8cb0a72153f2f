//! [`Cache`]: unwrapped keys, a bounded number, each for at most a minute.
//!
//! The age is what bounds how long another process can go on using a key that was destroyed here; see
//! [`Vault::CACHE_SECONDS`](super::Vault::CACHE_SECONDS). After it the key's row is read again. Where unwrapping means to ask somebody, one
//! whose row is what it was need not be unwrapped again for a while (the *hold*): so whoever has to be asked may be away that long. Whoever is there is
//! asked again when half of that is over and the key is still in use, see `renew.rs`.

use std::collections::{HashMap, HashSet};
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
    /// Those that are being unwrapped again just now.
    renewing: HashSet<(String, u32)>,
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
    expires_at: Option<DateTime<Utc>>,
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
        Self { entries: HashMap::new(), forgotten: 0, renewing: HashSet::new(), hold, entries_max }
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
        let (half, whole) = (unwrapped.at + self.hold / 2, unwrapped.at + self.hold);
        // Its next use after half of the hold is to be noticed.
        let aged = if now < half { aged.min(half) } else { aged };
        let aged = if now < whole { aged.min(whole) } else { aged };
        let (until, held_until) = (earlier(aged, expires_at), earlier(whole, expires_at));
        let entry = Entry { unwrapped, wrapped: wrapped.to_vec(), since: now, until, held_until, expires_at };
        self.entries.insert((name.to_owned(), generation), entry);
    }

    /// Whether whoever asks is to unwrap a key again, since that was done so long ago, and nobody else is at it.
    pub(super) fn begins_renewal(
        &mut self,
        name: &str,
        generation: u32,
        after: TimeDelta,
        now: DateTime<Utc>,
    ) -> bool {
        let id = (name.to_owned(), generation);
        let is_due = self.entries.get(&id).is_some_and(|entry| now - entry.unwrapped.at >= after);
        is_due && self.renewing.insert(id)
    }

    /// A key was unwrapped again at that time, or could not be. The key stays the one that it was: what it was unwrapped from is.
    pub(super) fn renewed(&mut self, name: &str, generation: u32, wrapped: &[u8], at: Option<DateTime<Utc>>) {
        let id = (name.to_owned(), generation);
        self.renewing.remove(&id);
        // One that was forgotten meanwhile stays so.
        let entry = self.entries.get_mut(&id).filter(|entry| entry.wrapped == wrapped);
        if let (Some(entry), Some(at)) = (entry, at) {
            entry.unwrapped.at = at;
            entry.held_until = earlier(at + self.hold, entry.expires_at);
        }
    }

    /// The names of keys that are no patient's and of no stretch of time but those that begin on one of these days.
    pub(super) fn own(&self, periods: &[String]) -> Vec<(String, u32)> {
        let is_own = |name: &str| {
            name == "service"
                || (name.starts_with("period:") && periods.iter().any(|period| name.ends_with(period)))
        };
        self.entries.keys().filter(|(name, _)| is_own(name)).cloned().collect()
    }

    pub(super) const fn hold(&self) -> TimeDelta {
        self.hold
    }

    pub(super) fn forget(&mut self, name: &str) {
        self.forgotten += 1;
        self.entries.retain(|(subject, _), _| subject != name);
    }

    pub(super) fn clear_expired(&mut self, now: DateTime<Utc>) {
        self.entries.retain(|_, entry| entry.is_fresh(now) || entry.is_held(now));
    }
}

fn earlier(until: DateTime<Utc>, expires_at: Option<DateTime<Utc>>) -> DateTime<Utc> {
    expires_at.map_or(until, |expires_at| expires_at.min(until))
}
