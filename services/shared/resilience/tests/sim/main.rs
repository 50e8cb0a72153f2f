//! Breaker, budget, balancer, health and the rule of repetition together, as the gateway puts them together, on a network that is simulated:
//! links are cut and held up, hosts crash, hang, dawdle and refuse, clients leave, and all of it is decided by one number.
//!
//! What must be so whatever happens stands in `ledger.rs`. A number that fails is printed, and
//! `HEALTHCARE_SIM_SEED=<number> cargo test -p resilience --test sim` does it again, step by step.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, its parts too")]

mod caller;
mod dice;
mod host;
mod ledger;
mod weather;

use std::sync::Arc;
use std::time::Duration;

use caller::Caller;
use ledger::{Ledger, Told};
use weather::Weather;

const HOSTS: [&str; 3] = ["a", "b", "c"];
/// Two gateways before the same hosts, each with what it knows itself.
const CALLERS: [&str; 2] = ["one", "two"];
/// Until then things go wrong.
const STORM: Duration = Duration::from_secs(10);
/// What may last from there: the longest ejection, a breaker's rest and a slow start, one after another.
const SETTLE: Duration = Duration::from_secs(3);
/// From then on, for so long, everything must go well.
const CALM: Duration = Duration::from_secs(3);
const END: Duration = STORM.saturating_add(SETTLE).saturating_add(CALM);

/// Numbers that are always tried; each is another story.
const SEEDS: std::ops::Range<u64> = 1..13;

/// One story from its beginning to its end.
fn play(seed: u64) -> Told {
    let ledger = Arc::new(Ledger::new(seed));
    let mut sim = turmoil::Builder::new()
        .rng_seed(seed)
        .tick_duration(Duration::from_millis(1))
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(8))
        .tcp_capacity(4096)
        .simulation_duration(END + Duration::from_secs(5))
        .build();
    for (number, name) in HOSTS.into_iter().enumerate() {
        let ledger = Arc::clone(&ledger);
        sim.host(name, move || host::serve(number, Arc::clone(&ledger)));
    }
    for (number, name) in CALLERS.into_iter().enumerate() {
        sim.client(name, Caller::run(number, seed, Arc::clone(&ledger)));
    }
    let mut weather = Weather::of(seed);
    while !sim.step().unwrap_or_else(|error| panic!("seed {seed}: {error}")) {
        weather.pass(&mut sim, &ledger);
    }
    ledger.told()
}

/// The number that was asked for, or those that are always tried.
fn seeds() -> Vec<u64> {
    #[expect(clippy::disallowed_methods, reason = "whoever looks into a failure says which story to tell")]
    let asked = std::env::var("HEALTHCARE_SIM_SEED");
    asked.map_or_else(|_| SEEDS.collect(), |seed| vec![seed.parse().unwrap()])
}

#[test]
fn whatever_the_network_does_the_rules_hold_and_all_is_well_when_it_is() {
    let seeds = seeds();
    let told: Vec<Told> = seeds.iter().map(|seed| play(*seed)).collect();
    let broken: Vec<String> = told.iter().flat_map(|told| told.broken.clone()).collect();
    assert!(broken.is_empty(), "{} rules broken:\n{}", broken.len(), broken.join("\n"));
    if seeds.len() == 1 {
        return;
    }
    // Rules that were never put to the test hold of themselves.
    let sum = |of: fn(&Told) -> usize| told.iter().map(of).sum::<usize>();
    assert!(sum(|told| told.retries) > 1_000, "hardly anything was repeated");
    assert!(sum(|told| told.denied) > 100, "the budget had nothing to refuse");
    assert!(sum(|told| told.opened) > 50, "breakers had nothing to do");
    assert!(sum(|told| told.refused) > 50, "no open breaker refused anybody");
    assert!(sum(|told| told.late) > 100, "no deadline passed");
    assert!(sum(|told| told.left) > 100, "no client left");
    assert!(sum(|told| told.left_probing) > 5, "no client left while its request probed a breaker");
}

#[test]
fn the_same_number_tells_the_same_story() {
    let (first, again) = (play(3), play(3));
    assert_eq!(first.digest, again.digest);
    assert_ne!(first.digest, play(4).digest, "the digest tells stories apart");
}
