//! A circuit breaker: after too many failed or slow calls an endpoint is given a rest, then probed before it is trusted
//! again.
//!
//! ```text
//!     share of bad calls, or so many in a row           rest over
//!   Closed ─────────────────────────────> Open ─────────────────────> HalfOpen
//!     ^                                     ^      a probe fails         │
//!     │                                     └────────────────────────────┤
//!     └──────────────────────────────────────────────────────────────────┘
//!                               all probes succeed
//! ```
//!
//! Cost: while closed, acquiring is one atomic load and a reference count, without a lock; a report is one short mutex (a
//! few assignments in a ring kept since the start). A lock-free ring would save little and could not move from one
//! state to the next in one step. Where even that lock is measured to hurt, hold a breaker per core.
//!
//! Not for choosing among endpoints (`balance`), nor for deciding what counts as a failure: whoever made the call knows.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::lock;

mod window;
use window::Window;

/// When an endpoint is given a rest. Names and units are those of the stack's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerConfig {
    /// Opens when at least this share of the calls in the window failed or were slow, percent (1 to 100).
    pub failure_rate_percent: u32,
    /// The window, in calls: the latest so many are judged. At least one.
    pub window_calls: u32,
    /// No decision by their share before this many calls. At most the window, or there would never be one.
    pub min_calls: u32,
    /// Opens too when so many calls in a row failed or were slow, however few there were in all; 0: never.
    pub consecutive_failures: u32,
    /// A call longer than this counts as failed, milliseconds.
    pub slow_call_ms: u64,
    /// How long it stays open before it probes, milliseconds.
    pub open_ms: u64,
    /// Probes let through while half open; all must succeed. At least one.
    pub half_open_calls: u32,
}

/// Where a breaker stands, for metrics. An open one whose rest is over stays `Open` until somebody asks for a permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Calls pass and are counted.
    Closed,
    /// Calls are refused.
    Open,
    /// A few probes pass; the rest is refused.
    HalfOpen,
}

/// The endpoint is being given a rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the circuit breaker is open; try again in {} ms", retry_after.as_millis())]
pub struct Open {
    /// When it is worth asking again: the rest that is left, or, while probes are out, about when they will have told.
    pub retry_after: Duration,
}

/// A circuit breaker over one endpoint. Clones share their state.
#[derive(Clone, Debug)]
pub struct Breaker {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: BreakerConfig,
    /// The state and how often it changed; written under the lock only, so that it always agrees with `core.stage`.
    turn: AtomicU64,
    core: Mutex<Core>,
}

#[derive(Debug)]
struct Core {
    stage: Stage,
    window: Window,
    /// Bad calls since the last good one.
    in_a_row: u32,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Closed,
    Open { since: Instant },
    HalfOpen { probes_out: u32, probes_passed: u32 },
}

/// Leave to make one call, whose end is to be reported. Dropped without a report (the call was cancelled), it counts
/// neither way and gives its probe's slot back.
#[derive(Debug)]
#[must_use = "dropped without a report, the call is not counted"]
pub struct Permit {
    inner: Arc<Inner>,
    /// The turn it was given in. A report that arrives in a later one is history and changes nothing.
    turn: u64,
    reported: bool,
}

/// The turn of a permit that counts in none.
const NO_TURN: u64 = u64::MAX;

impl Breaker {
    /// A closed breaker that has seen no calls. Allocates its window, once.
    pub fn new(config: BreakerConfig) -> Self {
        let window_calls = config.window_calls.max(1);
        let config = BreakerConfig {
            window_calls,
            min_calls: config.min_calls.clamp(1, window_calls),
            half_open_calls: config.half_open_calls.max(1),
            ..config
        };
        let core = Core { stage: Stage::Closed, window: Window::new(window_calls), in_a_row: 0 };
        let turn = AtomicU64::new(next_turn(0, State::Closed));
        Self { inner: Arc::new(Inner { config, turn, core: Mutex::new(core) }) }
    }

    /// Leave for one call, or how long to wait. The first to ask after the rest starts the probing.
    pub fn try_acquire(&self, now: Instant) -> Result<Permit, Open> {
        let turn = self.inner.turn.load(Ordering::Acquire);
        if state_of(turn) == State::Closed {
            return Ok(self.permit(turn));
        }
        let mut core = lock(&self.inner.core);
        self.inner.room(core.stage, now)?;
        match &mut core.stage {
            Stage::Closed => {}
            stage @ Stage::Open { .. } => {
                self.inner.enter(stage, Stage::HalfOpen { probes_out: 1, probes_passed: 0 });
            }
            Stage::HalfOpen { probes_out, .. } => *probes_out += 1,
        }
        Ok(self.permit(self.inner.turn.load(Ordering::Relaxed)))
    }

    /// Leave for a call that is made whatever the state: for a balancer in panic, when too many endpoints are open at
    /// once for the rest to carry the load. It takes part like any other where [`try_acquire`](Self::try_acquire) would
    /// have agreed, and is not counted otherwise.
    pub fn acquire_anyway(&self, now: Instant) -> Permit {
        self.try_acquire(now).unwrap_or_else(|Open { .. }| self.permit(NO_TURN))
    }

    /// Would [`try_acquire`](Self::try_acquire) agree now? Takes nothing: this is the balancer's question.
    pub fn admits(&self, now: Instant) -> bool {
        self.state() == State::Closed || self.inner.room(lock(&self.inner.core).stage, now).is_ok()
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        state_of(self.inner.turn.load(Ordering::Acquire))
    }

    fn permit(&self, turn: u64) -> Permit {
        Permit { inner: Arc::clone(&self.inner), turn, reported: false }
    }
}

impl Permit {
    /// The call was answered well after `elapsed`; longer than `slow_call_ms`, it still counts as failed.
    pub fn success(self, now: Instant, elapsed: Duration) {
        let well = elapsed <= Duration::from_millis(self.inner.config.slow_call_ms);
        self.report(now, well);
    }

    /// The call failed in a way that speaks against the endpoint. (An answer such as 404 is a success.)
    pub fn failure(self, now: Instant) {
        self.report(now, false);
    }

    fn report(mut self, now: Instant, well: bool) {
        self.reported = true;
        self.inner.settle(self.turn, |inner, core| match &mut core.stage {
            Stage::Closed => {
                core.window.push(!well);
                core.in_a_row = if well { 0 } else { core.in_a_row.saturating_add(1) };
                if inner.tripped(&core.window, core.in_a_row) {
                    inner.enter(&mut core.stage, Stage::Open { since: now });
                }
            }
            stage @ Stage::HalfOpen { .. } if !well => inner.enter(stage, Stage::Open { since: now }),
            Stage::HalfOpen { probes_out, probes_passed } => {
                *probes_out -= 1;
                *probes_passed += 1;
                if *probes_passed == inner.config.half_open_calls {
                    core.window.clear();
                    core.in_a_row = 0;
                    inner.enter(&mut core.stage, Stage::Closed);
                }
            }
            Stage::Open { .. } => {}
        });
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        // While closed an unreported call holds nothing: no need for the lock.
        if self.reported || state_of(self.turn) != State::HalfOpen {
            return;
        }
        self.inner.settle(self.turn, |_, core| {
            if let Stage::HalfOpen { probes_out, .. } = &mut core.stage {
                *probes_out -= 1;
            }
        });
    }
}

impl Inner {
    /// Is there room for one more call?
    fn room(&self, stage: Stage, now: Instant) -> Result<(), Open> {
        let rest = Duration::from_millis(self.config.open_ms);
        match stage {
            Stage::Closed => Ok(()),
            Stage::Open { since } => {
                let left = rest.saturating_sub(now.saturating_duration_since(since));
                if left.is_zero() { Ok(()) } else { Err(Open { retry_after: left }) }
            }
            Stage::HalfOpen { probes_out, probes_passed } => {
                if probes_out + probes_passed < self.config.half_open_calls {
                    return Ok(());
                }
                Err(Open { retry_after: rest.min(Duration::from_millis(self.config.slow_call_ms)) })
            }
        }
    }

    /// Does what a permit's end asks for, unless the breaker has moved on since it was given.
    fn settle(&self, turn: u64, then: impl FnOnce(&Self, &mut Core)) {
        let mut core = lock(&self.core);
        if self.turn.load(Ordering::Relaxed) == turn {
            then(self, &mut core);
        }
    }

    fn tripped(&self, window: &Window, in_a_row: u32) -> bool {
        let BreakerConfig { min_calls, failure_rate_percent, consecutive_failures, .. } = self.config;
        let by_share = window.calls() >= min_calls
            && u64::from(window.bad()) * 100 >= u64::from(failure_rate_percent) * u64::from(window.calls());
        by_share || (consecutive_failures > 0 && in_a_row >= consecutive_failures)
    }

    /// Moves on to another stage. `stage` is borrowed from the locked core, which is what makes the plain store safe.
    fn enter(&self, stage: &mut Stage, next: Stage) {
        let state = match next {
            Stage::Closed => State::Closed,
            Stage::Open { .. } => State::Open,
            Stage::HalfOpen { .. } => State::HalfOpen,
        };
        *stage = next;
        let turn = self.turn.load(Ordering::Relaxed);
        self.turn.store(next_turn(turn, state), Ordering::Release);
    }
}

/// A turn is a counter with the state in its two lowest bits, so that one load tells both.
fn next_turn(turn: u64, state: State) -> u64 {
    let code = match state {
        State::Closed => 0,
        State::Open => 1,
        State::HalfOpen => 2,
    };
    ((turn >> 2) + 1) << 2 | code
}

fn state_of(turn: u64) -> State {
    match turn & 0b11 {
        0 => State::Closed,
        2 => State::HalfOpen,
        _ => State::Open,
    }
}

#[cfg(test)]
mod tests;
