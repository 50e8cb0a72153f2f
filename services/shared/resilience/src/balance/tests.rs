use std::time::Duration;

use super::*;
use proptest::prelude::*;

const ALL: [Balancing; 3] = [Balancing::RoundRobin, Balancing::LeastConnections, Balancing::PeakEwma];

fn balancer(strategy: Balancing, endpoints: usize) -> (Balancer<usize>, Instant) {
    let now = Instant::now();
    (Balancer::new(strategy, 0..endpoints, now), now)
}

/// `SplitMix64`: enough of a random number for a test, and the same in every run.
fn random(step: u64) -> u64 {
    let mut z = step.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[test]
fn an_empty_list_has_nobody_to_pick() {
    for strategy in ALL {
        let (balancer, now) = balancer(strategy, 0);
        assert!(balancer.is_empty());
        assert!(balancer.pick(now, 7, |_| true).is_none());
    }
}

#[test]
fn an_only_endpoint_is_always_picked_even_unwell() {
    for strategy in ALL {
        let (balancer, now) = balancer(strategy, 1);
        let pick = balancer.pick(now, 7, |_| false).unwrap();
        assert_eq!((*pick, pick.is_panic(), pick.ejected()), (0, true, 1));
    }
}

#[test]
fn round_robin_goes_in_a_circle() {
    let (balancer, now) = balancer(Balancing::RoundRobin, 3);
    let picked: Vec<usize> = (0..6).map(|_| *balancer.pick(now, 0, |_| true).unwrap()).collect();
    assert_eq!(picked, [0, 1, 2, 0, 1, 2]);
}

#[test]
fn second_attempts_take_nobodys_turn() {
    let (balancer, now) = balancer(Balancing::RoundRobin, 2);
    // One of the two fails, each time.
    let first: Vec<usize> = (0..20)
        .map(|step| {
            let pick = balancer.pick(now, random(step), |_| true).unwrap();
            if *pick == 1 {
                let again = balancer.pick_but(Some(1), now, random(step), |_| true).unwrap();
                assert_eq!(*again, 0);
            }
            *pick
        })
        .collect();
    assert_eq!(first.iter().filter(|endpoint| **endpoint == 1).count(), 10, "{first:?}");
}

#[test]
fn round_robin_shares_an_ejected_endpoints_work_evenly() {
    let (balancer, now) = balancer(Balancing::RoundRobin, 3);
    let picked: Vec<usize> =
        (0..4).map(|_| *balancer.pick(now, 0, |endpoint| *endpoint != 1).unwrap()).collect();
    assert_eq!(picked, [0, 2, 0, 2]);
}

#[test]
fn least_connections_leaves_a_slow_endpoint_alone_as_its_requests_pile_up() {
    let (balancer, now) = balancer(Balancing::LeastConnections, 5);
    let mut stuck = Vec::new();
    for step in 0..1_000 {
        // Whoever is sent to the slow one stays there.
        let pick = balancer.pick(now, random(step), |_| true).unwrap();
        if *pick == 0 {
            stuck.push(pick);
        }
    }
    assert!(stuck.len() < 10, "{} of 1,000 went to the one that does not answer", stuck.len());
}

#[test]
fn least_connections_with_two_endpoints_picks_the_one_that_has_less_to_do() {
    let (balancer, now) = balancer(Balancing::LeastConnections, 2);
    for step in 0..20 {
        let held = balancer.pick(now, random(step), |_| true).unwrap();
        let other = balancer.pick(now, random(step + 100), |_| true).unwrap();
        assert_ne!(*held, *other);
    }
}

#[test]
fn peak_ewma_leaves_a_slow_endpoint_most_of_its_peace() {
    let (balancer, mut now) = balancer(Balancing::PeakEwma, 3);
    let mut picked = [0; 3];
    for step in 0..3_000 {
        let pick = balancer.pick(now, random(step), |_| true).unwrap();
        picked[*pick] += 1;
        now += Duration::from_millis(if *pick == 0 { 50 } else { 5 });
        pick.answered(now);
    }
    assert!(picked[0] < 30, "the slow one is only asked when its estimate has faded: {picked:?}");
    assert!(picked[1] > 1_000 && picked[2] > 1_000, "{picked:?}");
}

#[test]
fn peak_ewma_tries_a_shunned_endpoint_again_after_a_while() {
    let (balancer, now) = balancer(Balancing::PeakEwma, 2);
    let slow = balancer.pick(now, 0, |_| true).unwrap();
    let shunned = *slow;
    slow.answered(now + Duration::from_secs(2));
    let much_later = now + Duration::from_mins(2);
    for step in 0..20 {
        // The other one keeps answering, in 10 ms.
        let other = balancer.pick(much_later, random(step), |endpoint| *endpoint != shunned).unwrap();
        other.answered(much_later + Duration::from_millis(10));
    }
    assert_eq!(*balancer.pick(much_later + Duration::from_millis(10), 0, |_| true).unwrap(), shunned);
}

#[test]
fn peak_ewma_does_not_flood_an_endpoint_that_has_not_answered_yet() {
    let (balancer, now) = balancer(Balancing::PeakEwma, 2);
    let known = balancer.pick(now, 0, |_| true).unwrap();
    let answering = *known;
    known.answered(now + Duration::from_millis(5));
    let silent = balancer.pick(now, 0, |_| true).unwrap();
    assert_ne!(*silent, answering, "a new endpoint is tried soon");
    for step in 0..20 {
        assert_eq!(*balancer.pick(now, random(step), |_| true).unwrap(), answering);
    }
}

#[test]
fn half_may_be_ejected_but_not_more() {
    for strategy in ALL {
        let (balancer, now) = balancer(strategy, 4);
        let half = balancer.pick(now, 3, |endpoint| *endpoint < 2).unwrap();
        assert!(*half < 2 && !half.is_panic());
        let most = balancer.pick(now, 3, |endpoint| *endpoint < 1).unwrap();
        assert!(most.is_panic());
    }
}

#[test]
fn in_a_panic_everybody_gets_work() {
    for strategy in ALL {
        let (balancer, now) = balancer(strategy, 4);
        let mut picked = [false; 4];
        for step in 0..200 {
            picked[*balancer.pick(now, random(step), |endpoint| *endpoint == 0).unwrap()] = true;
        }
        assert_eq!(picked, [true; 4], "{strategy:?}");
    }
}

#[test]
fn an_answered_request_is_under_way_until_dropped() {
    let (balancer, now) = balancer(Balancing::PeakEwma, 1);
    let under_way = || balancer.endpoints().map(|(_, in_flight)| in_flight).sum::<u32>();
    let pick = balancer.pick(now, 0, |_| true).unwrap();
    pick.answered(now);
    assert_eq!(under_way(), 1, "its body is still coming");
    drop(pick);
    assert_eq!(under_way(), 0);
}

#[test]
fn a_pick_outlives_its_balancer() {
    let (balancer, now) = balancer(Balancing::PeakEwma, 2);
    let pick = balancer.pick(now, 0, |_| true).unwrap();
    drop(balancer);
    pick.answered(now);
}

#[test]
fn health_that_changes_midway_still_gets_an_answer() {
    for strategy in ALL {
        let (balancer, now) = balancer(strategy, 4);
        let asked = std::cell::Cell::new(0);
        let pick = balancer.pick(now, random(1), |_| {
            asked.set(asked.get() + 1);
            asked.get() <= 3
        });
        assert!(pick.is_some(), "{strategy:?}");
    }
}

#[test]
fn threads_leave_no_request_counted_behind() {
    for strategy in ALL {
        let (balancer, now) = balancer(strategy, 3);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let balancer = balancer.clone();
                scope.spawn(move || {
                    for step in 0..2_000 {
                        let pick = balancer.pick(now, random(thread * 2_000 + step), |_| true).unwrap();
                        if step % 2 == 0 { pick.answered(now) } else { drop(pick) }
                    }
                });
            }
        });
        assert!(balancer.endpoints().all(|(_, in_flight)| in_flight == 0));
    }
}

proptest! {
    #[test]
    fn nobody_unwell_is_picked_unless_more_than_half_are(
        strategy in prop::sample::select(&ALL),
        well in prop::collection::vec(any::<bool>(), 1..12),
        randoms in prop::collection::vec(any::<u64>(), 1..40),
    ) {
        let (balancer, now) = balancer(strategy, well.len());
        let unwell = well.iter().filter(|well| !**well).count();
        let mut held = Vec::new();
        for random in randoms {
            let pick = balancer.pick(now, random, |endpoint| well[*endpoint]).unwrap();
            prop_assert_eq!(pick.ejected(), unwell);
            prop_assert_eq!(pick.is_panic(), unwell * 2 > well.len());
            prop_assert!(pick.is_panic() || well[*pick]);
            if random % 3 == 0 { pick.answered(now) } else { held.push(pick) }
        }
        let counted: u32 = balancer.endpoints().map(|(_, in_flight)| in_flight).sum();
        prop_assert_eq!(counted as usize, held.len());
    }

    #[test]
    fn least_connections_keeps_everybody_near_the_mean(size in 1_usize..8, randoms in prop::collection::vec(any::<u64>(), 0..60)) {
        let (balancer, now) = balancer(Balancing::LeastConnections, size);
        let held: Vec<_> = randoms.into_iter().map(|random| balancer.pick(now, random, |_| true)).collect();
        let most = balancer.endpoints().map(|(_, in_flight)| in_flight as usize).max().unwrap();
        // Two choices: about log log n above the mean.
        prop_assert!(most <= held.len().div_ceil(size) + 5, "{most} of {} at one of {size}", held.len());
    }
}

fn seated(strategy: Balancing, near: &[bool], zones: usize) -> (Balancer<usize>, Instant) {
    let now = Instant::now();
    let seat =
        |(value, is_near): (usize, &bool)| Seat { value, load: Arc::new(Load::new(now)), is_near: *is_near };
    (Balancer::seated(strategy, near.iter().enumerate().map(seat), zones), now)
}

/// How many of 10,000 requests each endpoint gets.
fn spread<S: Into<Share>>(balancer: &Balancer<usize>, now: Instant, share: impl Fn(&usize) -> S) -> Vec<u32> {
    let mut picked = vec![0; balancer.len()];
    for step in 0..10_000 {
        picked[*balancer.pick(now, random(step), &share).unwrap()] += 1;
    }
    picked
}

#[test]
fn who_joins_gets_its_part_of_the_work_under_every_strategy() {
    for strategy in ALL {
        let (balancer, now) = balancer(strategy, 4);
        let share = |endpoint: &usize| if *endpoint == 3 { Share::part(1, 10) } else { Share::FULL };
        let picked = spread(&balancer, now, share);
        // A tenth of its even quarter is 250; by two choices it is a little more often among the two than it is drawn.
        assert!((150..450).contains(&picked[3]), "{strategy:?} {picked:?}");
        assert!(picked[..3].iter().all(|count| (2_900..3_600).contains(count)), "{strategy:?} {picked:?}");
    }
}

#[test]
fn where_all_join_nobody_sits_out() {
    for strategy in ALL {
        let (balancer, now) = balancer(strategy, 4);
        let picked = spread(&balancer, now, |_| Share::part(1, 10));
        assert!(picked.iter().all(|count| (2_300..2_700).contains(count)), "{strategy:?} {picked:?}");
    }
}

#[test]
fn a_zone_that_has_its_even_share_of_endpoints_keeps_its_work() {
    for strategy in ALL {
        let (balancer, now) = seated(strategy, &[true, true, false, false, false, false], 3);
        let picked = spread(&balancer, now, |_| true);
        assert_eq!(picked[2..], [0; 4], "{strategy:?}");
        assert!(picked[..2].iter().all(|count| (4_700..5_300).contains(count)), "{strategy:?} {picked:?}");
    }
}

#[test]
fn a_zone_with_too_few_that_are_well_gives_work_away_and_one_with_none_all_of_it() {
    for strategy in ALL {
        let (balancer, now) = seated(strategy, &[true, true, false, false, false, false], 3);
        // One of five that are well, where a third would be even: three of five requests stay.
        let picked = spread(&balancer, now, |endpoint| *endpoint != 0);
        assert_eq!(picked[0], 0);
        assert!((5_700..6_300).contains(&picked[1]), "{strategy:?} {picked:?}");
        let picked = spread(&balancer, now, |endpoint| *endpoint > 1);
        assert_eq!(picked[..2], [0, 0]);
        assert!(picked[2..].iter().all(|count| (2_300..2_700).contains(count)), "{strategy:?} {picked:?}");
    }
}

#[test]
fn in_a_panic_zones_count_no_more() {
    let (balancer, now) = seated(Balancing::RoundRobin, &[true, false, false, false], 2);
    let picked = spread(&balancer, now, |endpoint| *endpoint == 0);
    assert!(picked.iter().all(|count| *count == 2_500), "{picked:?}");
}

#[test]
fn after_a_failure_another_one_is_picked_and_the_same_only_if_no_other_is_well() {
    for strategy in ALL {
        let (balancer, now) = balancer(strategy, 3);
        for step in 0..50 {
            assert_ne!(*balancer.pick_but(Some(1), now, random(step), |_| true).unwrap(), 1);
            let pick = balancer.pick_but(Some(1), now, random(step), |endpoint| *endpoint != 2).unwrap();
            assert_eq!((*pick, pick.is_panic()), (0, false), "whoever failed once is not unwell for that");
        }
        let (balancer, now) = self::balancer(strategy, 2);
        assert_eq!(*balancer.pick_but(Some(1), now, 3, |endpoint| *endpoint == 1).unwrap(), 1);
    }
}

#[test]
fn what_is_known_of_an_endpoint_goes_with_it_into_the_next_list() {
    let now = Instant::now();
    let load = Arc::new(Load::new(now));
    let seat = |load: &Arc<Load>| Seat { value: (), load: Arc::clone(load), is_near: true };
    let first = Balancer::seated(Balancing::LeastConnections, [seat(&load)], 1);
    let _pick = first.pick(now, 0, |()| true).unwrap();
    let other = Arc::new(Load::new(now));
    let second = Balancer::seated(Balancing::LeastConnections, [seat(&load), seat(&other)], 1);
    assert_eq!(second.pick(now, 0, |()| true).unwrap().index(), 1, "the first has a request under way");
}
