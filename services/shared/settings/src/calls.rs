//! [`ServiceCalls`]: on what terms a service calls the others.

use serde::{Deserialize, Serialize};

use crate::{Breaker, Retries};

/// On what terms a service calls the others: each of them by itself, so that one that fails slows no call to another.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceCalls {
    /// How long a call may take, repetitions and pauses included, milliseconds. It never takes longer than whoever asked this service waits.
    pub timeout_ms: u64,
    /// How long each attempt may take, milliseconds.
    pub attempt_timeout_ms: u64,
    /// Calls to one service under way at once; more are refused at once.
    pub calls_max: u32,
    /// Attempts after the first, of what is safe to repeat.
    pub retries: Retries,
    /// When a service is given a rest.
    pub circuit_breaker: Breaker,
}

impl Default for ServiceCalls {
    fn default() -> Self {
        Self {
            timeout_ms: 5_000,
            attempt_timeout_ms: 2_000,
            calls_max: 512,
            retries: Retries {
                attempts: 2,
                base_backoff_ms: 20,
                max_backoff_ms: 500,
                budget_percent: 20,
                per_try_ms: None,
            },
            circuit_breaker: Breaker {
                failure_rate_percent: 50,
                window_calls: 50,
                min_calls: 10,
                consecutive_failures: 5,
                slow_call_ms: 1_000,
                open_ms: 1_000,
                half_open_calls: 2,
            },
        }
    }
}
