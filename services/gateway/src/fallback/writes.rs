//! [`Writes`]: what was written through this gateway, and when, as far as needed to know that an answer kept from before is not current.
//!
//! A write to `/api/patients/1` outdates what was read there, above it (`/api/patients`, a list that it may stand in) and below it
//! (`/api/patients/1/consents`). Times stand in a table of fixed size at the hashes of paths: where two meet, something is outdated that need not be,
//! which costs an old answer and no truth. Marking costs a few hashes and stores, without a lock.
//!
//! A write that was answered is over. One that was not may still be done: its service may commit when nobody waits any more, and what is read until
//! then is the last that is good, and old a moment later. So such a write counts until its service has stopped by itself.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Larder;

const PLACES: usize = 4_096;
/// What lies deeper counts as what lies here.
const DEPTH_MAX: usize = 16;
/// A service is told a request's time, and stops where that ends, but for a commit that has begun: and no statement takes longer than this there.
const COMMIT_MAX: Duration = Duration::from_secs(15);

/// The last write at each path.
#[derive(Debug)]
pub(super) struct Writes {
    born: Instant,
    hasher: RandomState,
    /// At a path itself.
    at: Box<[AtomicU64]>,
    /// At a path or below it.
    within: Box<[AtomicU64]>,
}

impl Writes {
    pub(super) fn new() -> Self {
        let table = || (0..PLACES).map(|_| AtomicU64::new(0)).collect();
        Self { born: Instant::now(), hasher: RandomState::new(), at: table(), within: table() }
    }

    /// It is written there until then, which may be still to come: nothing that was asked before is current.
    pub(super) fn mark(&self, path: &str, now: Instant) {
        let now = self.time(now);
        let mut last = None;
        for prefix in prefixes(path) {
            let place = self.place(prefix);
            self.within[place].fetch_max(now, Ordering::AcqRel);
            last = Some(place);
        }
        if let Some(place) = last {
            self.at[place].fetch_max(now, Ordering::AcqRel);
        }
    }

    /// It is gone, and what lies below it. What lies above may be as it was.
    pub(super) fn mark_gone(&self, path: &str, now: Instant) {
        if let Some(whole) = prefixes(path).last() {
            self.at[self.place(whole)].fetch_max(self.time(now), Ordering::AcqRel);
        }
    }

    /// Whether nothing was written since that would show in what was read there.
    pub(super) fn is_current(&self, path: &str, asked: Instant) -> bool {
        let asked = self.time(asked);
        let mut whole = None;
        for prefix in prefixes(path) {
            let place = self.place(prefix);
            if self.at[place].load(Ordering::Acquire) >= asked {
                return false;
            }
            whole = Some(place);
        }
        whole.is_none_or(|place| self.within[place].load(Ordering::Acquire) < asked)
    }

    fn place(&self, prefix: &str) -> usize {
        usize::try_from(self.hasher.hash_one(prefix) % PLACES as u64).unwrap_or_default()
    }

    /// Never 0, which is no write.
    fn time(&self, instant: Instant) -> u64 {
        let nanos = instant.saturating_duration_since(self.born).as_nanos();
        u64::try_from(nanos).unwrap_or(u64::MAX).saturating_add(1)
    }
}

/// `/a`, `/a/b`, `/a/b/c`.
fn prefixes(path: &str) -> impl Iterator<Item = &str> {
    let ends = path.char_indices().skip(1).filter(|(_, one)| *one == '/').map(|(at, _)| at);
    ends.chain([path.len()]).filter_map(|end| path.get(..end)).take(DEPTH_MAX)
}

/// A write: what was read there before it ended is outdated.
pub(crate) struct Written {
    larder: Arc<Larder>,
    path: Box<str>,
    /// When its service has stopped working on it, whatever became of it.
    over: Instant,
    is_under_way: bool,
}

impl Written {
    /// A write that came at `since`, of which its service is told that it has that long.
    pub(super) fn at(larder: Arc<Larder>, path: &str, (since, timeout): (Instant, Duration)) -> Self {
        Self { larder, path: path.into(), over: since + timeout + COMMIT_MAX, is_under_way: false }
    }

    /// From here on its service may have it.
    pub(super) fn begin(&mut self) {
        self.is_under_way = true;
    }

    /// Its service has said what became of it.
    pub(super) fn answered(mut self) {
        self.over = Instant::now();
    }

    /// Nothing was written.
    pub(super) fn forget(mut self) {
        self.is_under_way = false;
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        if self.is_under_way {
            self.larder.outdate(&self.path, self.over.max(Instant::now()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn is_current_after(read: &str, written: &str) -> bool {
        let writes = Writes::new();
        let asked = writes.born + Duration::from_secs(1);
        writes.mark(written, writes.born + Duration::from_secs(2));
        writes.is_current(read, asked)
    }

    #[test]
    fn a_write_outdates_what_lies_above_and_below_and_nothing_beside_it() {
        for related in ["/api/patients/1", "/api/patients", "/api", "/api/patients/1/consents/2"] {
            assert!(!is_current_after(related, "/api/patients/1"), "{related}");
        }
        for other in ["/api/patients/2", "/api/patients/10", "/api/bills", "/api/patients/2/consents"] {
            assert!(is_current_after(other, "/api/patients/1"), "{other}");
        }
    }

    #[test]
    fn what_was_read_after_the_write_is_current() {
        let writes = Writes::new();
        writes.mark("/a/b", writes.born + Duration::from_secs(2));
        assert!(!writes.is_current("/a/b", writes.born + Duration::from_secs(2)));
        assert!(writes.is_current("/a/b", writes.born + Duration::from_secs(3)));
    }

    #[test]
    fn a_write_without_an_answer_counts_until_its_service_has_stopped_and_no_longer() {
        let larder = Arc::new(Larder::new());
        let (since, timeout) = (Instant::now(), Duration::from_secs(3));
        let over = since + timeout + COMMIT_MAX;
        let write = |path: &str| {
            let mut written = Written::at(Arc::clone(&larder), path, (since, timeout));
            written.begin();
            written
        };
        let is_current = |path: &str, asked| larder.is_current(path, asked);
        drop(write("/unanswered"));
        write("/answered").answered();
        write("/refused").forget();
        drop(Written::at(Arc::clone(&larder), "/unsent", (since, timeout)));
        let soon = Instant::now() + Duration::from_millis(1);
        assert!(!is_current("/unanswered", soon) && !is_current("/unanswered", over));
        assert!(is_current("/unanswered", over + Duration::from_millis(1)));
        assert!(is_current("/answered", soon) && !is_current("/answered", since));
        assert!(is_current("/refused", since) && is_current("/unsent", since));
    }

    proptest! {
        #[test]
        fn no_read_that_a_write_touches_stays_current(
            segments in prop::collection::vec("[ab]{1,2}", 1..30), read in 1_usize..30, written in 1_usize..30,
        ) {
            let path = |length: usize| format!("/{}", segments[..length.min(segments.len())].join("/"));
            prop_assert!(!is_current_after(&path(read), &path(written)));
        }
    }
}
