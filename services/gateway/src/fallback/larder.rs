//! [`Larder`]: the last good answers of reads that may be served stale: in memory alone, within bounds, and no longer than they may be served.

use std::hash::RandomState;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hashlink::LruCache;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, ETAG, SET_COOKIE};
use http::{HeaderMap, HeaderValue};

use super::key::{self, Key};
use super::writes::Writes;
use crate::headers;
use crate::room::{Claim, Room};

/// A larger answer is passed on and not kept.
const ANSWER_BYTES_MAX: usize = 256 * 1024;
/// Beyond it those that were not used for longest go.
const BYTES_MAX: usize = 16 * 1024 * 1024;
const ANSWERS_MAX: usize = 4_096;
/// All that are being copied, together: beyond it an answer passes without.
const COPIED_BYTES_MAX: usize = 8 * 1024 * 1024;
/// What an answer takes beside its own bytes, about.
const OVERHEAD_BYTES: usize = 512;

/// All of them.
#[derive(Debug)]
pub(crate) struct Larder {
    shelf: Mutex<Shelf>,
    copied: Arc<Room>,
    writes: Writes,
}

#[derive(Debug)]
struct Shelf {
    answers: LruCache<Key, Good, RandomState>,
    bytes: usize,
}

/// A good answer.
#[derive(Clone, Debug)]
pub(super) struct Good {
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// When its request came: nothing in it is younger.
    pub(super) asked: Instant,
    age_max: Duration,
    bytes: usize,
}

impl Larder {
    pub(crate) fn new() -> Self {
        let shelf = Shelf { answers: LruCache::with_hasher(usize::MAX, RandomState::new()), bytes: 0 };
        let copied = Room::new(COPIED_BYTES_MAX);
        Self { shelf: Mutex::new(shelf), copied, writes: Writes::new() }
    }

    /// Answers kept, and what they take.
    pub(crate) fn size(&self) -> (usize, usize) {
        let shelf = self.shelf();
        (shelf.answers.len(), shelf.bytes)
    }

    /// Lets go of all that may not be served any more.
    pub(crate) fn sweep(&self, now: Instant) {
        let mut shelf = self.shelf();
        let Shelf { answers, bytes } = &mut *shelf;
        answers.retain(|key, good| {
            let stays = self.is_servable(key, good, now);
            if !stays {
                *bytes -= good.bytes;
            }
            stays
        });
    }

    pub(super) fn get(&self, key: &Key, now: Instant) -> Option<Good> {
        let mut shelf = self.shelf();
        let good = shelf.answers.get(key)?;
        self.is_servable(key, good, now).then(|| good.clone())
    }

    /// Lets go of everything: from now on nobody says what is written.
    pub(crate) fn clear(&self) {
        let mut shelf = self.shelf();
        shelf.answers.clear();
        shelf.bytes = 0;
    }

    pub(super) fn remove(&self, key: &Key) {
        self.shelf().remove(key);
    }

    /// The service says that what the client has is current. If it is what is kept, that is current too.
    pub(super) fn confirm(&self, key: &Key, told: &HeaderMap, (asked, age_max): (Instant, Duration)) {
        let mut shelf = self.shelf();
        if let Some(good) = shelf.answers.get_mut(key)
            && told.contains_key(ETAG)
            && told.get(ETAG) == good.headers.get(ETAG)
        {
            good.asked = good.asked.max(asked);
            good.age_max = age_max;
        }
    }

    /// It is written there until then.
    pub(super) fn outdate(&self, path: &str, until: Instant) {
        self.writes.mark(path, until);
    }

    /// Whether nothing was written since that would show in what was read there.
    pub(super) fn is_current(&self, path: &str, asked: Instant) -> bool {
        self.writes.is_current(path, asked)
    }

    /// It is not there any more.
    pub(super) fn forget(&self, path: &str, now: Instant) {
        self.writes.mark_gone(path, now);
    }

    fn put(&self, key: Key, good: Good) {
        let mut shelf = self.shelf();
        // Of two that were under way at once the one that was asked later is no older.
        if shelf.answers.peek(&key).is_some_and(|kept| kept.asked > good.asked) {
            return;
        }
        shelf.remove(&key);
        shelf.bytes += good.bytes;
        shelf.answers.insert(key, good);
        while shelf.bytes > BYTES_MAX || shelf.answers.len() > ANSWERS_MAX {
            let Some((_, good)) = shelf.answers.remove_lru() else { break };
            shelf.bytes -= good.bytes;
        }
    }

    fn is_servable(&self, key: &Key, good: &Good, now: Instant) -> bool {
        now.saturating_duration_since(good.asked) <= good.age_max && self.is_current(key.path(), good.asked)
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    fn remove(&mut self, key: &Key) {
        if let Some(good) = self.answers.remove(key) {
            self.bytes -= good.bytes;
        }
    }
}

/// A good answer on its way to the client, copied as it passes. Kept when it has passed whole.
pub(crate) struct Passing {
    larder: Arc<Larder>,
    key: Key,
    headers: HeaderMap,
    body: Vec<u8>,
    claim: Claim,
    asked: Instant,
    age_max: Duration,
}

impl Passing {
    /// `None`: this one is not to be kept.
    pub(super) fn begin(
        larder: Arc<Larder>,
        key: Key,
        headers: &HeaderMap,
        (asked, age_max): (Instant, Duration),
    ) -> Option<Box<Self>> {
        let length =
            headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        let is_too_long = length.is_some_and(|length| length > ANSWER_BYTES_MAX);
        if is_too_long
            || says(headers, "no-store")
            || (key.is_anybodys() && says(headers, "private"))
            || headers.contains_key(SET_COOKIE)
            || !key::holds_all_of(headers)
        {
            return None;
        }
        // Copied: as they are, they keep the whole of what was read with them.
        let copy = |value: &HeaderValue| HeaderValue::from_bytes(value.as_bytes()).ok();
        let mut headers: HeaderMap =
            headers.iter().filter_map(|(name, value)| Some((name.clone(), copy(value)?))).collect();
        headers::towards_client(&mut headers, !key.is_anybodys());
        headers.remove(CONTENT_LENGTH);
        let claim = larder.copied.claim();
        Some(Box::new(Self { larder, key, headers, body: Vec::new(), claim, asked, age_max }))
    }

    /// Some more of it. `false`: it is too much, or there is too much of others, and need not go on.
    pub(crate) fn add(&mut self, data: &[u8]) -> bool {
        let fits = self.body.len() + data.len() <= ANSWER_BYTES_MAX && self.claim.add(data.len());
        if fits {
            self.body.extend_from_slice(data);
        }
        fits
    }

    /// That was all of it.
    pub(crate) fn keep(self) {
        let Self { larder, key, headers, mut body, claim: _claim, asked, age_max } = self;
        body.shrink_to_fit();
        let heads: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        let bytes = OVERHEAD_BYTES + key.len() + heads + body.len();
        larder.put(key, Good { headers, body: body.into(), asked, age_max, bytes });
    }
}

/// Whether a service says this of who may keep its answer. `no-cache` does not matter: it says "not without asking", and was asked.
fn says(headers: &HeaderMap, directive: &str) -> bool {
    let lines =
        headers.get_all(CACHE_CONTROL).iter().map(|line| line.to_str().unwrap_or("no-store, private"));
    let mut said =
        lines.flat_map(|line| line.split(',')).map(|one| one.split('=').next().unwrap_or_default().trim());
    said.any(|one| one.eq_ignore_ascii_case(directive))
}
