//! How many calls a dependency is given at once: a [`Limiter`] that finds it out from how long they take.
//!
//! While more are under way than the dependency can work on, the rest wait in its queue, and all take longer; with fewer, part of it idles. The
//! limit is kept where calls take about twice as long as they do when there is room, and whoever comes above it is told so at once. Calls have
//! [`Share`]s: those that can wait are refused when a part of the limit is taken, so that what is left is for those that cannot.
//!
//! | file | idea |
//! |---|---|
//! | `concurrency.rs` | what each call touches: atomics only |
//! | `track.rs` | how long calls of one kind take, and how long they usually do |
//! | `law.rs` | from what a window saw to the next limit |
//!
//! Not for queueing, and not for knowing that a dependency has failed: that is the breaker's.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::time::{Duration, Instant};

use crate::bulkhead::{Bulkhead, Full};
use crate::lock;

mod law;
mod track;

use law::{Law, Seen};
pub use track::Track;
use track::{Tally, Usual};

/// A window is at least this long.
const WINDOW_NANOS: u64 = 250_000_000;
/// A window that is not full yet is looked at again after this long.
const LOOK_AGAIN_NANOS: u64 = WINDOW_NANOS / 8;
/// With nothing answered for so long after a window might have ended, and somebody refused, the limit is what holds all up.
const STALLED_NANOS: u64 = 2_000_000_000;
/// While there is plenty of room, one call of so many is timed.
const ONE_OF: u64 = 8;

/// The bounds of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConcurrencyConfig {
    /// So many may always be under way.
    pub min: u32,
    /// And never more than so many.
    pub max: u32,
    /// Calls that take no longer than this are never too slow, whatever they usually take.
    pub fast: Duration,
    /// Off: the limit is `max`, always.
    pub adaptive: bool,
}

/// The part of the limit that calls of one priority may fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u32);

impl Share {
    /// All of it.
    pub const WHOLE: Self = Self(Self::OF);
    /// In parts of this many, so that taking one is a multiplication and a shift.
    const OF: u32 = 1 << 10;

    /// `part` of `whole`: at most all of it, and never nothing. Rounded up, so that 60 of 100 are six of ten.
    pub fn of(part: u32, whole: u32) -> Self {
        let parts = (u64::from(part) * u64::from(Self::OF)).div_ceil(u64::from(whole.max(1)));
        Self(u32::try_from(parts).unwrap_or(Self::OF).clamp(1, Self::OF))
    }

    /// So many calls of a limit; one at least.
    fn take(self, limit: u32) -> u32 {
        let calls = (u64::from(limit) * u64::from(self.0)) / u64::from(Self::OF);
        u32::try_from(calls).unwrap_or(u32::MAX).max(1)
    }
}

/// Counts calls under way, refuses those above the limit, and moves the limit. Shared by reference; a call is told of three times: when it
/// [enters](Limiter::enter), when it is [answered](Limiter::answered), and when it [leaves](Limiter::leave). One that may not enter is told of once more:
/// [refused](Limiter::refused).
#[derive(Debug)]
pub struct Limiter {
    config: ConcurrencyConfig,
    born: Instant,
    bulkhead: Bulkhead,
    /// In force now.
    limit: AtomicU32,
    /// For calls that may fill all of it: after a cut the limit before it, until what can wait has drained.
    ceiling: AtomicU32,
    /// The most that were under way in this window.
    peak: AtomicU32,
    /// When the window may end, nanoseconds of age.
    due_nanos: AtomicU64,
    /// Calls of this window that were given up.
    late: AtomicU32,
    /// What is done once a window, by whoever comes first after its end.
    rest: Mutex<Rest>,
}

#[derive(Debug)]
struct Rest {
    law: Law,
    tracks: Vec<(Arc<Track>, Usual)>,
}

impl Limiter {
    /// With nothing known. A `min` above `max` is read as `max`; nought as one.
    pub fn new(config: ConcurrencyConfig, now: Instant) -> Self {
        let max = config.max.max(1);
        let config = ConcurrencyConfig { min: config.min.clamp(1, max), max, ..config };
        let law = Law::new(config.min, config.max);
        let limit = if config.adaptive { law.limit() } else { config.max };
        Self {
            config,
            born: now,
            bulkhead: Bulkhead::new(config.max),
            limit: AtomicU32::new(limit),
            ceiling: AtomicU32::new(limit),
            peak: AtomicU32::new(0),
            due_nanos: AtomicU64::new(WINDOW_NANOS),
            late: AtomicU32::new(0),
            rest: Mutex::new(Rest { law, tracks: Vec::new() }),
        }
    }

    /// What it was made with, brought within sense.
    pub fn config(&self) -> ConcurrencyConfig {
        self.config
    }

    /// Counts a call in, if its share of the limit has room. Who is let in says so at the end, whatever becomes of it: [`Limiter::leave`].
    pub fn enter(&self, share: Share) -> Result<(), Full> {
        let bound = match share {
            Share::WHOLE => self.ceiling.load(Ordering::Relaxed),
            _ => share.take(self.limit()),
        };
        let calls = self.bulkhead.enter(bound)?;
        // Looked at first: written, it would go from processor to processor with each call.
        if calls > self.peak.load(Ordering::Relaxed) {
            self.peak.fetch_max(calls, Ordering::Relaxed);
        }
        Ok(())
    }

    /// A call that was let in is over.
    pub fn leave(&self) {
        self.bulkhead.leave();
    }

    /// A call of this kind was answered at `now`, well, after this long.
    pub fn answered(&self, track: &Track, now: Instant, took: Duration) {
        if !self.config.adaptive {
            return;
        }
        let took = nanos(took);
        let has_room = self.in_flight().saturating_mul(4) < self.limit();
        // The last digits of a time are as good as dice.
        if has_room && !took.is_multiple_of(ONE_OF) {
            return;
        }
        track.note(took);
        self.look(now);
    }

    /// A call was given up at `now`, since its time was over.
    pub fn gave_up(&self, now: Instant) {
        if self.config.adaptive {
            self.late.fetch_add(1, Ordering::Relaxed);
            self.look(now);
        }
    }

    /// A call was refused at `now`. Not needed for counting: where all places are held by calls that last (an answer that never ends), no call that
    /// is answered would ever move the limit again.
    pub fn refused(&self, now: Instant) {
        let age = nanos(now.saturating_duration_since(self.born));
        let is_stalled = || age >= self.due_nanos.load(Ordering::Relaxed).saturating_add(STALLED_NANOS);
        if !self.config.adaptive || !is_stalled() {
            return;
        }
        let Some(mut rest) = self.try_rest() else { return };
        if is_stalled() {
            rest.law.stalled(self.bulkhead.calls());
            self.settle(&rest.law, age.saturating_add(WINDOW_NANOS));
        }
    }

    /// Where calls of a kind are timed. Kinds of one name are one, for as long as somebody has it.
    pub fn track(&self, name: &str) -> Arc<Track> {
        let mut rest = lock(&self.rest);
        if let Some((track, _)) = rest.tracks.iter().find(|(track, _)| track.name() == name) {
            return Arc::clone(track);
        }
        rest.tracks.retain(|(track, _)| Arc::strong_count(track) > 1);
        let track = Arc::new(Track::new(name));
        rest.tracks.push((Arc::clone(&track), Usual::default()));
        track
    }

    /// How many may be under way now.
    pub fn limit(&self) -> u32 {
        self.limit.load(Ordering::Relaxed)
    }

    /// How many are.
    pub fn in_flight(&self) -> u32 {
        self.bulkhead.calls()
    }

    /// Ends the window if it is time. Whoever finds somebody else at it goes on.
    fn look(&self, now: Instant) {
        let age = nanos(now.saturating_duration_since(self.born));
        if age < self.due_nanos.load(Ordering::Relaxed) {
            return;
        }
        let Some(mut rest) = self.try_rest() else { return };
        // Somebody may just have been at it.
        if age < self.due_nanos.load(Ordering::Relaxed) {
            return;
        }
        let wait = if self.end_window(&mut rest, age) { WINDOW_NANOS } else { LOOK_AGAIN_NANOS };
        self.settle(&rest.law, age.saturating_add(wait));
    }

    fn try_rest(&self) -> Option<MutexGuard<'_, Rest>> {
        match self.rest.try_lock() {
            Ok(rest) => Some(rest),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Puts in force what the law says, until a window may end.
    fn settle(&self, law: &Law, due_nanos: u64) {
        self.limit.store(law.limit(), Ordering::Relaxed);
        self.ceiling.store(law.ceiling(), Ordering::Relaxed);
        self.due_nanos.store(due_nanos, Ordering::Relaxed);
    }

    /// Whether the window had enough in it to end.
    fn end_window(&self, Rest { law, tracks }: &mut Rest, age: u64) -> bool {
        let waiting: u64 = tracks.iter().map(|(track, _)| track.count()).sum();
        let late = u64::from(self.late.load(Ordering::Relaxed));
        if waiting + late < law.samples_min() && !law.is_overdue(age) {
            return false;
        }
        let late = self.late.swap(0, Ordering::Relaxed);
        let tallies: Vec<Tally> = tracks.iter().map(|(track, _)| track.take()).collect();
        let in_flight = self.bulkhead.calls();
        let seen = Seen {
            age_nanos: age,
            excess: excess(&tallies, tracks, late, self.config.fast),
            samples: tallies.iter().map(|tally| tally.count).sum(),
            peak: self.peak.swap(in_flight, Ordering::Relaxed),
            in_flight,
        };
        let lesson = law.next(seen);
        for ((_, usual), tally) in tracks.iter_mut().zip(&tallies) {
            usual.learn(*tally, lesson);
        }
        true
    }
}

/// By how much calls took longer than is in order, in powers of two; below nought they were faster. `None`: nothing is known.
fn excess(tallies: &[Tally], tracks: &[(Arc<Track>, Usual)], late: u32, fast: Duration) -> Option<f64> {
    let (mut sum, mut weight) = (f64::from(late) * law::LATE, f64::from(late));
    for (tally, (_, usual)) in tallies.iter().zip(tracks) {
        if let (Some(mean), Some(usual)) = (tally.mean(), usual.get()) {
            let in_order = (usual + law::TOLERANCE).max(track::log2(nanos(fast)));
            sum += (mean - in_order) * tally.weight();
            weight += tally.weight();
        }
    }
    (weight > 0.0).then(|| sum / weight)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
