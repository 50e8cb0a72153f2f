//! [`Dice`]: random numbers that come again with their seed (`SplitMix64`).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Thrown by many.
#[derive(Debug)]
pub(crate) struct Dice(AtomicU64);

impl Dice {
    /// Of one story and one who throws.
    pub(crate) fn new(seed: u64, whose: u64) -> Self {
        Self(AtomicU64::new(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ (whose << 32)))
    }

    /// Uniform over all of `u64`.
    pub(crate) fn roll(&self) -> u64 {
        let step = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.0.fetch_add(step, Ordering::Relaxed).wrapping_add(step);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&self, bound: u64) -> u64 {
        self.roll() % bound
    }

    /// One of these.
    pub(crate) fn index(&self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap()
    }

    pub(crate) fn percent(&self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn millis(&self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(range.start + self.below(range.end - range.start))
    }
}
