//! For tests: two threads that meet at every round, so that they really do race. Threads merely spawned seldom overlap.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Runs `act` for each round in two threads at once; how often it was granted (`true`) in all.
pub(crate) fn granted_to_two_threads(rounds: usize, act: impl Fn(usize) -> bool + Sync) -> usize {
    let arrivals = AtomicUsize::new(0);
    let walk = || {
        let mut granted = 0;
        for round in 0..rounds {
            arrivals.fetch_add(1, Ordering::SeqCst);
            let mut spins = 0_u32;
            while arrivals.load(Ordering::SeqCst) < 2 * (round + 1) {
                // Spinning meets the other to the nanosecond; yielding is for when it has no core to run on.
                spins += 1;
                if spins.is_multiple_of(1_000) { std::thread::yield_now() } else { std::hint::spin_loop() }
            }
            granted += usize::from(act(round));
        }
        granted
    };
    std::thread::scope(|scope| {
        let walkers = [scope.spawn(walk), scope.spawn(walk)];
        walkers.map(|walker| walker.join().unwrap()).iter().sum()
    })
}
