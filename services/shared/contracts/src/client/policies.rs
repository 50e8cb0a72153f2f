//! [`Policies`]: on what terms a peer is called, with what is kept of it between calls.

use std::time::{Duration, Instant};

use resilience::breaker::{Breaker, BreakerConfig};
use resilience::bulkhead::Bulkhead;
use resilience::retry::{Backoff, RetryBudget, RetryPolicy};
use settings::ServiceCalls;

use super::attempt::Bounds;

/// On what terms a peer is called.
pub(super) struct Policies {
    timeout: Duration,
    attempt_timeout: Duration,
    /// An attempt that its caller's own time cut short says something of the peer only if it waited as long as this.
    pub(super) fair: Duration,
    pub(super) retries: RetryPolicy,
    pub(super) budget: RetryBudget,
    pub(super) breaker: Breaker,
    pub(super) bulkhead: Bulkhead,
}

impl Policies {
    pub(super) fn new(calls: &ServiceCalls, now: Instant) -> Self {
        let ServiceCalls { retries, circuit_breaker: breaker, .. } = calls;
        Self {
            timeout: Duration::from_millis(calls.timeout_ms),
            attempt_timeout: Duration::from_millis(calls.attempt_timeout_ms),
            fair: Duration::from_millis(breaker.slow_call_ms) / 4,
            retries: RetryPolicy {
                retries_max: retries.attempts,
                backoff: Backoff { base_ms: retries.base_backoff_ms, max_ms: retries.max_backoff_ms },
            },
            budget: RetryBudget::new(retries.budget_percent, RetryBudget::FLOOR_PER_SECOND, now),
            breaker: Breaker::new(BreakerConfig {
                failure_rate_percent: breaker.failure_rate_percent,
                window_calls: breaker.window_calls,
                min_calls: breaker.min_calls,
                consecutive_failures: breaker.consecutive_failures,
                slow_call_ms: breaker.slow_call_ms,
                open_ms: breaker.open_ms,
                half_open_calls: breaker.half_open_calls,
            }),
            bulkhead: Bulkhead::new(calls.calls_max),
        }
    }

    /// How long a call may take that begins now: its own time, and no longer than the request waits that it is made for.
    pub(super) fn bounds(&self, begun: Instant, timeout: Option<Duration>, until: Option<Instant>) -> Bounds {
        let held_open = timeout.is_some_and(|timeout| timeout > self.timeout);
        let timeout = timeout.unwrap_or(self.timeout);
        let attempt = if held_open { timeout } else { self.attempt_timeout };
        let own = begun + timeout;
        Bounds { begun, until: until.map_or(own, |until| until.min(own)), attempt, held_open }
    }
}
