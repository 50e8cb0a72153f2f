//! A peak-sensitive moving average of latency (after Finagle's): it jumps up to a slow answer at once and comes down
//! slowly, so that trouble is believed first and recovery later.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// In this time without news an estimate falls to 1/e (37 %), seconds.
const DECAY_SECONDS: f64 = 10.0;

/// The estimate in two atomics instead of a lock. Two reports at the same moment may take each other's share of the elapsed
/// time, which shifts the average by a hair; a peak is never lost.
#[derive(Debug, Default)]
pub(super) struct PeakEwma {
    /// The estimate's bits, seconds as `f64`; nought stands for none yet.
    seconds: AtomicU64,
    /// When it was last fed, nanoseconds of the balancer's age.
    fed_at_nanos: AtomicU64,
}

impl PeakEwma {
    /// Takes in a call that ended at `age` (of the balancer) and took `elapsed`.
    pub(super) fn observe(&self, age: Duration, elapsed: Duration) {
        let sample = elapsed.as_secs_f64().max(f64::MIN_POSITIVE);
        let now = u64::try_from(age.as_nanos()).unwrap_or(u64::MAX);
        let before = self.fed_at_nanos.fetch_max(now, Ordering::Relaxed);
        let kept = weight(before, now);
        let mut seen = self.seconds.load(Ordering::Relaxed);
        loop {
            let old = f64::from_bits(seen);
            let new = if sample >= old { sample } else { old * kept + sample * (1.0 - kept) };
            match self.seconds.compare_exchange_weak(
                seen,
                new.to_bits(),
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(current) => seen = current,
            }
        }
    }

    /// The estimate at `age`, seconds, fading while there is no news, so that an endpoint shunned for one slow answer is
    /// tried again. `None` before the first answer.
    pub(super) fn seconds(&self, age: Duration) -> Option<f64> {
        let seconds = f64::from_bits(self.seconds.load(Ordering::Relaxed));
        let now = u64::try_from(age.as_nanos()).unwrap_or(u64::MAX);
        (seconds > 0.0).then(|| seconds * weight(self.fed_at_nanos.load(Ordering::Relaxed), now))
    }
}

/// What is left of an estimate's weight between two moments, nanoseconds: from 1 towards 0.
fn weight(from_nanos: u64, to_nanos: u64) -> f64 {
    let elapsed = Duration::from_nanos(to_nanos.saturating_sub(from_nanos));
    (-elapsed.as_secs_f64() / DECAY_SECONDS).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Duration = Duration::from_secs(100);

    fn fed(elapsed_ms: &[u64]) -> PeakEwma {
        let ewma = PeakEwma::default();
        for (second, ms) in (0_u32..).zip(elapsed_ms) {
            ewma.observe(AT + second * Duration::from_secs(1), Duration::from_millis(*ms));
        }
        ewma
    }

    fn near(left: f64, right: f64) -> bool {
        (left - right).abs() < 1e-4
    }

    #[test]
    fn before_the_first_answer_nothing_is_known() {
        assert_eq!(PeakEwma::default().seconds(AT), None);
    }

    #[test]
    fn the_first_answer_is_believed_whole() {
        assert!(near(fed(&[20]).seconds(AT).unwrap(), 0.020));
    }

    #[test]
    fn a_peak_counts_at_once() {
        assert!(near(fed(&[20, 900]).seconds(AT + Duration::from_secs(1)).unwrap(), 0.900));
    }

    #[test]
    fn a_fast_answer_brings_it_down_only_slowly() {
        let estimate = fed(&[900, 20]).seconds(AT + Duration::from_secs(1)).unwrap();
        assert!(near(estimate, 0.900 * (-0.1_f64).exp() + 0.020 * (1.0 - (-0.1_f64).exp())));
    }

    #[test]
    fn without_news_it_fades() {
        assert!(near(fed(&[1_000]).seconds(AT + Duration::from_secs(10)).unwrap(), 0.3679));
    }

    #[test]
    fn a_clock_that_steps_back_changes_nothing() {
        assert!(near(fed(&[20]).seconds(Duration::ZERO).unwrap(), 0.020));
    }

    #[test]
    fn a_peak_is_not_lost_among_threads() {
        let ewma = PeakEwma::default();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let ewma = &ewma;
                scope.spawn(move || {
                    for call in 0..1_000 {
                        ewma.observe(
                            AT,
                            Duration::from_millis(if (thread, call) == (2, 500) { 900 } else { 20 }),
                        );
                    }
                });
            }
        });
        assert!(near(ewma.seconds(AT).unwrap(), 0.900));
    }
}
