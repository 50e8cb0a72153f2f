//! [`Load`]: what an endpoint has to do and how fast it does it. One for each endpoint, however many lists it is in: its work is one,
//! whichever way a request came to it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::ewma::PeakEwma;

/// What an endpoint that has never answered, but has requests under way, is taken to need, seconds. High, so that
/// the first request tells before many follow.
const UNKNOWN_LATENCY_SECONDS: f64 = 1.0;

/// Requests under way and latency.
#[derive(Debug)]
pub struct Load {
    born: Instant,
    in_flight: AtomicU32,
    latency: PeakEwma,
}

impl Load {
    /// Of an endpoint that has nothing to do and has never answered.
    pub fn new(now: Instant) -> Self {
        Self { born: now, in_flight: AtomicU32::new(0), latency: PeakEwma::default() }
    }

    /// Requests under way.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    pub(super) fn begin(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn end(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn observe(&self, now: Instant, elapsed: Duration) {
        self.latency.observe(self.age(now), elapsed);
    }

    /// What one more request is expected to cost, seconds. A new endpoint without requests costs nothing: it gets one soon.
    pub(super) fn cost(&self, now: Instant) -> f64 {
        let in_flight = f64::from(self.in_flight());
        match self.latency.seconds(self.age(now)) {
            Some(seconds) => seconds * (in_flight + 1.0),
            None => UNKNOWN_LATENCY_SECONDS * in_flight,
        }
    }

    fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.born)
    }
}
