//! [`Track`]: how long calls of one kind take; and [`Usual`]: how long they do when there is room.
//!
//! Times are kept as their logarithms. A mean of those (a geometric mean) moves when all calls become slower, and hardly when a few do, and
//! the times of a quick kind and a slow one can be compared: each with what is usual for it.

use std::sync::atomic::{AtomicU64, Ordering};

/// A logarithm is counted in parts of this many.
const PARTS_BITS: u32 = 8;
/// A tally's sum takes the lower bits; 2^26 samples of 14 bits fit.
const SUM_BITS: u32 = 40;
const SUM: u64 = (1 << SUM_BITS) - 1;

/// So many calls are looked at together before what is usual moves.
const BATCH: u64 = 32;
/// The first batch after nothing is of those that happened to be quick: the others are not back yet.
const FIRST: u32 = 1;
/// Until then, what is usual follows what is seen.
const KNOWN: u32 = 6;

/// Calls of one kind: those of a route.
#[derive(Debug)]
pub struct Track {
    name: Box<str>,
    /// Their number, and the sum of the logarithms of their times: in one, so that a call adds both in one step.
    tally: AtomicU64,
}

/// What a window saw of a kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) count: u64,
    sum: u64,
}

/// What a window teaches of what is usual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lesson {
    /// They were quick: it may be a little more than was thought.
    Calm,
    /// It was crowded: if they took longer, that says nothing.
    Crowded,
    /// There was so little to do that what they took is what they take.
    Quiet,
    /// There was little to do because that was seen to.
    Dip,
    /// Those that were measured began in other times.
    Nothing,
}

/// How long calls of a kind take when there is room, as a logarithm.
#[derive(Debug, Default)]
pub(super) struct Usual {
    log: Option<f64>,
    batches: u32,
    pending: Tally,
}

impl Track {
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.into(), tally: AtomicU64::new(0) }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn note(&self, nanos: u64) {
        self.tally.fetch_add((1 << SUM_BITS) + log2_parts(nanos), Ordering::Relaxed);
    }

    pub(super) fn count(&self) -> u64 {
        self.tally.load(Ordering::Relaxed) >> SUM_BITS
    }

    pub(super) fn take(&self) -> Tally {
        let tally = self.tally.swap(0, Ordering::Relaxed);
        Tally { count: tally >> SUM_BITS, sum: tally & SUM }
    }
}

impl Tally {
    /// The mean logarithm.
    pub(super) fn mean(self) -> Option<f64> {
        (self.count > 0).then(|| float(self.sum) / float(self.count) / f64::from(1_u32 << PARTS_BITS))
    }

    pub(super) fn weight(self) -> f64 {
        float(self.count)
    }
}

impl Usual {
    /// `None`: not known yet.
    pub(super) fn get(&self) -> Option<f64> {
        self.log
    }

    /// Takes in what a window saw.
    pub(super) fn learn(&mut self, tally: Tally, lesson: Lesson) {
        match lesson {
            Lesson::Nothing => return,
            // Not to be mixed with what came before.
            Lesson::Dip => {
                if let (Some(log), Some(mean)) = (&mut self.log, tally.mean()) {
                    // Few say little.
                    *log += (mean - *log) * 0.75 * (tally.weight() / float(BATCH)).min(1.0);
                }
                self.pending = Tally::default();
                return;
            }
            Lesson::Calm | Lesson::Crowded | Lesson::Quiet => {}
        }
        self.pending.count += tally.count;
        self.pending.sum += tally.sum;
        let Some(mean) = self.pending.mean().filter(|_| self.pending.count >= BATCH) else { return };
        self.pending = Tally::default();
        self.batches = self.batches.saturating_add(1);
        if self.batches <= FIRST {
            return;
        }
        let Some(log) = &mut self.log else {
            self.log = Some(mean);
            return;
        };
        let weight = match lesson {
            _ if self.batches < KNOWN => 0.5,
            _ if mean < *log => 0.25,
            Lesson::Quiet => 0.125,
            Lesson::Calm => 1.0 / 32.0,
            Lesson::Crowded | Lesson::Dip | Lesson::Nothing => 0.0,
        };
        *log += (mean - *log) * weight;
    }
}

/// A time's logarithm to base 2.
pub(super) fn log2(nanos: u64) -> f64 {
    float(log2_parts(nanos)) / f64::from(1_u32 << PARTS_BITS)
}

/// In parts, and straight between powers of two: never off by more than a twelfth, and always in the same way.
fn log2_parts(nanos: u64) -> u64 {
    let nanos = nanos.max(1);
    let whole = nanos.ilog2();
    let above = nanos - (1 << whole);
    let parts =
        if whole >= PARTS_BITS { above >> (whole - PARTS_BITS) } else { above << (PARTS_BITS - whole) };
    (u64::from(whole) << PARTS_BITS) + parts
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tally(count: u64, ms: u64) -> Tally {
        Tally { count, sum: log2_parts(ms * 1_000_000) * count }
    }

    fn known(ms: u64) -> Usual {
        let mut usual = Usual::default();
        for _ in 0..KNOWN {
            usual.learn(tally(BATCH, ms), Lesson::Calm);
        }
        usual
    }

    fn near(usual: &Usual, ms: u64) -> bool {
        (usual.get().unwrap() - log2(ms * 1_000_000)).abs() < 0.1
    }

    #[test]
    fn a_tally_is_the_geometric_mean() {
        let track = Track::new("x");
        for ms in [1_u64, 4, 16] {
            track.note(ms * 1_000_000);
        }
        assert!((track.take().mean().unwrap() - log2(4_000_000)).abs() < 0.1);
        assert_eq!(track.take(), Tally::default());
    }

    #[test]
    fn the_first_that_come_back_are_not_believed() {
        let mut usual = Usual::default();
        usual.learn(tally(BATCH, 1), Lesson::Calm);
        assert_eq!(usual.get(), None);
        usual.learn(tally(BATCH, 20), Lesson::Calm);
        assert!(near(&usual, 20));
    }

    #[test]
    fn being_slow_in_a_crowd_is_not_usual() {
        let mut usual = known(20);
        for _ in 0..1_000 {
            usual.learn(tally(BATCH, 40), Lesson::Crowded);
        }
        assert!(near(&usual, 20));
        usual.learn(tally(BATCH, 10), Lesson::Crowded);
        assert!(!near(&usual, 20), "being quick in one is");
    }

    #[test]
    fn being_slow_when_there_is_little_to_do_is_soon_usual() {
        for lesson in [Lesson::Quiet, Lesson::Dip] {
            let mut usual = known(20);
            for _ in 0..40 {
                usual.learn(tally(BATCH, 60), lesson);
            }
            assert!(near(&usual, 60), "{lesson:?}");
        }
    }

    proptest! {
        #[test]
        fn logarithms_are_near_and_in_order(nanos in 1_u64..u64::MAX / 2, more in 0_u64..1 << 40) {
            let exact = float(nanos).log2();
            prop_assert!((log2(nanos) - exact).abs() < 0.1, "{} {}", log2(nanos), exact);
            prop_assert!(log2_parts(nanos) <= log2_parts(nanos + more));
        }

        #[test]
        fn what_is_usual_is_never_beyond_what_was_seen(windows in prop::collection::vec((0_u64..100, 1_u64..10_000, 0_usize..5), 0..200)) {
            let lessons = [Lesson::Calm, Lesson::Crowded, Lesson::Quiet, Lesson::Dip, Lesson::Nothing];
            let mut usual = Usual::default();
            for (count, ms, lesson) in windows {
                usual.learn(tally(count, ms), lessons[lesson]);
                if let Some(log) = usual.get() {
                    prop_assert!(log > log2(1_000_000) - 1e-9 && log < log2(10_000_000_000) + 1e-9);
                }
            }
        }
    }
}
