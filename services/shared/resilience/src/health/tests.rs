use super::*;

const CONFIG: EjectionConfig = EjectionConfig { failures: 5, unreached: 2, base_ms: 1_000, max_ms: 5_000 };
const SLOW_START: Duration = Duration::from_secs(10);
const SECOND: Duration = Duration::from_secs(1);

/// One that has settled, and the time.
fn settled() -> (Health, Instant) {
    let born = Instant::now();
    let health = Health::new(born);
    let now = born + SLOW_START;
    assert_eq!(health.share(now, SLOW_START), Share::FULL);
    assert_eq!(health.standing(now, SLOW_START), Standing::Well);
    (health, now)
}

fn fail(health: &Health, now: Instant, failure: Failure, times: u32) -> Option<Duration> {
    (0..times).fold(None, |ejected, _| ejected.or(health.failed(now, failure, &CONFIG)))
}

#[test]
fn whoever_joins_begins_with_a_tenth_and_has_the_whole_in_the_end() {
    let born = Instant::now();
    let health = Health::new(born);
    let shares = [0, 1, 5, 9].map(|seconds| health.share(born + seconds * SECOND, SLOW_START));
    assert_eq!(shares, [1, 1, 5, 9].map(|part| Share::part(part, 10)));
    assert_eq!(health.standing(born + SECOND, SLOW_START), Standing::Joining);
    assert_eq!(health.share(born + SLOW_START, SLOW_START), Share::FULL);
    assert_eq!(Health::new(born).share(born, Duration::ZERO), Share::FULL, "without a slow start");
}

#[test]
fn failures_in_a_row_eject_and_a_good_answer_between_them_forgives() {
    let (health, now) = settled();
    assert_eq!(fail(&health, now, Failure::BadAnswer, 4), None);
    health.answered();
    assert_eq!(fail(&health, now, Failure::BadAnswer, 4), None);
    assert_eq!(health.share(now, SLOW_START), Share::FULL);
    assert_eq!(health.failed(now, Failure::Silent, &CONFIG), Some(SECOND));
    assert_eq!(
        (health.share(now, SLOW_START), health.standing(now, SLOW_START)),
        (Share::NONE, Standing::Ejected)
    );
}

#[test]
fn answers_that_break_off_eject_though_each_begins_well_and_one_that_ends_forgives() {
    let (health, mut now) = settled();
    let break_off = |now: Instant, times: u32| {
        (0..times).fold(None, |ejected, _| {
            health.answered();
            ejected.or(health.failed(now, Failure::BrokeOff, &CONFIG))
        })
    };
    assert_eq!(break_off(now, 4), None);
    health.completed();
    assert_eq!(break_off(now, 4), None);
    assert_eq!(break_off(now, 1), Some(SECOND));
    assert!(!health.found_well(now), "whoever asks how it is gets an answer that is whole");
    now += SECOND;
    assert_ne!(health.share(now, SLOW_START), Share::NONE);
    assert_eq!(break_off(now, 1), Some(2 * SECOND), "one is enough until an answer has reached its end");
    now += 2 * SECOND;
    assert_ne!(health.share(now, SLOW_START), Share::NONE);
    health.completed();
    assert_eq!(break_off(now, 4), None);
}

#[test]
fn where_nobody_answers_the_door_fewer_are_enough() {
    let (health, now) = settled();
    assert_eq!(fail(&health, now, Failure::Unreached, 1), None);
    assert_eq!(fail(&health, now, Failure::Unreached, 1), Some(SECOND));
}

#[test]
fn what_fails_together_is_one_reason() {
    let (health, now) = settled();
    assert_eq!(fail(&health, now, Failure::Silent, 5), Some(SECOND));
    assert_eq!(fail(&health, now, Failure::Silent, 50), None);
    assert_eq!(health.share(now + SECOND, SLOW_START), Share::part(1, 10), "after its time it joins");
}

#[test]
fn whoever_comes_back_no_better_is_away_for_longer_up_to_the_longest_time() {
    let (health, mut now) = settled();
    fail(&health, now, Failure::Silent, 5);
    for (away, next) in [(1, 2), (2, 4), (4, 5), (5, 5)] {
        now += away * SECOND;
        assert_ne!(health.share(now, SLOW_START), Share::NONE);
        assert_eq!(fail(&health, now, Failure::Silent, 1), Some(next * SECOND), "one failure is enough");
    }
}

#[test]
fn time_spent_well_is_forgotten_for() {
    let (health, mut now) = settled();
    fail(&health, now, Failure::Silent, 5);
    now += SECOND;
    assert_eq!(fail(&health, now, Failure::Silent, 1), Some(2 * SECOND));
    now += 10 * SECOND;
    assert_ne!(health.share(now, SLOW_START), Share::NONE);
    health.answered();
    assert_eq!(fail(&health, now, Failure::Silent, 5), Some(SECOND));
}

#[test]
fn one_answer_after_an_ejection_makes_it_as_good_as_any_other() {
    let (health, mut now) = settled();
    fail(&health, now, Failure::BadAnswer, 5);
    now += SECOND;
    assert_ne!(health.share(now, SLOW_START), Share::NONE);
    health.answered();
    assert_eq!(fail(&health, now, Failure::BadAnswer, 4), None);
}

#[test]
fn one_that_says_it_is_not_well_is_down_until_it_says_that_it_is() {
    let (health, now) = settled();
    assert!(health.found_unwell() && !health.found_unwell(), "news once");
    assert_eq!(
        (health.share(now, SLOW_START), health.standing(now, SLOW_START)),
        (Share::NONE, Standing::Down)
    );
    assert!(health.found_well(now) && !health.found_well(now));
    assert_eq!(health.share(now, SLOW_START), Share::part(1, 10));
}

#[test]
fn saying_that_it_is_well_ends_an_ejection_for_silence_and_not_one_for_bad_answers() {
    let (health, now) = settled();
    fail(&health, now, Failure::Silent, 5);
    assert!(health.found_well(now));
    assert_ne!(health.share(now, SLOW_START), Share::NONE);

    let (health, now) = settled();
    fail(&health, now, Failure::BadAnswer, 5);
    assert!(!health.found_well(now));
    assert_eq!(health.share(now, SLOW_START), Share::NONE);
    assert_ne!(health.share(now + SECOND, SLOW_START), Share::NONE);
}

#[test]
fn one_that_nobody_asks_any_more_is_judged_by_its_answers_alone() {
    let (health, now) = settled();
    health.found_unwell();
    health.not_asked(now);
    assert_ne!(health.share(now, SLOW_START), Share::NONE);
}

#[test]
fn what_is_set_to_nought_never_ejects() {
    let (health, now) = settled();
    let never = EjectionConfig { failures: 0, unreached: 0, ..CONFIG };
    assert!((0..100).all(|_| health.failed(now, Failure::Unreached, &never).is_none()));
    assert_eq!(health.share(now, SLOW_START), Share::FULL);
}

#[test]
fn threads_that_see_it_fail_together_eject_it_once() {
    let (health, now) = settled();
    let times = crate::in_step::granted_to_two_threads(1_000, |round| {
        // Each round is a day later: whatever was, is forgotten.
        let now = now + u32::try_from(round).unwrap() * 86_400 * SECOND;
        let _ = health.share(now, SLOW_START);
        health.failed(now, Failure::Unreached, &CONFIG).is_some()
    });
    assert!((999..=1_000).contains(&times), "{times} ejections in 1,000 rounds of two failures each");
}
