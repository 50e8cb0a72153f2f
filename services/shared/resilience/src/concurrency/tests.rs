use super::*;
use proptest::prelude::*;

const CONFIG: ConcurrencyConfig =
    ConcurrencyConfig { min: 10, max: 100, fast: Duration::ZERO, adaptive: true };

fn fixed(max: u32) -> Limiter {
    Limiter::new(ConcurrencyConfig { max, adaptive: false, ..CONFIG }, Instant::now())
}

/// Tells of a window full of calls that took so long, in a crowd that fills the limit.
fn crowd(limiter: &Limiter, track: &Track, now: Instant, took: Duration) {
    let limit = limiter.limit();
    for _ in 0..limit {
        limiter.enter(Share::WHOLE).unwrap();
    }
    for nanos in 0..law::SAMPLES_MIN {
        // The last is told when the window is over.
        let at = if nanos + 1 == law::SAMPLES_MIN { now + Duration::from_nanos(WINDOW_NANOS) } else { now };
        limiter.answered(track, at, took);
    }
    for _ in 0..limit {
        limiter.leave();
    }
}

#[test]
fn what_can_wait_is_refused_before_what_cannot() {
    let limiter = fixed(10);
    let low = Share::of(60, 100);
    for _ in 0..6 {
        limiter.enter(low).unwrap();
    }
    assert_eq!(limiter.enter(low), Err(Full { calls_max: 6 }));
    for _ in 0..4 {
        limiter.enter(Share::WHOLE).unwrap();
    }
    assert_eq!(limiter.enter(Share::WHOLE), Err(Full { calls_max: 10 }));
    limiter.leave();
    assert!(limiter.enter(low).is_err(), "the room is for those that cannot wait");
    assert!(limiter.enter(Share::WHOLE).is_ok());
}

#[test]
fn a_share_of_the_smallest_limit_is_a_call() {
    let limiter = fixed(1);
    assert!(limiter.enter(Share::of(1, 1_000_000)).is_ok());
}

#[test]
fn a_fixed_limit_is_the_maximum_whatever_calls_take() {
    let limiter = fixed(100);
    let (track, start) = (limiter.track("x"), Instant::now());
    for second in 0..100 {
        crowd(&limiter, &track, start + Duration::from_secs(second), Duration::from_secs(second));
    }
    assert_eq!(limiter.limit(), 100);
}

#[test]
fn calls_that_are_given_up_bring_it_down_to_the_least() {
    let start = Instant::now();
    let limiter = Limiter::new(CONFIG, start);
    for window in 1..20 {
        while limiter.enter(Share::WHOLE).is_ok() {}
        for _ in 0..limiter.in_flight() {
            limiter.leave();
        }
        for _ in 0..law::SAMPLES_MIN {
            limiter.gave_up(start + Duration::from_secs(window));
        }
    }
    assert_eq!(limiter.limit(), 10);
}

#[test]
fn calls_that_last_do_not_keep_all_others_out_for_ever() {
    let start = Instant::now();
    let limiter = Limiter::new(CONFIG, start);
    while limiter.enter(Share::WHOLE).is_ok() {}
    let full = limiter.in_flight();
    limiter.refused(start + Duration::from_secs(1));
    assert!(limiter.enter(Share::WHOLE).is_err(), "for a moment they do");
    limiter.refused(start + Duration::from_secs(3));
    assert!(limiter.enter(Share::WHOLE).is_ok());
    assert!(limiter.limit() < full + 10, "and no more than a few come in");
    limiter.refused(start + Duration::from_secs(4));
    assert!(limiter.limit() < full + 10);
}

#[test]
fn calls_that_are_fast_enough_are_never_too_slow() {
    let start = Instant::now();
    let limiter = Limiter::new(ConcurrencyConfig { fast: Duration::from_millis(100), ..CONFIG }, start);
    let track = limiter.track("x");
    for second in 0..60 {
        let took = Duration::from_millis(if second < 30 { 1 } else { 80 });
        crowd(&limiter, &track, start + Duration::from_secs(second), took);
    }
    assert_eq!(limiter.limit(), 100);
}

#[test]
fn a_quick_kind_and_a_slow_one_are_each_compared_with_themselves() {
    let start = Instant::now();
    let limiter = Limiter::new(CONFIG, start);
    let (quick, slow) = (limiter.track("quick"), limiter.track("slow"));
    for second in 0..30 {
        let at = start + Duration::from_secs(second);
        crowd(&limiter, &quick, at, Duration::from_millis(2));
        crowd(&limiter, &slow, at + Duration::from_millis(500), Duration::from_millis(900));
    }
    assert_eq!(limiter.limit(), 100, "the mixture changes all the time, and nothing is slower than usual");
}

#[test]
fn a_kind_is_known_by_its_name_as_long_as_somebody_has_it() {
    let limiter = fixed(1);
    let track = limiter.track("x");
    assert!(Arc::ptr_eq(&track, &limiter.track("x")));
    assert!(!Arc::ptr_eq(&track, &limiter.track("y")));
    drop(track);
    drop(limiter.track("z"));
    assert_eq!(lock(&limiter.rest).tracks.len(), 1, "what nobody has any more is forgotten");
}

#[test]
fn threads_never_come_above_the_limit_and_leave_nothing_behind() {
    let start = Instant::now();
    let limiter = Limiter::new(ConcurrencyConfig { min: 2, max: 6, ..CONFIG }, start);
    let track = limiter.track("x");
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let (limiter, track) = (&limiter, &track);
            scope.spawn(move || {
                for call in 0..20_000 {
                    let mut held = 0;
                    while held < 3 && limiter.enter(Share::WHOLE).is_ok() {
                        held += 1;
                    }
                    assert!(limiter.in_flight() <= 6);
                    let at = start + Duration::from_millis(call);
                    limiter.answered(track, at, Duration::from_nanos((call * 7 + thread) % 900 * 1_000_000));
                    for _ in 0..held {
                        limiter.leave();
                    }
                }
            });
        }
    });
    assert_eq!(limiter.in_flight(), 0);
    assert!((2..=6).contains(&limiter.limit()));
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Enter { percent: u32 },
    Leave,
    Answered { took_ms: u64 },
    GaveUp,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1_u32..=100).prop_map(|percent| Step::Enter { percent }),
        Just(Step::Leave),
        (0_u64..5_000).prop_map(|took_ms| Step::Answered { took_ms }),
        Just(Step::GaveUp),
    ]
}

proptest! {
    #[test]
    fn nobody_is_let_in_above_the_share_and_nobody_below_it_is_refused(
        min in 1_u32..30, more in 0_u32..60, steps in prop::collection::vec((step(), 0_u64..100), 0..600),
    ) {
        let mut now = Instant::now();
        let config = ConcurrencyConfig { min, max: min + more, ..CONFIG };
        let limiter = Limiter::new(config, now);
        let (track, mut held) = (limiter.track("x"), 0_u32);
        for (step, pause_ms) in steps {
            now += Duration::from_millis(pause_ms);
            match step {
                Step::Enter { percent } => {
                    let room = match percent {
                        100 => limiter.ceiling.load(Ordering::Relaxed),
                        _ => (limiter.limit() * (percent * 1_024).div_ceil(100) / 1_024).max(1),
                    };
                    prop_assert_eq!(limiter.enter(Share::of(percent, 100)).is_ok(), held < room);
                    if held < room {
                        held += 1;
                    } else {
                        limiter.refused(now);
                    }
                }
                Step::Leave if held > 0 => {
                    limiter.leave();
                    held -= 1;
                }
                Step::Leave => {}
                Step::Answered { took_ms } => limiter.answered(&track, now, Duration::from_millis(took_ms)),
                Step::GaveUp => limiter.gave_up(now),
            }
            prop_assert_eq!(limiter.in_flight(), held);
            prop_assert!((min..=min + more).contains(&limiter.limit()));
        }
    }
}
