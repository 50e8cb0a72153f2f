//! [`Kept`]: what is kept of a stack between its reconciles, and when the next one is due.

use std::time::Duration;

use contracts::ambient::Random;
use tokio::time::Instant;

use crate::reconcile::Memory;
use crate::stacks::Guarded;

/// What happens to a stack within so short a time is looked at together.
const BREATH: Duration = Duration::from_millis(50);
/// The first pause after a failure; it doubles.
const BACKOFF: Duration = Duration::from_secs(1);
pub(super) const BACKOFF_MAX: Duration = Duration::from_mins(5);

/// What is kept of a stack.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) uid: Option<String>,
    pub(super) generation: Option<i64>,
    pub(super) memory: Memory,
    pub(super) failures: u32,
    pub(super) not_before: Option<Instant>,
    pub(super) began: Option<Instant>,
}

impl Kept {
    /// How long it is too early for another look. An edit of the spec waits for no back-off.
    pub(super) fn pause(&self, is_edited: bool) -> Option<Duration> {
        if is_edited {
            return None;
        }
        let now = Instant::now();
        let backoff = self.not_before.and_then(|at| at.checked_duration_since(now));
        let breath = self.began.and_then(|at| (at + BREATH).checked_duration_since(now));
        backoff.max(breath).filter(|pause| !pause.is_zero())
    }
}

/// Doubles with each failure, and differs from stack to stack.
pub(super) fn pause_after(failures: u32, random: &Random) -> Duration {
    let pause = BACKOFF.saturating_mul(2_u32.saturating_pow(failures.min(16))).min(BACKOFF_MAX);
    let share = u32::try_from(random.below(400)).unwrap_or(0);
    pause * (800 + share) / 1_000
}

pub(super) trait Generation {
    fn meta_generation(&self) -> Option<i64>;
}

impl Generation for Guarded {
    /// A stack that is being deleted counts as edited once more.
    fn meta_generation(&self) -> Option<i64> {
        let metadata = kube::Resource::meta(self);
        metadata
            .generation
            .map(|generation| generation * 2 + i64::from(metadata.deletion_timestamp.is_some()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stack_that_fails_for_ever_is_tried_less_and_less_often() {
        let random = Random::system();
        let (mut kept, began) = (Kept::default(), Instant::now());
        let (mut attempts, mut looks) = (0_u32, 0_u32);
        while began.elapsed() < Duration::from_hours(1) {
            // However often something happens to it meanwhile.
            looks += 1;
            if kept.pause(false).is_none() {
                attempts += 1;
                kept.began = Some(Instant::now());
                kept.not_before = Some(Instant::now() + pause_after(kept.failures, &random));
                kept.failures += 1;
            }
            tokio::time::advance(Duration::from_millis(500)).await;
        }
        assert!((15..=25).contains(&attempts), "{attempts} attempts in an hour, {looks} looks");
        assert!(kept.pause(true).is_none(), "an edit waits for no back-off");
    }

    #[test]
    fn a_pause_has_bounds_whatever_the_count() {
        let random = Random::system();
        for failures in [0, 1, 9, 10, 40, u32::MAX] {
            let pause = pause_after(failures, &random);
            assert!(pause >= BACKOFF * 8 / 10 && pause <= BACKOFF_MAX * 12 / 10, "{failures}: {pause:?}");
        }
    }
}
