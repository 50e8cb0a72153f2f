//! [`RetryBudget`]: repetitions are a small share of requests, whatever each single caller would like.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::lock;

/// The seconds that count: the current one, begun, and the nine before.
const WINDOW_CELLS: usize = 10;
const WINDOW_SECONDS: u64 = WINDOW_CELLS as u64;

/// Allows repetitions up to a share of the requests of the last ten seconds, plus a floor a second, so that a quiet service is
/// repeated too.
///
/// The floor does not pile up: of an idle service no more than one second's floor is repeated at once. A request
/// costs one atomic addition; only withdrawing, which is rare, takes a lock, so that two threads cannot spend the same rest.
#[derive(Debug)]
pub struct RetryBudget {
    born: Instant,
    budget_percent: u64,
    floor_per_second: u64,
    requests: Counts,
    retries: Mutex<Counts>,
}

impl RetryBudget {
    /// The floor that the stack's settings promise, repetitions a second.
    pub const FLOOR_PER_SECOND: u32 = 10;

    /// A budget of `budget_percent` of requests plus `floor_per_second`.
    pub fn new(budget_percent: u32, floor_per_second: u32, now: Instant) -> Self {
        Self {
            born: now,
            budget_percent: budget_percent.into(),
            floor_per_second: floor_per_second.into(),
            requests: Counts::default(),
            retries: Mutex::default(),
        }
    }

    /// Counts a request: once a call, not once an attempt.
    pub fn deposit(&self, now: Instant) {
        self.requests.add(self.second(now));
    }

    /// Takes leave for one repetition, if there is any left.
    pub fn try_withdraw(&self, now: Instant) -> bool {
        let second = self.second(now);
        let retries = lock(&self.retries);
        let made = retries.total(second);
        let share = self.requests.total(second) * self.budget_percent / 100;
        let is_within_share = made < share;
        let is_within_floor = retries.during(second) < self.floor_per_second
            && made < share + self.floor_per_second * WINDOW_SECONDS;
        let granted = is_within_share || is_within_floor;
        if granted {
            retries.add(second);
        }
        granted
    }

    fn second(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.born).as_secs()
    }
}

/// Counts by second, in a ring. Each cell is one atomic: the second (upper half) and the count in it (lower half).
#[derive(Debug, Default)]
struct Counts([AtomicU64; WINDOW_CELLS]);

impl Counts {
    fn add(&self, second: u64) {
        let cell = self.cell(second);
        let mut seen = cell.load(Ordering::Relaxed);
        loop {
            // A thread that was late by a whole round counts towards what stands there by now.
            let next = if seen >> 32 >= second { seen + 1 } else { second << 32 | 1 };
            match cell.compare_exchange_weak(seen, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(current) => seen = current,
            }
        }
    }

    /// The count in this second.
    fn during(&self, second: u64) -> u64 {
        let seen = self.cell(second).load(Ordering::Relaxed);
        if seen >> 32 == second { seen & u64::from(u32::MAX) } else { 0 }
    }

    /// The count in the window that ends with this second.
    fn total(&self, second: u64) -> u64 {
        (second.saturating_sub(WINDOW_SECONDS - 1)..=second).map(|second| self.during(second)).sum()
    }

    fn cell(&self, second: u64) -> &AtomicU64 {
        // Below ten.
        &self.0[usize::try_from(second % WINDOW_SECONDS).unwrap_or(0)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::in_step::granted_to_two_threads;
    use proptest::prelude::*;
    use std::time::Duration;

    fn after(now: Instant, seconds: u64) -> Instant {
        now + Duration::from_secs(seconds)
    }

    fn withdraw_all(budget: &RetryBudget, now: Instant) -> usize {
        (0..100_000).take_while(|_| budget.try_withdraw(now)).count()
    }

    #[test]
    fn a_fifth_of_the_requests_may_be_repeated() {
        let now = Instant::now();
        let budget = RetryBudget::new(20, 0, now);
        (0..100).for_each(|_| budget.deposit(now));
        assert_eq!(withdraw_all(&budget, now), 20);
    }

    #[test]
    fn requests_older_than_ten_seconds_count_no_more() {
        let now = Instant::now();
        let budget = RetryBudget::new(20, 0, now);
        (0..100).for_each(|_| budget.deposit(now));
        assert_eq!(withdraw_all(&budget, after(now, 10)), 0);
        (0..50).for_each(|_| budget.deposit(after(now, 10)));
        assert_eq!(withdraw_all(&budget, after(now, 19)), 10);
    }

    #[test]
    fn a_quiet_service_has_its_floor_each_second() {
        let now = Instant::now();
        let budget = RetryBudget::new(20, 10, now);
        for second in 0..30 {
            assert_eq!(withdraw_all(&budget, after(now, second)), 10);
        }
    }

    #[test]
    fn the_floor_of_quiet_seconds_does_not_pile_up() {
        let now = Instant::now();
        let budget = RetryBudget::new(20, 10, now);
        assert_eq!(withdraw_all(&budget, after(now, 100)), 10);
    }

    #[test]
    fn without_share_and_floor_nothing_is_repeated() {
        let now = Instant::now();
        let budget = RetryBudget::new(0, 0, now);
        budget.deposit(now);
        assert!(!budget.try_withdraw(now));
    }

    #[test]
    fn threads_together_spend_exactly_what_they_earned() {
        let now = Instant::now();
        let budget = RetryBudget::new(50, 0, now);
        granted_to_two_threads(20_000, |_| {
            budget.deposit(now);
            true
        });
        assert_eq!(granted_to_two_threads(20_000, |_| budget.try_withdraw(now)), 20_000);
    }

    #[test]
    fn two_threads_cannot_both_take_the_last_repetition() {
        let now = Instant::now();
        let budgets: Vec<_> = (0..5_000).map(|_| RetryBudget::new(0, 1, now)).collect();
        assert_eq!(
            granted_to_two_threads(budgets.len(), |round| budgets[round].try_withdraw(now)),
            budgets.len()
        );
    }

    proptest! {
        /// Against a plain list of what happened: at each grant, the ten seconds' repetitions are within share and floor.
        #[test]
        fn the_bound_holds_at_every_grant(
            percent in 0_u32..=100,
            floor in 0_u32..5,
            steps in prop::collection::vec((0_u64..1_500, 0_usize..20, 0_usize..20), 1..60),
        ) {
            let start = Instant::now();
            let budget = RetryBudget::new(percent, floor, start);
            let (mut requests, mut retries) = (Vec::new(), Vec::new());
            let mut now_ms = 0;
            for (pause_ms, deposits, wishes) in steps {
                now_ms += pause_ms;
                let (now, second) = (start + Duration::from_millis(now_ms), now_ms / 1_000);
                let recent = |seconds: &[u64]| seconds.iter().filter(|at| **at + 10 > second).count() as u64;
                for _ in 0..deposits {
                    budget.deposit(now);
                    requests.push(second);
                }
                for _ in 0..wishes {
                    let share = recent(&requests) * u64::from(percent) / 100;
                    let granted = budget.try_withdraw(now);
                    prop_assert!(granted || recent(&retries) >= share, "within the share, none is refused");
                    if granted {
                        retries.push(second);
                        prop_assert!(recent(&retries) <= share + u64::from(floor) * 10);
                    }
                }
            }
        }
    }
}
