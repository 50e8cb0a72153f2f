//! Rules that several parts of a spec share: bounds of durations, scale, resources.

use crate::Scale;
use crate::fault::Faults;
use crate::spec::{Autoscaling, Quantity, Resources, Span};

/// 365 days.
pub(super) const YEAR: Span = Span::from_secs(365 * 86_400);

/// A duration lies between two others, both allowed.
pub(super) fn span(path: impl Into<String>, span: Span, min: Span, max: Span, faults: &mut Faults) {
    if span < min {
        faults.add(path, format!("must be at least {min}"));
    } else if span > max {
        faults.add(path, format!("must be at most {max}"));
    }
}

/// How many pods: a number, or bounds for the load to decide in.
pub(super) fn scale(
    path: &str,
    replicas: Option<u32>,
    autoscaling: Option<Autoscaling>,
    faults: &mut Faults,
) -> Scale {
    match (replicas, autoscaling) {
        (Some(_), Some(autoscaling)) => {
            faults.add(format!("{path}.replicas"), "must be left out when autoscaling is set");
            Scale::Auto(autoscaling)
        }
        (replicas, None) => Scale::Fixed(replicas.unwrap_or(1)),
        (None, Some(autoscaling)) => {
            if autoscaling.min > autoscaling.max {
                let Autoscaling { min, max, .. } = autoscaling;
                faults.add(format!("{path}.autoscaling"), format!("min ({min}) must be at most max ({max})"));
            }
            Scale::Auto(autoscaling)
        }
    }
}

/// What a pod requests is no more than what it may use.
pub(super) fn resources(path: &str, resources: &Resources, faults: &mut Faults) {
    let Resources { requests: Some(requests), limits: Some(limits) } = resources else {
        return;
    };
    let mut check = |name: &str, request: Option<&Quantity>, limit: Option<&Quantity>| {
        if let (Some(request), Some(limit)) = (request, limit)
            && request.milli() > limit.milli()
        {
            faults.add(
                format!("{path}.resources"),
                format!("requests.{name} ({request}) must be at most limits.{name} ({limit})"),
            );
        }
    };
    check("cpu", requests.cpu.as_ref(), limits.cpu.as_ref());
    check("memory", requests.memory.as_ref(), limits.memory.as_ref());
}
