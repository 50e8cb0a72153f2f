//! A backend with so many hands and a queue before them, callers who come by chance, and a limiter between: the same in each run.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::*;

/// Nanoseconds of the world.
type Moment = u64;
const SECOND: Moment = 1_000_000_000;

/// What the world is like at a moment.
struct World {
    /// So many calls are worked on at once.
    hands: fn(Moment) -> usize,
    /// How long a call takes then, seconds.
    work: fn(&mut Chance, Moment) -> f64,
    /// So many come, a second.
    rate: fn(Moment) -> f64,
    /// Of ten so many can wait.
    low_of_ten: u64,
    seconds: u64,
}

/// What came of it, by second and priority: low, high.
struct Came {
    limits: Vec<u32>,
    calls: Vec<Call>,
}

struct Call {
    at: Moment,
    is_low: bool,
    is_refused: bool,
    /// `None`: refused, or still under way at the end.
    took: Option<Moment>,
}

impl Came {
    /// Calls of a priority that came within these seconds.
    fn of(&self, is_low: bool, from: u64, to: u64) -> impl Iterator<Item = &Call> {
        let within = from * SECOND..to * SECOND;
        self.calls.iter().filter(move |call| call.is_low == is_low && within.contains(&call.at))
    }

    /// The share of them that was refused, percent.
    fn refused(&self, is_low: bool, from: u64, to: u64) -> f64 {
        let all = self.of(is_low, from, to).count();
        let refused = self.of(is_low, from, to).filter(|call| call.is_refused).count();
        percent(refused, all)
    }

    /// The time within which 99 of 100 of them were answered, milliseconds.
    fn p99_ms(&self, is_low: bool, from: u64, to: u64) -> u64 {
        let mut times: Vec<Moment> = self.of(is_low, from, to).filter_map(|call| call.took).collect();
        times.sort_unstable();
        times[times.len() * 99 / 100] / 1_000_000
    }

    /// The limit's mean.
    fn limit(&self, from: usize, to: usize) -> u32 {
        let limits = &self.limits[from..to];
        limits.iter().sum::<u32>() / u32::try_from(limits.len()).unwrap()
    }
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn percent(part: usize, whole: usize) -> f64 {
    part as f64 * 100.0 / whole.max(1) as f64
}

/// `SplitMix64`.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Above 0, up to 1.
    fn uniform(&mut self) -> f64 {
        f64::from(u32::try_from(self.next() >> 32).unwrap()) / f64::from(u32::MAX) * 0.999_999 + 0.000_001
    }

    fn exponential(&mut self, mean: f64) -> f64 {
        -self.uniform().ln() * mean
    }

    fn even(&mut self, mean: f64) -> f64 {
        mean * (0.9 + 0.2 * self.uniform())
    }

    /// Half below the median, and a long tail.
    fn lognormal(&mut self, median: f64, sigma: f64) -> f64 {
        let normal = (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos();
        median * (normal * sigma).exp()
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Comes,
    Done { call: usize },
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few seconds")]
fn moments(seconds: f64) -> Moment {
    (seconds * 1e9) as Moment
}

fn run(world: &World, config: ConcurrencyConfig) -> Came {
    let start = Instant::now();
    let limiter = Limiter::new(config, start);
    let track = limiter.track("x");
    let mut chance = Chance(7);
    let mut came = Came { limits: Vec::new(), calls: Vec::new() };
    let (mut queue, mut busy) = (VecDeque::new(), 0);
    let mut events = BinaryHeap::from([Reverse((0, Event::Comes))]);
    while let Some(Reverse((now, event))) = events.pop() {
        if now >= world.seconds * SECOND {
            break;
        }
        while (came.limits.len() as u64) * SECOND <= now {
            came.limits.push(limiter.limit());
        }
        match event {
            Event::Comes => {
                let next = now + moments(chance.exponential(1.0 / (world.rate)(now))).max(1);
                events.push(Reverse((next, Event::Comes)));
                let is_low = chance.next() % 10 < world.low_of_ten;
                let share = if is_low { Share::of(60, 100) } else { Share::WHOLE };
                let is_refused = limiter.enter(share).is_err();
                if !is_refused {
                    queue.push_back(came.calls.len());
                }
                came.calls.push(Call { at: now, is_low, is_refused, took: None });
            }
            Event::Done { call } => {
                busy -= 1;
                limiter.leave();
                let took = now - came.calls[call].at;
                came.calls[call].took = Some(took);
                limiter.answered(&track, start + Duration::from_nanos(now), Duration::from_nanos(took));
            }
        }
        while busy < (world.hands)(now) {
            let Some(call) = queue.pop_front() else { break };
            busy += 1;
            let done = now + moments((world.work)(&mut chance, now)).max(1);
            events.push(Reverse((done, Event::Done { call })));
        }
    }
    came
}

const CONFIG: ConcurrencyConfig =
    ConcurrencyConfig { min: 10, max: 1_024, fast: Duration::ZERO, adaptive: true };

#[test]
fn the_limit_settles_near_what_the_backend_can_do_and_what_cannot_wait_goes_on() {
    // 20 hands, 100 ms each: 200 a second. 100 come, then 2,000, of which 1,800 can wait.
    let world = World {
        hands: |_| 20,
        work: |chance, _| chance.even(0.1),
        rate: |now| if now < 20 * SECOND { 100.0 } else { 2_000.0 },
        low_of_ten: 9,
        seconds: 80,
    };
    let came = run(&world, CONFIG);
    assert!(came.refused(true, 0, 20) + came.refused(false, 0, 20) < 0.1, "with room nobody is refused");
    let limit = came.limit(30, 80);
    assert!((25..=80).contains(&limit), "{limit} for 20 hands");
    assert!(came.refused(false, 30, 80) < 20.0, "{} % of what cannot wait", came.refused(false, 30, 80));
    assert!(came.refused(true, 30, 80) > 90.0);
    assert!(came.p99_ms(false, 30, 80) < 500, "{} ms", came.p99_ms(false, 30, 80));
    // What the hands could do was done: nobody was refused for nothing.
    let answered = came.calls.iter().filter(|call| call.at > 30 * SECOND && call.took.is_some()).count();
    assert!(answered > 50 * 200 * 85 / 100, "{answered}");
}

#[test]
fn without_a_limit_that_moves_all_wait_for_the_queue() {
    // The same crowd before a fixed limit: what the test above is worth.
    let world = World {
        hands: |_| 20,
        work: |chance, _| chance.even(0.1),
        rate: |_| 2_000.0,
        low_of_ten: 9,
        seconds: 30,
    };
    let came = run(&world, ConcurrencyConfig { adaptive: false, ..CONFIG });
    assert!(came.p99_ms(false, 15, 24) > 2_000);
}

#[test]
fn it_settles_too_if_it_has_never_seen_the_backend_at_rest() {
    let world = World {
        hands: |_| 4,
        work: |chance, _| chance.even(0.1),
        rate: |_| 400.0,
        low_of_ten: 9,
        seconds: 120,
    };
    let came = run(&world, CONFIG);
    let limit = came.limit(90, 120);
    assert!((10..=40).contains(&limit), "{limit} for 4 hands");
}

#[test]
fn it_recovers_when_the_backend_does() {
    // 300 a second are done by 30 hands; from second 20 to 40 there are 5.
    let world = World {
        hands: |now| if (20 * SECOND..40 * SECOND).contains(&now) { 5 } else { 50 },
        work: |chance, _| chance.even(0.1),
        rate: |_| 300.0,
        low_of_ten: 0,
        seconds: 90,
    };
    let came = run(&world, CONFIG);
    assert!(came.limit(30, 40) <= 40, "{} for 5 hands", came.limit(30, 40));
    assert!(came.refused(false, 55, 90) < 0.1, "{} %", came.refused(false, 55, 90));
    assert!(came.p99_ms(false, 55, 90) < 200);
}

#[test]
fn times_that_vary_by_themselves_are_no_crowd() {
    let worlds: [fn(&mut Chance, Moment) -> f64; 3] = [
        |chance, _| chance.exponential(0.2),
        |chance, _| chance.lognormal(0.1, 1.0),
        |chance, _| if chance.next().is_multiple_of(10) { 1.0 } else { chance.even(0.05) },
    ];
    for (number, work) in worlds.into_iter().enumerate() {
        let world = World { hands: |_| usize::MAX, work, rate: |_| 400.0, low_of_ten: 5, seconds: 300 };
        let came = run(&world, CONFIG);
        // The first seconds are for finding out what is usual.
        let refused = came.refused(true, 10, 300) + came.refused(false, 10, 300);
        assert!(refused < 1.0, "{refused} % of world {number}");
    }
}

#[test]
fn a_backend_that_has_become_slower_but_has_room_is_believed() {
    let world = World {
        hands: |_| usize::MAX,
        work: |chance, now| chance.even(if now < 30 * SECOND { 0.1 } else { 0.3 }),
        rate: |_| 500.0,
        low_of_ten: 5,
        seconds: 90,
    };
    let came = run(&world, CONFIG);
    let refused = came.refused(true, 60, 90) + came.refused(false, 60, 90);
    assert!(refused < 0.1, "{refused} %");
}

#[test]
fn in_a_crowd_that_does_not_end_it_does_not_drift() {
    let world = World {
        hands: |_| 20,
        work: |chance, _| chance.exponential(0.1),
        rate: |now| if now < 20 * SECOND { 100.0 } else { 600.0 },
        low_of_ten: 9,
        seconds: 600,
    };
    let came = run(&world, CONFIG);
    let (early, late) = (came.limit(30, 130), came.limit(500, 600));
    assert!((15..=80).contains(&early) && (15..=80).contains(&late), "{early}, later {late}");
}
