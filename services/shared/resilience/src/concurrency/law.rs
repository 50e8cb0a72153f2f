//! [`Law`]: from what a window saw to the next limit. Pure, and told the time.
//!
//! - Calls take more than [`TOLERANCE`] longer than usual: the limit becomes what was under way, divided by how much too long they took; by
//!   two at most.
//! - They do not, and at least half of the limit was in use: it grows by its square root; doubling until it was cut for the first time.
//! - It has been cut lately: now and then it **dips** to a quarter for some windows, to see what is usual when there is room. Without that, what was
//!   first measured in a crowd, or has since become slower by itself, would never be put right.
//! - A cut holds at once for what can wait. For what cannot, the limit before it holds for a window more, and then half of that: else those who
//!   come last would be refused until those who came first are done.
//! - After a cut nothing is measured until so many are under way again as may be: what ends meanwhile was let in before.

use super::track::Lesson;

/// How much longer than usual is in order, as a power of two: twice as long.
pub(super) const TOLERANCE: f64 = 1.0;
/// What a call that was given up counts as: eight times too slow.
pub(super) const LATE: f64 = 3.0;

/// A window has at least so many samples: fewer say too little where times vary by themselves.
pub(super) const SAMPLES_MIN: u64 = 64;
/// A dip's steps wait until whoever was let in before is gone, and for so many at least.
const STEP_MIN: u32 = 16;

/// A new limit begins at so many times the least.
const BEGIN: u32 = 4;
/// Cuts in so many windows and more, and the limit is thought to hold something back.
const CUTS: u32 = 2;
const DIP_EVERY_NANOS: u64 = 15_000_000_000;
/// A dip that finds too few calls to learn from ends all the same.
const DIP_MAX_NANOS: u64 = 8_000_000_000;
const DIP_TO: f64 = 0.25;
/// A dip's mean is of so many at least.
const DIP_SAMPLES: u64 = 16;

/// A window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) age_nanos: u64,
    /// By how much too long calls took, as a power of two.
    pub(super) excess: Option<f64>,
    pub(super) samples: u64,
    pub(super) peak: u32,
    /// At its end.
    pub(super) in_flight: u32,
}

/// A limit, and what it depends on.
#[derive(Debug)]
pub(super) struct Law {
    min: f64,
    max: f64,
    limit: f64,
    ceiling: f64,
    was_cut: bool,
    /// Since the last dip.
    cuts: u32,
    dip: Option<Dip>,
    /// When the next dip may be.
    dip_due_nanos: u64,
}

#[derive(Clone, Copy, Debug)]
struct Dip {
    limit: f64,
    until_nanos: u64,
    step: Step,
}

/// How far a dip is.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// More are under way than may be.
    Draining,
    /// What was let in before is still among what ends.
    Settling,
    Measuring,
}

impl Law {
    pub(super) fn new(min: u32, max: u32) -> Self {
        let (min, max, begin) =
            (f64::from(min), f64::from(max), f64::from(min.saturating_mul(BEGIN).min(max)));
        Self { min, max, limit: begin, ceiling: begin, was_cut: false, cuts: 0, dip: None, dip_due_nanos: 0 }
    }

    /// In force.
    pub(super) fn limit(&self) -> u32 {
        whole(self.in_force())
    }

    /// In force for what may fill all of it: never less.
    pub(super) fn ceiling(&self) -> u32 {
        whole(self.ceiling)
    }

    fn in_force(&self) -> f64 {
        self.dip.map_or(self.limit, |dip| dip.limit)
    }

    /// All places are taken, nothing is answered, and somebody was refused: a few more are let in.
    pub(super) fn stalled(&mut self, in_flight: u32) {
        self.dip = None;
        self.limit = self.limit.max(f64::from(in_flight));
        self.limit = (self.limit + self.limit.sqrt()).min(self.max);
        self.ceiling = self.ceiling.max(self.limit);
    }

    /// So many samples make a window.
    pub(super) fn samples_min(&self) -> u64 {
        match self.dip {
            Some(Dip { step: Step::Draining | Step::Settling, limit, .. }) => {
                u64::from(whole(limit).max(STEP_MIN)).min(SAMPLES_MIN)
            }
            _ => SAMPLES_MIN,
        }
    }

    /// Whether a dip has lasted too long.
    pub(super) fn is_overdue(&self, age_nanos: u64) -> bool {
        self.dip.is_some_and(|dip| age_nanos >= dip.until_nanos)
    }

    /// Takes in a window, and says what it teaches.
    pub(super) fn next(&mut self, seen: Seen) -> Lesson {
        let before = self.in_force();
        let lesson = self.decide(seen);
        let after = self.in_force();
        self.ceiling = if after < before { before } else { (self.ceiling / 2.0).max(after) };
        lesson
    }

    fn decide(&mut self, seen: Seen) -> Lesson {
        if let Some(dip) = self.dip {
            return self.dipped(dip, seen);
        }
        if f64::from(seen.in_flight) > self.limit {
            return Lesson::Nothing;
        }
        let peak = f64::from(seen.peak);
        let lesson = match seen.excess {
            _ if peak <= self.min => Lesson::Quiet,
            Some(excess) if excess <= -TOLERANCE / 2.0 => Lesson::Calm,
            _ => Lesson::Crowded,
        };
        match seen.excess {
            // With no more under way than always may be there is nothing to cut.
            Some(excess) if excess > 0.0 && peak > self.min => self.cut(excess, peak, seen.age_nanos),
            Some(excess) if excess <= 0.0 && peak * 2.0 >= self.limit => self.grow(),
            _ => {}
        }
        lesson
    }

    fn cut(&mut self, excess: f64, peak: f64, age_nanos: u64) {
        let limit = self.limit.min(peak) * (-excess).exp2().max(0.5);
        self.limit = limit.max(self.min);
        self.was_cut = true;
        self.cuts += 1;
        if self.cuts >= CUTS && age_nanos >= self.dip_due_nanos && self.limit > self.min {
            let limit = (self.limit * DIP_TO).max(self.min);
            self.dip = Some(Dip { limit, until_nanos: age_nanos + DIP_MAX_NANOS, step: Step::Draining });
            self.dip_due_nanos = age_nanos + DIP_EVERY_NANOS;
            self.cuts = 0;
        }
    }

    fn grow(&mut self) {
        let step = if self.was_cut { self.limit.sqrt() } else { self.limit };
        self.limit = (self.limit + step).min(self.max);
    }

    fn dipped(&mut self, dip: Dip, seen: Seen) -> Lesson {
        let is_low = |calls: u32| f64::from(calls) <= dip.limit;
        let step = match dip.step {
            Step::Draining if is_low(seen.in_flight) => Some(Step::Settling),
            Step::Draining => Some(Step::Draining),
            Step::Settling => Some(Step::Measuring),
            Step::Measuring => None,
        };
        let is_over = seen.age_nanos >= dip.until_nanos;
        self.dip = step.filter(|_| !is_over).map(|step| Dip { step, ..dip });
        let was_measured = step.is_none() && is_low(seen.peak) && seen.samples >= DIP_SAMPLES;
        if was_measured { Lesson::Dip } else { Lesson::Nothing }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is between min and max")]
fn whole(limit: f64) -> u32 {
    limit as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000_000;

    fn window(age_nanos: u64, excess: f64, peak: u32) -> Seen {
        Seen { age_nanos, excess: Some(excess), samples: 64, peak, in_flight: 0 }
    }

    #[test]
    fn it_doubles_until_it_was_cut_and_then_grows_by_its_root() {
        let mut law = Law::new(10, 1_000);
        assert_eq!(law.limit(), 40);
        law.next(window(0, -1.0, 40));
        assert_eq!(law.limit(), 80);
        law.next(window(1, 1.0, 80));
        assert_eq!(law.limit(), 40);
        law.next(window(2, -0.1, 40));
        assert_eq!(law.limit(), 46);
    }

    #[test]
    fn a_limit_that_nobody_comes_near_stays() {
        let mut law = Law::new(10, 1_000);
        law.next(window(0, -1.0, 19));
        assert_eq!(law.limit(), 40);
    }

    #[test]
    fn what_no_limit_could_cure_cuts_nothing() {
        let mut law = Law::new(10, 1_000);
        assert_eq!(law.next(window(0, 5.0, 10)), Lesson::Quiet);
        assert_eq!(law.limit(), 40);
    }

    #[test]
    fn it_is_cut_from_what_was_under_way_and_not_from_what_might_have_been() {
        let mut law = Law::new(10, 1_000);
        for second in 0..5 {
            law.next(window(second, -1.0, 1_000));
        }
        assert_eq!(law.limit(), 1_000);
        law.next(window(9, 0.5, 100));
        assert_eq!(law.limit(), 70);
    }

    #[test]
    fn what_ends_after_a_cut_was_let_in_before() {
        let mut law = Law::new(10, 1_000);
        law.next(window(0, 1.0, 40));
        let drained = Seen { in_flight: 30, ..window(1, 1.0, 40) };
        assert_eq!(law.next(drained), Lesson::Nothing);
        assert_eq!(law.limit(), 20);
    }

    #[test]
    fn what_cannot_wait_is_cut_later() {
        let mut law = Law::new(10, 1_000);
        law.next(window(0, -1.0, 40));
        law.next(window(1, 1.0, 80));
        assert_eq!((law.limit(), law.ceiling()), (40, 80));
        law.next(Seen { in_flight: 60, ..window(2, 1.0, 80) });
        assert_eq!((law.limit(), law.ceiling()), (40, 40));
    }

    #[test]
    fn a_dip_drains_settles_measures_and_is_over() {
        let mut law = Law::new(10, 1_000);
        for _ in 0..4 {
            law.next(window(0, -1.0, 1_000));
        }
        law.next(window(0, 0.01, 1_000));
        law.next(window(0, 0.01, 1_000));
        assert_eq!(law.limit(), 157, "a quarter");
        assert_eq!(law.next(Seen { in_flight: 600, ..window(1, 2.0, 1_000) }), Lesson::Nothing);
        assert_eq!(law.next(window(2, 2.0, 600)), Lesson::Nothing, "drained");
        assert_eq!(law.next(window(3, 2.0, 157)), Lesson::Nothing, "settled");
        assert_eq!(law.next(window(4, 2.0, 157)), Lesson::Dip);
        assert!(law.limit() > 600, "{}", law.limit());
    }

    #[test]
    fn a_dip_that_meets_nobody_ends() {
        let mut law = Law::new(10, 1_000);
        law.next(window(0, -1.0, 40));
        law.next(window(0, 0.01, 80));
        law.next(window(0, 0.01, 80));
        assert_eq!(law.limit(), 19);
        assert!(!law.is_overdue(7 * SECOND) && law.is_overdue(8 * SECOND));
        law.next(Seen { samples: 0, excess: None, ..window(8 * SECOND, 0.0, 0) });
        assert!(law.limit() > 70, "{}", law.limit());
    }

    proptest! {
        #[test]
        fn it_stays_within_its_bounds(
            min in 1_u32..50, more in 0_u32..2_000,
            windows in prop::collection::vec((0_u64..2_000_000_000, prop::option::of(-20.0_f64..20.0), 0_u64..200, 0_u32..3_000, 0_u32..3_000), 0..300),
        ) {
            let mut law = Law::new(min, min + more);
            let mut age_nanos = 0;
            for (pause, excess, samples, peak, in_flight) in windows {
                age_nanos += pause;
                let before = law.limit();
                law.next(Seen { age_nanos, excess, samples, peak, in_flight });
                prop_assert!((min..=min + more).contains(&law.limit()));
                prop_assert!((law.limit()..=min + more).contains(&law.ceiling()));
                if excess.is_some_and(|excess| excess > 0.0) && law.dip.is_none() && before > law.limit() {
                    prop_assert!(peak > min, "only what was under way is cut");
                }
            }
        }
    }
}
