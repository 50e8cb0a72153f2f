//! Rate limits by GCRA, the generic cell rate algorithm (ITU-T I.371): a token bucket whose whole state is one number,
//! the time at which the bucket would be full again.
//!
//! Time is whole nanoseconds since an epoch of the caller's (process start will do), the same for all checks of a limiter.
//! The [`Limit`] is given at each check and not kept, so a changed limit holds from the next request on.
//!
//! Not for limits across replicas: each gateway counts what passes through itself.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

mod keyed;
pub use keyed::Keyed;

const SECOND_NANOS: u64 = 1_000_000_000;

/// How far the clocks read by two threads may lie apart (one was suspended between reading and checking), nanoseconds.
const SKEW_NANOS_MAX: u64 = SECOND_NANOS;

/// A sustained rate and a burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    interval_nanos: u64,
    burst: u32,
}

impl Limit {
    /// `requests_per_second` sustained, `burst` at once; nought of either is read as one. The interval between requests
    /// is rounded up to a nanosecond, so that the rate is never exceeded, not even by rounding.
    pub fn per_second(requests_per_second: u32, burst: u32) -> Self {
        Self::every(Duration::from_nanos(SECOND_NANOS.div_ceil(u64::from(requests_per_second.max(1)))), burst)
    }

    /// One request each `interval` sustained (1 ns to an hour), `burst` at once: for limits slower than one a second.
    pub fn every(interval: Duration, burst: u32) -> Self {
        // Within an hour, `burst` intervals fit an `u64` of nanoseconds whatever the burst.
        let interval = interval.clamp(Duration::from_nanos(1), Duration::from_hours(1));
        Self { interval_nanos: nanos(interval), burst: burst.max(1) }
    }

    /// How many may come at once.
    pub fn burst(&self) -> u32 {
        self.burst
    }

    /// Time in which an empty bucket fills up, nanoseconds.
    fn refill_nanos(&self) -> u64 {
        self.interval_nanos.saturating_mul(u64::from(self.burst))
    }
}

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// May the request pass? Then it has been counted; a refused one costs nothing.
    pub allowed: bool,
    /// Requests that could follow at once.
    pub remaining: u32,
    /// When the next request may pass, if this one may not; else zero.
    pub retry_after: Duration,
    /// When the whole burst is there again.
    pub reset_after: Duration,
}

/// One limiter: a single atomic that all cores share, so that limits do not multiply by cores.
#[derive(Debug, Default)]
pub struct Gcra {
    /// When the bucket will be full again ("theoretical arrival time"); in the past, it is full.
    full_at_nanos: AtomicU64,
}

impl Gcra {
    /// A full bucket.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts one request at `now_nanos`, or refuses it.
    pub fn check(&self, limit: Limit, now_nanos: u64) -> Decision {
        let mut seen = self.full_at_nanos.load(Ordering::Relaxed);
        loop {
            let (next, decision) = decide(seen, limit, now_nanos);
            if next == seen {
                return decision;
            }
            match self.full_at_nanos.compare_exchange_weak(seen, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return decision,
                Err(current) => seen = current,
            }
        }
    }

    /// When the bucket will be full again. From then on it is no different from a new one.
    fn full_at_nanos(&self) -> u64 {
        self.full_at_nanos.load(Ordering::Relaxed)
    }
}

/// The algorithm: from the state seen to the next one and the answer. Pure.
fn decide(seen: u64, limit: Limit, now: u64) -> (u64, Decision) {
    let refill = limit.refill_nanos();
    let mut full_at = seen.max(now);
    // A debt that this limit cannot have made stems from a slower one in force before: cut to an empty bucket. The margin
    // for skew matters: cutting at the edge would let two threads with different clocks win tokens from each other.
    if full_at - now > refill.saturating_add(SKEW_NANOS_MAX) {
        full_at = now.saturating_add(refill);
    }
    let after = full_at.saturating_add(limit.interval_nanos);
    let missing = (after - now).saturating_sub(refill);
    let allowed = missing == 0;
    let next = match (allowed, full_at < seen) {
        (true, _) => after,
        (false, true) => full_at,
        (false, false) => seen,
    };
    let reset = if allowed { after - now } else { full_at - now };
    let remaining = refill.saturating_sub(reset) / limit.interval_nanos;
    let decision = Decision {
        allowed,
        remaining: u32::try_from(remaining).unwrap_or(u32::MAX),
        retry_after: Duration::from_nanos(missing),
        reset_after: Duration::from_nanos(reset),
    };
    (next, decision)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
