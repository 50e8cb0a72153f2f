//! What keeps one failing part from taking the rest with it: circuit breakers, retries on a budget, load balancing,
//! health, rate limits, bulkheads and limits of concurrency that find themselves. The gateway's hot path and the typed clients stand on it.
//!
//! Everything here is pure bookkeeping: no async runtime, no I/O, no waiting, and no crate of ours beneath it. The time
//! comes in as an argument, and so does randomness (a uniformly random `u64`), so that what is decided can be tested
//! exactly; the one exception is the hash seed of `limit::Keyed`, which nobody may guess. Whoever calls does the sleeping,
//! the sending and the measuring.
//!
//! Choices that hold throughout:
//! - What is taken (a permit, a pick, a place) is a guard: dropped in any way, a cancelled future included, it gives
//!   back what it held.
//! - What hands out guards is a cheap clone of one shared state, and a guard may outlive it. The others (`RetryBudget`,
//!   `Gcra`, `Keyed`) are shared by reference.
//! - Nothing on a request's ordinary way allocates.
//! - Settings out of range are brought to the nearest sensible value instead of failing: they were validated where the
//!   `HealthcareStack` was read.
//!
//! One attempt at a call, from the endpoint to the report:
//!
//! ```
//! use std::time::{Duration, Instant};
//! use resilience::balance::{Balancer, Balancing};
//! use resilience::breaker::{Breaker, BreakerConfig};
//!
//! struct Endpoint { address: &'static str, breaker: Breaker }
//!
//! # let config = BreakerConfig { failure_rate_percent: 50, window_calls: 100, min_calls: 20, consecutive_failures: 0, slow_call_ms: 5_000, open_ms: 5_000, half_open_calls: 3 };
//! # let (now, random) = (Instant::now(), 4);
//! let endpoints = ["10.0.0.1:8082", "10.0.0.2:8082"].map(|address| Endpoint { address, breaker: Breaker::new(config) });
//! let balancer = Balancer::new(Balancing::PeakEwma, endpoints, now);
//!
//! let pick = balancer.pick(now, random, |endpoint| endpoint.breaker.admits(now)).expect("there are endpoints");
//! let permit = if pick.is_panic() && pick.ejected() < balancer.len() {
//!     // More than half are unwell: spread the load over all of them rather than crush the rest.
//!     pick.breaker.acquire_anyway(now)
//! } else {
//!     // When all are unwell there is nothing left to spread: this refuses, and the answer is 503 with `Retry-After`.
//!     pick.breaker.try_acquire(now)?
//! };
//! // … send to `pick.address`; then, with the answer's head:
//! # let _ = pick.address;
//! let answered = now + Duration::from_millis(12);
//! pick.answered(answered);
//! permit.success(answered, answered - now);
//! # Ok::<(), resilience::breaker::Open>(())
//! ```

pub mod balance;
pub mod breaker;
pub mod bulkhead;
pub mod concurrency;
pub mod health;
pub mod limit;
pub mod retry;

#[cfg(test)]
mod in_step;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks, whatever happened to earlier holders: our critical sections are a few assignments and leave no half-done state.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
