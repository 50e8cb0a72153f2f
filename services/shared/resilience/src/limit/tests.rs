use super::*;
use crate::in_step::granted_to_two_threads;
use proptest::prelude::*;

const SECOND: u64 = SECOND_NANOS;
const MILLI: u64 = 1_000_000;

fn take_all(gcra: &Gcra, limit: Limit, now: u64) -> u32 {
    (0..u32::MAX).take_while(|_| gcra.check(limit, now).allowed).map(|_| 1).sum()
}

#[test]
fn a_full_bucket_lets_its_burst_through_and_no_more() {
    assert_eq!(take_all(&Gcra::new(), Limit::per_second(10, 5), 0), 5);
}

#[test]
fn an_empty_bucket_says_when_to_come_back() {
    let (gcra, limit) = (Gcra::new(), Limit::per_second(10, 5));
    take_all(&gcra, limit, 0);
    let refused = gcra.check(limit, 0);
    assert_eq!(
        refused,
        Decision {
            allowed: false,
            remaining: 0,
            retry_after: Duration::from_millis(100),
            reset_after: Duration::from_millis(500)
        }
    );
    assert!(!gcra.check(limit, 100 * MILLI - 1).allowed);
    assert!(gcra.check(limit, 100 * MILLI).allowed);
}

#[test]
fn an_allowed_request_says_what_remains() {
    let (gcra, limit) = (Gcra::new(), Limit::per_second(10, 5));
    let first = gcra.check(limit, SECOND);
    assert_eq!((first.remaining, first.retry_after), (4, Duration::ZERO));
    assert_eq!(first.reset_after, Duration::from_millis(100));
}

#[test]
fn a_refused_request_costs_nothing() {
    let (gcra, limit) = (Gcra::new(), Limit::per_second(1, 1));
    assert!(gcra.check(limit, 0).allowed);
    for millis in 0..1_000 {
        assert!(!gcra.check(limit, millis * MILLI).allowed);
    }
    assert!(gcra.check(limit, SECOND).allowed);
}

#[test]
fn a_rate_that_does_not_divide_a_second_is_rounded_down() {
    let (gcra, limit) = (Gcra::new(), Limit::per_second(3, 1));
    assert!(gcra.check(limit, 0).allowed);
    assert!(!gcra.check(limit, 333_333_333).allowed);
    assert!(gcra.check(limit, 333_333_334).allowed);
}

#[test]
fn a_limit_of_nothing_is_read_as_one() {
    assert_eq!(Limit::per_second(0, 0), Limit::per_second(1, 1));
}

#[test]
fn a_burst_raised_while_running_holds_from_the_next_request() {
    let gcra = Gcra::new();
    assert_eq!(take_all(&gcra, Limit::per_second(1, 5), 0), 5);
    assert_eq!(take_all(&gcra, Limit::per_second(1, 8), 0), 3);
}

#[test]
fn a_limit_lowered_while_running_holds_from_the_next_request() {
    let gcra = Gcra::new();
    gcra.check(Limit::per_second(1, 10), 0);
    assert_eq!(take_all(&gcra, Limit::per_second(1, 3), 0), 2);
}

#[test]
fn who_was_in_debt_under_a_slow_limit_is_soon_served_under_a_fast_one() {
    let gcra = Gcra::new();
    take_all(&gcra, Limit::every(Duration::from_mins(1), 100), 0);
    let fast = Limit::per_second(10, 5);
    let refused = gcra.check(fast, 0);
    assert_eq!((refused.allowed, refused.retry_after), (false, Duration::from_millis(100)));
    assert!(gcra.check(fast, 100 * MILLI).allowed);
}

#[test]
fn fair_shares_come_to_the_limit_and_never_to_nothing() {
    let limit = Limit::per_second(10, 40);
    assert_eq!(limit.share(4), Limit::every(Duration::from_millis(400), 10));
    assert_eq!((limit.share(1), limit.share(0)), (limit, limit));
    assert_eq!(Limit::per_second(1, 2).share(3), Limit::every(Duration::from_secs(3), 1));
    assert_eq!(Limit::per_second(1, 1).share(u32::MAX).burst(), 1);
}

#[test]
fn what_is_given_back_can_be_taken_again() {
    let (gcra, limit) = (Gcra::new(), Limit::per_second(1, 2));
    assert_eq!(take_all(&gcra, limit, SECOND), 2);
    gcra.give_back(limit);
    assert_eq!(take_all(&gcra, limit, SECOND), 1);
    Gcra::new().give_back(limit);
}

#[test]
fn what_is_learnt_only_makes_it_stricter() {
    let (gcra, limit) = (Gcra::new(), Limit::per_second(1, 3));
    gcra.learn(2 * SECOND);
    assert_eq!(take_all(&gcra, limit, 0), 1);
    gcra.learn(0);
    assert!(!gcra.check(limit, 0).allowed);
}

#[test]
fn the_largest_numbers_do_not_overflow() {
    let limit = Limit::every(Duration::MAX, u32::MAX);
    for now in [0, u64::MAX / 2, u64::MAX - 1, u64::MAX] {
        let gcra = Gcra::new();
        gcra.check(limit, now);
        gcra.check(Limit::per_second(u32::MAX, u32::MAX), now);
    }
}

#[test]
fn two_threads_cannot_both_take_the_last_token() {
    let gcras: Vec<Gcra> = (0..5_000).map(|_| Gcra::new()).collect();
    let limit = Limit::per_second(1, 1);
    assert_eq!(
        granted_to_two_threads(gcras.len(), |round| gcras[round].check(limit, 7).allowed),
        gcras.len()
    );
}

#[test]
fn threads_together_take_exactly_the_burst() {
    let (gcra, limit) = (Gcra::new(), Limit::per_second(1, 7_500));
    assert_eq!(granted_to_two_threads(5_000, |_| gcra.check(limit, 7).allowed), 7_500);
}

proptest! {
    #[test]
    fn no_window_ever_lets_more_through_than_burst_and_rate_allow(
        rate in 1_u32..2_000,
        burst in 1_u32..20,
        pauses in prop::collection::vec(0..20 * MILLI, 1..150),
    ) {
        let (gcra, limit) = (Gcra::new(), Limit::per_second(rate, burst));
        let mut now = 0;
        let mut allowed_at: Vec<u64> = Vec::new();
        for pause in pauses {
            now += pause;
            if gcra.check(limit, now).allowed {
                allowed_at.push(now);
            }
        }
        for (first, from) in allowed_at.iter().enumerate() {
            for (last, to) in allowed_at.iter().enumerate().skip(first) {
                let earned = u128::from(rate) * u128::from(to - from) / u128::from(SECOND);
                prop_assert!((last - first + 1) as u128 <= u128::from(burst) + earned);
            }
        }
    }

    #[test]
    fn who_keeps_to_the_rate_is_never_refused(rate in 1_u32..100_000, burst in 1_u32..20, late in prop::collection::vec(0..MILLI, 1..100)) {
        let (gcra, limit) = (Gcra::new(), Limit::per_second(rate, burst));
        let mut now = 0;
        for late in late {
            prop_assert!(gcra.check(limit, now).allowed);
            now += SECOND.div_ceil(u64::from(rate)) + late;
        }
    }

    #[test]
    fn clocks_that_disagree_win_no_tokens(
        rate in 1_u32..1_000_000,
        burst in 1_u32..20,
        // All within a few microseconds of each other, in any order.
        nows in prop::collection::vec(SECOND..SECOND + 10_000, 1..300),
    ) {
        let (gcra, limit) = (Gcra::new(), Limit::per_second(rate, burst));
        let allowed = nows.iter().filter(|now| gcra.check(limit, **now).allowed).count() as u64;
        let span = nows.iter().max().unwrap() - nows.iter().min().unwrap();
        prop_assert!(allowed <= u64::from(burst) + span / limit.interval_nanos);
    }

    #[test]
    fn whoever_comes_back_when_told_is_served(rate in 1_u32..100_000, burst in 1_u32..50, now in 0..u64::MAX / 4) {
        let (gcra, limit) = (Gcra::new(), Limit::per_second(rate, burst));
        take_all(&gcra, limit, now);
        let wait = nanos(gcra.check(limit, now).retry_after);
        prop_assert!(!gcra.check(limit, now + wait - 1).allowed);
        prop_assert!(gcra.check(limit, now + wait).allowed);
    }

    #[test]
    fn replicas_that_stand_before_one_limiter_refuse_nothing_that_it_allows(
        rate in 1_u32..2_000,
        burst in 1_u32..20,
        requests in prop::collection::vec((0_usize..3, 0..5 * MILLI), 1..300),
    ) {
        let limit = Limit::per_second(rate, burst);
        let (replicas, whole, alone): ([Gcra; 3], _, _) = (Default::default(), Gcra::new(), Gcra::new());
        let mut now = SECOND;
        for (replica, pause) in requests {
            now += pause;
            let replica = &replicas[replica];
            let mut allowed = replica.check(limit, now).allowed;
            if allowed {
                let told = whole.check(limit, now);
                if !told.allowed {
                    replica.give_back(limit);
                }
                replica.learn(now + nanos(told.reset_after));
                allowed = told.allowed;
            }
            prop_assert_eq!(allowed, alone.check(limit, now).allowed);
        }
    }

    #[test]
    fn fair_shares_together_never_exceed_the_limit(
        rate in 1_u32..1_000,
        burst in 1_u32..60,
        replicas in 1_u32..8,
        pauses in prop::collection::vec(0..20 * MILLI, 1..100),
    ) {
        prop_assume!(replicas <= burst);
        let (limit, mut now, mut allowed) = (Limit::per_second(rate, burst), SECOND, 0_u64);
        let gcras: Vec<Gcra> = (0..replicas).map(|_| Gcra::new()).collect();
        for pause in pauses {
            now += pause;
            allowed += gcras.iter().filter(|gcra| gcra.check(limit.share(replicas), now).allowed).count() as u64;
        }
        prop_assert!(allowed <= u64::from(burst) + u64::from(rate) * (now - SECOND) / SECOND);
    }

    #[test]
    fn what_is_said_to_remain_does_remain(taken in 1_u32..30, burst in 1_u32..30) {
        let (gcra, limit) = (Gcra::new(), Limit::per_second(3, burst));
        let decisions: Vec<_> = (0..taken).map(|_| gcra.check(limit, SECOND)).collect();
        let remaining = decisions.last().unwrap().remaining;
        prop_assert_eq!(remaining, burst.saturating_sub(taken));
        prop_assert_eq!(take_all(&gcra, limit, SECOND), remaining);
    }
}
