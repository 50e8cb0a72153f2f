//! Rate limits by GCRA, the generic cell rate algorithm (ITU-T I.371): a token bucket whose whole state is one number,
//! the time at which the bucket would be full again.
//!
//! Time is whole nanoseconds since an epoch of the caller's (process start will do), the same for all checks of a limiter.
//! The [`Limit`] is given at each check and not kept, so a changed limit holds from the next request on.
//!
//! A limiter counts what it is asked itself. For limits that several replicas keep together there is [`Limit::share`], each replica's fair
//! part; and where another limiter counts for all of them, [`Gcra::learn`] and [`Gcra::give_back`] let this one stand before it and refuse
//! only what the other would refuse.

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

    /// The part of one of `replicas`, which share it fairly: rate and burst divided, the burst never below one. The rate needs no such floor:
    /// one request in three seconds is a third of one a second.
    #[must_use]
    pub fn share(self, replicas: u32) -> Self {
        let replicas = replicas.max(1);
        let interval = Duration::from_nanos(self.interval_nanos.saturating_mul(u64::from(replicas)));
        Self::every(interval, self.burst / replicas)
    }

    /// How many may come at once.
    pub fn burst(&self) -> u32 {
        self.burst
    }

    /// Time between requests at the sustained rate.
    pub fn interval(&self) -> Duration {
        Duration::from_nanos(self.interval_nanos)
    }

    /// What a limiter with this limit answers, whose bucket is full again after `reset_after`: the request counted if it was allowed.
    pub fn decision(self, allowed: bool, reset_after: Duration) -> Decision {
        let (refill, reset) = (self.refill_nanos(), nanos(reset_after));
        let remaining = refill.saturating_sub(reset) / self.interval_nanos;
        let missing = reset.saturating_add(self.interval_nanos).saturating_sub(refill);
        Decision {
            allowed,
            remaining: u32::try_from(remaining).unwrap_or(u32::MAX),
            retry_after: Duration::from_nanos(if allowed { 0 } else { missing }),
            reset_after,
        }
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

    /// Takes back one request that was counted under `limit` and then came to nothing. To be called soon after: what a bucket that has filled
    /// up since is given back is one too many.
    pub fn give_back(&self, limit: Limit) {
        let back = |full_at: u64| Some(full_at.saturating_sub(limit.interval_nanos));
        // It always gives a next state, so it cannot fail.
        let _ = self.full_at_nanos.fetch_update(Ordering::Relaxed, Ordering::Relaxed, back);
    }

    /// Learns that the bucket is full no sooner than at `full_at_nanos`, from whoever counts for several.
    pub fn learn(&self, full_at_nanos: u64) {
        self.full_at_nanos.fetch_max(full_at_nanos, Ordering::Relaxed);
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
    let allowed = after - now <= refill;
    let next = match (allowed, full_at < seen) {
        (true, _) => after,
        (false, true) => full_at,
        (false, false) => seen,
    };
    let reset = if allowed { after - now } else { full_at - now };
    (next, limit.decision(allowed, Duration::from_nanos(reset)))
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
