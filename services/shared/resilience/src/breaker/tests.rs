use super::*;
use crate::in_step::granted_to_two_threads;
use proptest::prelude::*;

const FAST: Duration = Duration::from_millis(1);
const REST: Duration = Duration::from_secs(5);

/// Half of the latest ten bad, from four calls on; slow is over a second; two probes after five seconds.
const CONFIG: BreakerConfig = BreakerConfig {
    failure_rate_percent: 50,
    window_calls: 10,
    min_calls: 4,
    consecutive_failures: 0,
    slow_call_ms: 1_000,
    open_ms: 5_000,
    half_open_calls: 2,
};

fn closed() -> (Breaker, Instant) {
    (Breaker::new(CONFIG), Instant::now())
}

fn open() -> (Breaker, Instant) {
    open_with(CONFIG)
}

fn open_with(config: BreakerConfig) -> (Breaker, Instant) {
    let (breaker, now) = (Breaker::new(config), Instant::now());
    for _ in 0..4 {
        breaker.try_acquire(now).unwrap().failure(now);
    }
    assert_eq!(breaker.state(), State::Open);
    (breaker, now)
}

#[test]
fn a_closed_breaker_opens_when_half_of_its_calls_fail() {
    let (breaker, now) = closed();
    for _ in 0..2 {
        breaker.try_acquire(now).unwrap().success(now, FAST);
        breaker.try_acquire(now).unwrap().failure(now);
    }
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn no_decision_is_taken_before_enough_calls() {
    let (breaker, now) = closed();
    for _ in 0..3 {
        breaker.try_acquire(now).unwrap().failure(now);
    }
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn old_failures_leave_the_window() {
    let (breaker, now) = closed();
    for round in 0..20 {
        for _ in 0..6 {
            breaker.try_acquire(now).unwrap().success(now, FAST);
        }
        for _ in 0..4 {
            breaker.try_acquire(now).unwrap().failure(now);
        }
        assert_eq!(breaker.state(), State::Closed, "round {round}: forty percent is not fifty");
    }
}

#[test]
fn so_many_bad_calls_in_a_row_open_it_before_there_are_enough_for_a_share() {
    let now = Instant::now();
    let breaker = Breaker::new(BreakerConfig { min_calls: 10, consecutive_failures: 3, ..CONFIG });
    for _ in 0..2 {
        breaker.try_acquire(now).unwrap().failure(now);
        breaker.try_acquire(now).unwrap().success(now, Duration::from_millis(1_001));
        assert_eq!(breaker.state(), State::Closed, "two are not three");
        breaker.try_acquire(now).unwrap().success(now, FAST);
    }
    for _ in 0..3 {
        assert_eq!(breaker.state(), State::Closed);
        breaker.try_acquire(now).unwrap().failure(now);
    }
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn those_in_a_row_before_the_rest_are_forgotten() {
    let now = Instant::now();
    let breaker = Breaker::new(BreakerConfig { min_calls: 10, consecutive_failures: 3, ..CONFIG });
    for _ in 0..3 {
        breaker.try_acquire(now).unwrap().failure(now);
    }
    for _ in 0..2 {
        breaker.try_acquire(now + REST).unwrap().success(now + REST, FAST);
    }
    for _ in 0..2 {
        breaker.try_acquire(now + REST).unwrap().failure(now + REST);
    }
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn slow_answers_open_it_like_failures() {
    let (breaker, now) = closed();
    for _ in 0..4 {
        breaker.try_acquire(now).unwrap().success(now, Duration::from_millis(1_001));
    }
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn an_answer_exactly_at_the_limit_is_not_slow() {
    let (breaker, now) = closed();
    for _ in 0..4 {
        breaker.try_acquire(now).unwrap().success(now, Duration::from_secs(1));
    }
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn cancelled_calls_count_neither_way() {
    let (breaker, now) = closed();
    for _ in 0..100 {
        drop(breaker.try_acquire(now).unwrap());
    }
    for _ in 0..3 {
        breaker.try_acquire(now).unwrap().failure(now);
    }
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn an_open_breaker_says_how_much_of_its_rest_is_left() {
    let (breaker, now) = open();
    let refused = breaker.try_acquire(now + Duration::from_secs(2)).unwrap_err();
    assert_eq!(refused.retry_after, Duration::from_secs(3));
    assert_eq!(refused.to_string(), "the circuit breaker is open; try again in 3000 ms");
}

#[test]
fn an_open_breaker_lets_a_probe_through_after_its_rest() {
    let (breaker, now) = open();
    assert!(breaker.try_acquire(now + Duration::from_millis(4_999)).is_err());
    let probe = breaker.try_acquire(now + REST);
    assert!(probe.is_ok());
    assert_eq!(breaker.state(), State::HalfOpen);
}

#[test]
fn while_the_probes_are_out_nobody_else_passes() {
    let (breaker, now) = open();
    let _probes = [breaker.try_acquire(now + REST).unwrap(), breaker.try_acquire(now + REST).unwrap()];
    let refused = breaker.try_acquire(now + REST).unwrap_err();
    assert_eq!(refused.retry_after, Duration::from_secs(1), "by then a probe is slow, and so failed");
}

#[test]
fn it_closes_when_all_probes_succeed_and_starts_afresh() {
    let (breaker, now) = open();
    for _ in 0..2 {
        assert_ne!(breaker.state(), State::Closed);
        breaker.try_acquire(now + REST).unwrap().success(now + REST, FAST);
    }
    assert_eq!(breaker.state(), State::Closed);
    for _ in 0..3 {
        breaker.try_acquire(now + REST).unwrap().failure(now + REST);
    }
    assert_eq!(breaker.state(), State::Closed, "the failures before the rest are forgotten");
}

#[test]
fn one_failed_probe_opens_it_for_another_whole_rest() {
    let (breaker, now) = open();
    let later = now + REST + FAST;
    breaker.try_acquire(now + REST).unwrap().failure(later);
    assert_eq!(breaker.state(), State::Open);
    assert_eq!(breaker.try_acquire(later).unwrap_err().retry_after, REST);
}

#[test]
fn a_cancelled_probe_gives_its_slot_back() {
    let (breaker, now) = open();
    for _ in 0..10 {
        drop(breaker.try_acquire(now + REST).unwrap());
    }
    let _probes = [breaker.try_acquire(now + REST).unwrap(), breaker.try_acquire(now + REST).unwrap()];
    assert!(breaker.try_acquire(now + REST).is_err());
}

#[test]
fn a_call_from_before_the_rest_cannot_pass_for_a_probe() {
    let (breaker, now) = closed();
    let early: Vec<_> = (0..5).map(|_| breaker.try_acquire(now).unwrap()).collect();
    for _ in 0..4 {
        breaker.try_acquire(now).unwrap().failure(now);
    }
    let probe = breaker.try_acquire(now + REST).unwrap();
    for permit in early {
        permit.success(now + REST, FAST);
    }
    assert_eq!(breaker.state(), State::HalfOpen);
    probe.success(now + REST, FAST);
    assert_eq!(breaker.state(), State::HalfOpen, "one of two probes is back");
}

#[test]
fn a_probe_from_an_earlier_try_does_not_disturb_a_later_one() {
    let (breaker, now) = open();
    let stray = breaker.try_acquire(now + REST).unwrap();
    breaker.try_acquire(now + REST).unwrap().failure(now + REST);
    let _probe = breaker.try_acquire(now + 2 * REST).unwrap();
    stray.failure(now + 2 * REST);
    assert_eq!(breaker.state(), State::HalfOpen);
}

#[test]
fn a_call_made_anyway_passes_an_open_breaker_uncounted() {
    let (breaker, now) = open();
    breaker.acquire_anyway(now).success(now, FAST);
    breaker.acquire_anyway(now).failure(now);
    assert_eq!(breaker.state(), State::Open);
    assert_eq!(breaker.try_acquire(now).unwrap_err().retry_after, REST);
}

#[test]
fn a_call_made_anyway_is_a_probe_once_the_rest_is_over() {
    let (breaker, now) = open();
    for _ in 0..2 {
        breaker.acquire_anyway(now + REST).success(now + REST, FAST);
    }
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn asking_whether_it_admits_takes_nothing() {
    let (breaker, now) = open();
    assert!(!breaker.admits(now));
    assert!(breaker.admits(now + REST));
    assert_eq!(breaker.state(), State::Open);
    let _probes = [breaker.try_acquire(now + REST).unwrap(), breaker.try_acquire(now + REST).unwrap()];
    assert!(!breaker.admits(now + REST));
}

#[test]
fn threads_asking_at_once_share_out_exactly_the_probes_there_are() {
    let breakers: Vec<_> =
        (0..3_000).map(|_| open_with(BreakerConfig { half_open_calls: 1, ..CONFIG })).collect();
    let probes = Mutex::new(Vec::new());
    let granted = granted_to_two_threads(breakers.len(), |round| {
        let (breaker, now) = &breakers[round];
        let probe = breaker.try_acquire(*now + REST);
        let is_granted = probe.is_ok();
        probes.lock().unwrap().extend(probe);
        is_granted
    });
    assert_eq!(granted, breakers.len());
}

#[test]
fn threads_reporting_at_once_lose_no_report() {
    let (breaker, now) =
        (Breaker::new(BreakerConfig { window_calls: 10_000, min_calls: 10_000, ..CONFIG }), Instant::now());
    granted_to_two_threads(4_999, |_| {
        breaker.try_acquire(now).unwrap().failure(now);
        true
    });
    breaker.try_acquire(now).unwrap().failure(now);
    assert_eq!(breaker.state(), State::Closed, "9,999 of 10,000");
    breaker.try_acquire(now).unwrap().failure(now);
    assert_eq!(breaker.state(), State::Open);
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Acquire,
    Succeed(usize),
    Fail(usize),
    Cancel(usize),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Acquire),
        2 => any::<usize>().prop_map(Step::Succeed),
        2 => any::<usize>().prop_map(Step::Fail),
        1 => any::<usize>().prop_map(Step::Cancel),
        1 => (0_u64..6_000).prop_map(Step::Wait),
    ]
}

proptest! {
    /// Probes of this half-open spell that are out or have passed, counted by the test itself, never exceed the limit.
    #[test]
    fn never_more_probes_than_allowed(half_open_calls in 1_u32..5, steps in prop::collection::vec(step(), 0..300)) {
        let breaker = Breaker::new(BreakerConfig { half_open_calls, ..CONFIG });
        let mut now = Instant::now();
        let mut spell = 0;
        let mut held: Vec<(usize, Permit)> = Vec::new();
        let mut passed = 0;
        for step in steps {
            let before = breaker.state();
            match step {
                Step::Acquire => {
                    let admits = breaker.admits(now);
                    let permit = breaker.try_acquire(now);
                    prop_assert_eq!(permit.is_ok(), admits);
                    if breaker.state() != before {
                        (spell, passed) = (spell + 1, 0);
                    }
                    held.extend(permit.map(|permit| (spell, permit)));
                }
                Step::Wait(ms) => now += Duration::from_millis(ms),
                Step::Succeed(at) | Step::Fail(at) | Step::Cancel(at) if !held.is_empty() => {
                    let (given_in, permit) = held.swap_remove(at % held.len());
                    match step {
                        Step::Succeed(_) => {
                            permit.success(now, FAST);
                            passed += u32::from(given_in == spell);
                        }
                        Step::Fail(_) => permit.failure(now),
                        _ => drop(permit),
                    }
                    if breaker.state() != before {
                        (spell, passed) = (spell + 1, 0);
                    }
                }
                _ => {}
            }
            if breaker.state() == State::HalfOpen {
                let out = held.iter().filter(|(given_in, _)| *given_in == spell).count();
                prop_assert!(out + passed as usize <= half_open_calls as usize);
            }
        }
        // And it is never stuck: with all permits back and the rest over, somebody passes.
        held.clear();
        prop_assert!(breaker.try_acquire(now + REST).is_ok());
    }
}
