//! [`Health`]: whether an endpoint is sent to, by what its calls came to and by what it says when it is asked.
//!
//! ```text
//!                 failures in a row                time over, or it says that it is well
//!   well ──────────────────────────────> ejected ────────────────────────────────────────┐
//!    ^ │                                                                                 v
//!    │ └──────────> down: it does not say that it is well ─────────────────────────> joining
//!    └─────────────────────────────────────────────────────────────────────────────────────┘
//!                                 its share of the work grows to the whole
//! ```
//!
//! Beside the [`breaker`](crate::breaker), which judges a share of many calls: this one notices what happens at once. An endpoint that is
//! ejected again soon after it came back is ejected for longer. Until it has answered once, one failure is enough.
//!
//! Cost: an endpoint that is well and settled is one atomic load to whoever picks, and one to whoever reports an answer. A clock that the
//! caller reads anyway ends an ejection; nobody has to come by for it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::balance::Share;
use crate::lock;

/// When an endpoint is ejected, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EjectionConfig {
    /// So many failures in a row, of whatever kind; 0: never.
    pub failures: u32,
    /// So many in a row that did not even reach it; 0: never.
    pub unreached: u32,
    /// The first time, milliseconds. It doubles from one to the next.
    pub base_ms: u64,
    /// The longest time, milliseconds.
    pub max_ms: u64,
}

/// How a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// There was no connection.
    Unreached,
    /// There was no answer, or none in time.
    Silent,
    /// The answer speaks against the endpoint.
    BadAnswer,
    /// The answer's head was good, and there was no end to what followed. Such count among themselves: each has been a good answer before.
    BrokeOff,
}

/// Where an endpoint stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has its share.
    Well,
    /// Its share grows.
    Joining,
    /// It is set aside after failures.
    Ejected,
    /// It does not say that it is well.
    Down,
}

/// An endpoint's health, shared by all who send to it.
#[derive(Debug)]
pub struct Health {
    born: Instant,
    /// What there is to consider; 0: it is well and settled.
    marks: AtomicU32,
    /// Failures in a row since the last good answer; in the upper half, those that did not reach it.
    in_a_row: AtomicU64,
    /// Answers in a row that broke off, since the last one that reached its end.
    broke_off: AtomicU32,
    /// While ejected: until when, nanoseconds of its age.
    until: AtomicU64,
    /// While joining: since when, nanoseconds of its age.
    since: AtomicU64,
    past: Mutex<Past>,
}

/// What earlier ejections leave behind.
#[derive(Debug, Default)]
struct Past {
    times: u32,
    until: u64,
}

const DOWN: u32 = 1;
const EJECTED: u32 = 1 << 1;
/// It was ejected for answers, so that it says nothing that it can be asked how it is.
const ANSWERED_BADLY: u32 = 1 << 2;
const JOINING: u32 = 1 << 3;

const UNREACHED: u64 = 1 << 32;
/// Whoever joins has at least this share from the first moment on: one in so many.
const FIRST_SHARE: u128 = 10;
/// Doubling ends here; by then every sensible longest time is reached.
const TIMES_MAX: u32 = 16;

impl Health {
    /// Of an endpoint that joins now. Where all do, all have the same share.
    pub fn new(now: Instant) -> Self {
        Self {
            born: now,
            marks: AtomicU32::new(JOINING),
            in_a_row: AtomicU64::new(0),
            broke_off: AtomicU32::new(0),
            until: AtomicU64::new(0),
            since: AtomicU64::new(0),
            past: Mutex::default(),
        }
    }

    /// Its share of the work, if what joins has the whole of it after `slow_start`.
    pub fn share(&self, now: Instant, slow_start: Duration) -> Share {
        match self.marks.load(Ordering::Acquire) {
            0 => Share::FULL,
            marks => self.share_of(marks, self.age(now), slow_start),
        }
    }

    fn share_of(&self, marks: u32, now: u64, slow_start: Duration) -> Share {
        if marks & DOWN != 0 {
            return Share::NONE;
        }
        if marks & EJECTED != 0 {
            if now < self.until.load(Ordering::Acquire) {
                return Share::NONE;
            }
            let mut past = lock(&self.past);
            if now >= past.until {
                self.rejoin(&mut past, now, EJECTED);
            }
        }
        let (whole, joined) = (slow_start.as_nanos(), self.since.load(Ordering::Acquire));
        let part = u128::from(now.saturating_sub(joined));
        if part < whole {
            return Share::part(part.max(whole / FIRST_SHARE), whole);
        }
        // Unless something has happened to it meanwhile, it is settled.
        let _ = self.marks.compare_exchange(JOINING, 0, Ordering::AcqRel, Ordering::Relaxed);
        Share::FULL
    }

    /// Where it stands.
    pub fn standing(&self, now: Instant, slow_start: Duration) -> Standing {
        match (self.share(now, slow_start), self.marks.load(Ordering::Acquire)) {
            (Share::FULL, _) => Standing::Well,
            (Share::NONE, marks) if marks & DOWN != 0 => Standing::Down,
            (Share::NONE, _) => Standing::Ejected,
            _ => Standing::Joining,
        }
    }

    /// An answer was read to its end.
    pub fn completed(&self) {
        if self.broke_off.load(Ordering::Relaxed) != 0 {
            self.broke_off.store(0, Ordering::Relaxed);
        }
    }

    /// A call was answered well, as far as its answer's head goes.
    pub fn answered(&self) {
        if self.in_a_row.load(Ordering::Relaxed) != 0 {
            self.in_a_row.store(0, Ordering::Relaxed);
        }
    }

    /// A call failed. For how long that ejects it, if it does.
    pub fn failed(&self, now: Instant, failure: Failure, config: &EjectionConfig) -> Option<Duration> {
        if failure == Failure::BrokeOff {
            let broke_off = self.broke_off.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
            let is_enough = config.failures > 0 && broke_off >= config.failures;
            return is_enough.then(|| self.eject(self.age(now), failure, config)).flatten();
        }
        let one = if failure == Failure::Unreached { UNREACHED + 1 } else { 1 };
        let in_a_row = self.in_a_row.fetch_add(one, Ordering::Relaxed).wrapping_add(one);
        let (unreached, failures) = (in_a_row >> 32, in_a_row & u64::from(u32::MAX));
        let is_enough = |count: u64, wanted: u32| wanted > 0 && count >= u64::from(wanted);
        if !is_enough(failures, config.failures) && !is_enough(unreached, config.unreached) {
            return None;
        }
        self.eject(self.age(now), failure, config)
    }

    fn eject(&self, now: u64, failure: Failure, config: &EjectionConfig) -> Option<Duration> {
        let mut past = lock(&self.past);
        // Many calls that were under way fail together when an endpoint does: they are one reason, not many.
        if self.marks.load(Ordering::Acquire) & EJECTED != 0 && now < past.until {
            return None;
        }
        let base = Duration::from_millis(config.base_ms.max(1));
        // As long as it was ejected for the first time, it has to be well, and one time is forgotten.
        let forgotten = u128::from(now.saturating_sub(past.until)) / base.as_nanos();
        past.times = past.times.saturating_sub(u32::try_from(forgotten).unwrap_or(u32::MAX));
        let time = base.saturating_mul(1 << past.times).min(Duration::from_millis(config.max_ms).max(base));
        past.times = (past.times + 1).min(TIMES_MAX);
        past.until = now.saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        self.until.store(past.until, Ordering::Release);
        let is_answer = matches!(failure, Failure::BadAnswer | Failure::BrokeOff);
        let why = if is_answer { ANSWERED_BADLY } else { 0 };
        // One failure is enough from here on until it has answered.
        let almost = u64::from(config.failures.max(1) - 1) | (u64::from(config.unreached.max(1) - 1) << 32);
        self.in_a_row.store(almost, Ordering::Relaxed);
        if failure == Failure::BrokeOff {
            self.broke_off.store(config.failures.max(1) - 1, Ordering::Relaxed);
        }
        self.marks.fetch_and(!ANSWERED_BADLY, Ordering::AcqRel);
        self.marks.fetch_or(EJECTED | why, Ordering::AcqRel);
        Some(time)
    }

    /// It was asked, and is well. That ends an ejection too, but for one after bad answers: what is asked for may be well and the rest
    /// not. Whether this is news.
    pub fn found_well(&self, now: Instant) -> bool {
        let marks = self.marks.load(Ordering::Acquire);
        let is_silent = marks & EJECTED != 0 && marks & ANSWERED_BADLY == 0;
        let ends = (marks & DOWN) | if is_silent { EJECTED } else { 0 };
        ends != 0 && self.rejoin(&mut lock(&self.past), self.age(now), ends)
    }

    /// It was asked, and is not well, or does not say. Whether this is news.
    pub fn found_unwell(&self) -> bool {
        self.marks.fetch_or(DOWN, Ordering::AcqRel) & DOWN == 0
    }

    /// Nobody asks it any more: what it said last counts no longer.
    pub fn not_asked(&self, now: Instant) {
        if self.marks.load(Ordering::Acquire) & DOWN != 0 {
            self.rejoin(&mut lock(&self.past), self.age(now), DOWN);
        }
    }

    /// Takes marks away, and its share begins to grow; whether there were any.
    fn rejoin(&self, past: &mut Past, now: u64, ends: u32) -> bool {
        if self.marks.load(Ordering::Acquire) & ends == 0 {
            return false;
        }
        let mut gone = ends;
        if ends & EJECTED != 0 {
            past.until = past.until.min(now);
            gone |= ANSWERED_BADLY;
        }
        self.since.store(now, Ordering::Release);
        self.marks.fetch_or(JOINING, Ordering::AcqRel);
        self.marks.fetch_and(!gone, Ordering::AcqRel);
        true
    }

    fn age(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.born).as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests;
