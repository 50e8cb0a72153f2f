//! How often a password may be tried.
//!
//! An attempt takes one try before it is evaluated, so guesses made at once are no cheaper than one after another. Whoever has used up
//! a window's tries is locked out for a while, and each time for longer; a lock always ends by itself, and an attempt made meanwhile
//! does not prolong it.

use chrono::{DateTime, TimeDelta, Utc};

/// Tries for one account before it is locked.
pub const ACCOUNT_TRIES: u32 = 10;
/// Tries from one address, whatever the account: somebody who tries one password on many. A whole clinic may stand behind one address,
/// and whoever gets their password right has their try back.
pub const ADDRESS_TRIES: u32 = 100;

/// Tries older than this no longer count.
pub const WINDOW: TimeDelta = TimeDelta::minutes(15);
/// The first lock is so long, the next twice as long.
const LOCK_FIRST: TimeDelta = TimeDelta::minutes(1);
const LOCK_MAX: TimeDelta = TimeDelta::hours(1);
/// So long after a lock the next one is short again.
const FORGIVEN_AFTER: TimeDelta = TimeDelta::hours(24);

/// The tries under one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Tries taken in this window.
    pub tries: u32,
    /// When the window began.
    pub since: DateTime<Utc>,
    /// Locks so far.
    pub locks: u32,
    /// When the present or last lock ends.
    pub locked_until: Option<DateTime<Utc>>,
}

/// There is no try left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Locked {
    /// Until then.
    pub until: DateTime<Utc>,
}

impl Budget {
    /// Untouched.
    pub fn fresh(now: DateTime<Utc>) -> Self {
        Self { tries: 0, since: now, locks: 0, locked_until: None }
    }

    /// Takes a try of `tries_max`, and locks with the last one.
    pub fn take(self, now: DateTime<Utc>, tries_max: u32) -> Result<Self, Locked> {
        if let Some(until) = self.locked_until.filter(|until| *until > now) {
            return Err(Locked { until });
        }
        let mut next = self;
        if next.tries >= tries_max || now - next.since >= WINDOW {
            (next.tries, next.since) = (0, now);
        }
        if next.locked_until.is_some_and(|until| now - until >= FORGIVEN_AFTER) {
            (next.locks, next.locked_until) = (0, None);
        }
        next.tries += 1;
        if next.tries >= tries_max {
            next.locked_until = Some(now + lock_length(next.locks));
            next.locks = next.locks.saturating_add(1);
        }
        Ok(next)
    }

    /// Gives a try back that turned out to be nobody's guess; and with it the lock, if it was this one that locked.
    #[must_use]
    pub fn give_back(self, now: DateTime<Utc>, tries_max: u32) -> Self {
        let locked = self.tries >= tries_max && self.locked_until.is_some_and(|until| until > now);
        Self {
            tries: self.tries.saturating_sub(1),
            locks: self.locks.saturating_sub(u32::from(locked)),
            locked_until: self.locked_until.filter(|_| !locked),
            ..self
        }
    }

    /// After this the budget is as good as fresh.
    pub fn expires_at(&self) -> DateTime<Utc> {
        let window_ends = self.since + WINDOW;
        self.locked_until.map_or(window_ends, |until| window_ends.max(until + FORGIVEN_AFTER))
    }
}

fn lock_length(locks: u32) -> TimeDelta {
    let doubled = LOCK_FIRST.checked_mul(1_i32.checked_shl(locks.min(10)).unwrap_or(i32::MAX));
    doubled.unwrap_or(LOCK_MAX).min(LOCK_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn start() -> DateTime<Utc> {
        DateTime::from_timestamp(1_768_467_600, 0).unwrap()
    }

    fn exhausted(mut budget: Budget, now: DateTime<Utc>) -> Budget {
        while let Ok(next) = budget.take(now, ACCOUNT_TRIES) {
            budget = next;
        }
        budget
    }

    #[test]
    fn ten_tries_and_no_more() {
        let mut budget = Budget::fresh(start());
        for _ in 0..ACCOUNT_TRIES {
            budget = budget.take(start(), ACCOUNT_TRIES).unwrap();
        }
        assert_eq!(budget.take(start(), ACCOUNT_TRIES), Err(Locked { until: start() + LOCK_FIRST }));
    }

    #[test]
    fn a_lock_ends_by_itself_and_the_next_is_longer_up_to_an_hour() {
        let (mut budget, mut now, mut lengths) = (Budget::fresh(start()), start(), Vec::new());
        for _ in 0..9 {
            budget = exhausted(budget, now);
            let until = budget.locked_until.unwrap();
            lengths.push((until - now).num_minutes());
            now = until;
        }
        assert_eq!(lengths, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        now += FORGIVEN_AFTER;
        assert_eq!(exhausted(budget, now).locked_until, Some(now + LOCK_FIRST));
    }

    #[test]
    fn tries_far_apart_do_not_add_up() {
        let (mut budget, mut now) = (Budget::fresh(start()), start());
        for _ in 0..100 {
            budget = budget.take(now, ACCOUNT_TRIES).unwrap();
            now += TimeDelta::minutes(2);
        }
    }

    #[test]
    fn a_right_password_between_wrong_ones_does_not_buy_more_of_them() {
        let mut budget = Budget::fresh(start());
        let mut wrong = 0;
        loop {
            match budget.take(start(), ADDRESS_TRIES) {
                Ok(taken) if wrong % 3 == 2 => budget = taken.give_back(start(), ADDRESS_TRIES),
                Ok(taken) => budget = taken,
                Err(_) => break,
            }
            wrong += 1;
            assert!(wrong < 1_000);
        }
        assert_eq!(budget.tries, ADDRESS_TRIES);
    }

    proptest! {
        /// Whatever the timing, within any stretch of 15 minutes few guesses are let through.
        #[test]
        fn guesses_are_bounded(pauses in prop::collection::vec(0i64..200, 1..400)) {
            let (mut budget, mut now, mut taken) = (Budget::fresh(start()), start(), Vec::new());
            for pause in pauses {
                now += TimeDelta::seconds(pause);
                if let Ok(next) = budget.take(now, ACCOUNT_TRIES) {
                    budget = next;
                    taken.push(now);
                }
            }
            for (at, first) in taken.iter().enumerate() {
                let within = taken[at..].iter().take_while(|later| **later - *first < WINDOW).count();
                // Two windows may meet, and the first three locks are shorter than one.
                prop_assert!(within <= 5 * ACCOUNT_TRIES as usize, "{}", within);
            }
        }

        #[test]
        fn giving_back_undoes_taking(tries in 0u32..200, seconds in 0i64..3_600) {
            let now = start() + TimeDelta::seconds(seconds);
            let mut budget = Budget::fresh(start());
            for _ in 0..tries {
                budget = budget.take(now, ADDRESS_TRIES).unwrap_or(budget);
            }
            if let Ok(taken) = budget.take(now, ADDRESS_TRIES) {
                prop_assert_eq!(taken.give_back(now, ADDRESS_TRIES).tries, taken.tries - 1);
            }
        }
    }
}
