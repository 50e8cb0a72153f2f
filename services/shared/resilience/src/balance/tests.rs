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
fn round_robin_shares_an_ejected_endpoints_work_evenly() {
    let (balancer, now) = balancer(Balancing::RoundRobin, 3);
    let picked: Vec<usize> =
        (0..4).map(|_| *balancer.pick(now, 0, |endpoint| *endpoint != 1).unwrap()).collect();
    assert_eq!(picked, [0, 2, 0, 2]);
}

#[test]
fn least_connections_picks_whoever_has_the_fewest_under_way() {
    let (balancer, now) = balancer(Balancing::LeastConnections, 3);
    for step in 0..20 {
        let mut held: Vec<_> =
            (0..3).map(|pick| balancer.pick(now, random(3 * step + pick), |_| true).unwrap()).collect();
        assert!(balancer.endpoints().all(|(_, in_flight)| in_flight == 1));
        let freed = *held.remove(1);
        assert_eq!(*balancer.pick(now, random(step), |_| true).unwrap(), freed);
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
    fn least_connections_keeps_everybody_within_one_request(size in 1_usize..8, randoms in prop::collection::vec(any::<u64>(), 0..60)) {
        let (balancer, now) = balancer(Balancing::LeastConnections, size);
        let _held: Vec<_> = randoms.into_iter().map(|random| balancer.pick(now, random, |_| true)).collect();
        let counts: Vec<u32> = balancer.endpoints().map(|(_, in_flight)| in_flight).collect();
        prop_assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1);
    }
}
