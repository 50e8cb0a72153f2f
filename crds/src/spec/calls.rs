//! `spec.serviceCalls`: on what terms the services call each other.
//!
//! Repetitions and breaker have the fields of a route's, and other defaults: what is called is near, and called by many at once.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use settings::ServiceCalls;

use super::{BreakerSpec, RetriesSpec, Span, rules};

/// On what terms the services call each other. Each service keeps count of each other one by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceCallsSpec {
    /// How long a call may take, repetitions and pauses included: 10ms to 60s. It never takes longer than whoever asked the calling service
    /// waits.
    #[schemars(extend("x-kubernetes-validations" = rules::between("10ms", "60s")))]
    pub timeout: Span,
    /// How long each attempt may take, if there is so much left of `timeout`: 10ms to 60s.
    #[schemars(extend("x-kubernetes-validations" = rules::between("10ms", "60s")))]
    pub attempt_timeout: Span,
    /// Calls of a pod to one service under way at once. More are refused at once.
    #[schemars(range(min = 1, max = 10_000))]
    pub max_concurrent: u32,
    /// Attempts after the first, of what is safe to repeat.
    pub retries: CallRetriesSpec,
    /// When a service that fails is given a rest.
    pub circuit_breaker: CallBreakerSpec,
}

/// Attempts after the first, of what is safe to repeat: GET, PUT, DELETE, and a POST that carries an `Idempotency-Key`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = rules::retries()))]
pub struct CallRetriesSpec {
    /// How many at most; 0: none.
    #[schemars(range(min = 0, max = 5))]
    pub attempts: u32,
    /// Pause before the first, 1ms to 10s; it doubles each time, and a random part of it is waited.
    #[schemars(extend("x-kubernetes-validations" = rules::between("1ms", "10s")))]
    pub backoff: Span,
    /// The longest pause, 1ms to 60s.
    #[schemars(extend("x-kubernetes-validations" = rules::between("1ms", "60s")))]
    pub max_backoff: Span,
    /// Repetitions may be at most this share of all calls, percent, beside ten a second.
    #[schemars(range(min = 0, max = 100))]
    pub budget_percent: u32,
}

/// When a service that fails is given a rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = rules::breaker()))]
pub struct CallBreakerSpec {
    /// Opens when at least this share of the calls in the window failed or were slow, percent.
    #[schemars(range(min = 1, max = 100))]
    pub failure_rate_percent: u32,
    /// The window, in calls.
    #[schemars(range(min = 1, max = 10_000))]
    pub window_calls: u32,
    /// No decision by their share before this many calls; at most the window.
    #[schemars(range(min = 1, max = 10_000))]
    pub min_calls: u32,
    /// Opens too when so many calls in a row failed or were slow; 0: never.
    #[schemars(range(min = 0, max = 10_000))]
    pub consecutive_failures: u32,
    /// A call that takes longer counts as failed: 1ms to 10m.
    #[schemars(extend("x-kubernetes-validations" = rules::between("1ms", "10m")))]
    pub slow_call: Span,
    /// How long it stays open before it lets a few calls try: 10ms to 10m.
    #[schemars(extend("x-kubernetes-validations" = rules::between("10ms", "10m")))]
    pub open_for: Span,
    /// How many calls may try at once.
    #[schemars(range(min = 1, max = 100))]
    pub half_open_calls: u32,
}

impl Default for ServiceCallsSpec {
    fn default() -> Self {
        let default = ServiceCalls::default();
        Self {
            timeout: Span::from_millis(default.timeout_ms),
            attempt_timeout: Span::from_millis(default.attempt_timeout_ms),
            max_concurrent: default.calls_max,
            retries: CallRetriesSpec::default(),
            circuit_breaker: CallBreakerSpec::default(),
        }
    }
}

impl Default for CallRetriesSpec {
    fn default() -> Self {
        let default = ServiceCalls::default().retries;
        Self {
            attempts: default.attempts,
            backoff: Span::from_millis(default.base_backoff_ms),
            max_backoff: Span::from_millis(default.max_backoff_ms),
            budget_percent: default.budget_percent,
        }
    }
}

impl Default for CallBreakerSpec {
    fn default() -> Self {
        let default = ServiceCalls::default().circuit_breaker;
        Self {
            failure_rate_percent: default.failure_rate_percent,
            window_calls: default.window_calls,
            min_calls: default.min_calls,
            consecutive_failures: default.consecutive_failures,
            slow_call: Span::from_millis(default.slow_call_ms),
            open_for: Span::from_millis(default.open_ms),
            half_open_calls: default.half_open_calls,
        }
    }
}

impl From<CallRetriesSpec> for RetriesSpec {
    fn from(spec: CallRetriesSpec) -> Self {
        let CallRetriesSpec { attempts, backoff, max_backoff, budget_percent } = spec;
        Self { attempts, backoff, max_backoff, budget_percent, per_try: None }
    }
}

impl From<CallBreakerSpec> for BreakerSpec {
    fn from(spec: CallBreakerSpec) -> Self {
        Self {
            failure_rate_percent: spec.failure_rate_percent,
            window_calls: spec.window_calls,
            min_calls: spec.min_calls,
            consecutive_failures: spec.consecutive_failures,
            slow_call: spec.slow_call,
            open_for: spec.open_for,
            half_open_calls: spec.half_open_calls,
        }
    }
}
