//! `spec.serviceCalls`.

use settings::ServiceCalls;

use super::{bounds, routes};
use crate::fault::Faults;
use crate::spec::{ServiceCallsSpec, Span};

const PATH: &str = "spec.serviceCalls";

pub(super) fn validate(spec: ServiceCallsSpec, faults: &mut Faults) -> ServiceCalls {
    let ServiceCallsSpec { timeout, attempt_timeout, .. } = spec;
    let (min, max) = (Span::from_millis(10), Span::from_secs(60));
    bounds::span(format!("{PATH}.timeout"), timeout, min, max, faults);
    bounds::span(format!("{PATH}.attemptTimeout"), attempt_timeout, min, max, faults);
    ServiceCalls {
        timeout_ms: timeout.millis(),
        attempt_timeout_ms: attempt_timeout.millis(),
        calls_max: spec.max_concurrent,
        retries: routes::retries(&format!("{PATH}.retries"), spec.retries.into(), timeout, faults),
        circuit_breaker: routes::breaker(
            &format!("{PATH}.circuitBreaker"),
            spec.circuit_breaker.into(),
            faults,
        ),
    }
}
