//! `spec.gateway.routes`: each makes sense alone, and none opens what is closed.

use std::collections::BTreeMap;

use contracts::endpoint::{Access, Operation};
use contracts::permission::Permission;
use contracts::stand_in::Tells;
use settings::{Breaker, Fallback, Hedge, Retries, ServiceName, StaticAnswer};

use super::bounds;
use crate::fault::Faults;
use crate::plan::{policy_of, prefix_covers};
use crate::spec::{
    BreakerSpec, FallbackSpec, HedgeSpec, RetriesSpec, RouteAuth, RouteSpec, Span, StaticAnswerSpec,
};
use crate::{RoutePolicy, Service};

/// Operations that nobody could sign in without.
const SIGN_IN: [&str; 3] = ["login", "refresh", "jwks"];

const MINUTES_10: Span = Span::from_secs(600);

fn path_of(index: usize) -> String {
    format!("spec.gateway.routes[{index}]")
}

pub(super) fn validate(
    specs: &[RouteSpec],
    services: &BTreeMap<ServiceName, Service>,
    faults: &mut Faults,
) -> Vec<RoutePolicy> {
    let routes: Vec<_> =
        specs.iter().enumerate().map(|(index, spec)| route(&path_of(index), spec, faults)).collect();
    for (index, route) in routes.iter().enumerate() {
        check_place(index, route, &routes[..index], services, faults);
    }
    check_access(&routes, faults);
    routes
}

/// The route by itself.
fn route(path: &str, spec: &RouteSpec, faults: &mut Faults) -> RoutePolicy {
    bounds::span(
        format!("{path}.timeout"),
        spec.timeout,
        Span::from_millis(10),
        Span::from_secs(300),
        faults,
    );
    let permissions = permissions(path, spec, faults);
    let tells = Tells::of([spec.service.into()], permissions.iter().copied());
    RoutePolicy {
        path: spec.path.clone(),
        service: spec.service.into(),
        auth: spec.auth,
        permissions,
        timeout: spec.timeout,
        retries: retries(&format!("{path}.retries"), spec.retries.unwrap_or_default(), spec.timeout, faults),
        circuit_breaker: breaker(
            &format!("{path}.circuitBreaker"),
            spec.circuit_breaker.unwrap_or_default(),
            faults,
        ),
        fallback: spec.fallback.as_ref().map_or(Fallback::Unavailable, |fallback| {
            self::fallback(&format!("{path}.fallback"), tells, fallback, faults)
        }),
        hedge: spec.hedge.map(|hedge| self::hedge(&format!("{path}.hedge"), hedge, spec.timeout, faults)),
        rate_limits: spec.rate_limits.clone(),
        concurrency_max: spec.max_concurrent,
        balancing: spec.load_balancing,
    }
}

fn permissions(path: &str, spec: &RouteSpec, faults: &mut Faults) -> Vec<Permission> {
    let mut known = Vec::new();
    for (index, name) in spec.permissions.iter().enumerate() {
        let path = format!("{path}.permissions[{index}]");
        match name.parse::<Permission>() {
            Ok(permission) if permission.is_internal() => {
                faults.add(path, format!("{name} is for services: no person has it"));
            }
            Ok(permission) => known.push(permission),
            Err(()) => faults.add(path, format!("{name} is no permission; write one such as patients:read")),
        }
    }
    known
}

pub(super) fn retries(path: &str, spec: RetriesSpec, timeout: Span, faults: &mut Faults) -> Retries {
    let RetriesSpec { backoff, max_backoff, .. } = spec;
    let millisecond = Span::from_millis(1);
    bounds::span(format!("{path}.backoff"), backoff, millisecond, Span::from_secs(10), faults);
    bounds::span(format!("{path}.maxBackoff"), max_backoff, millisecond, Span::from_secs(60), faults);
    if backoff > max_backoff {
        faults.add(path, format!("backoff ({backoff}) must be at most maxBackoff ({max_backoff})"));
    }
    if let Some(per_try) = spec.per_try {
        let path = format!("{path}.perTry");
        bounds::span(&path, per_try, millisecond, Span::from_secs(300), faults);
        no_longer_than(path, per_try, timeout, faults);
    }
    spec.into()
}

impl From<RetriesSpec> for Retries {
    fn from(spec: RetriesSpec) -> Self {
        Self {
            attempts: spec.attempts,
            base_backoff_ms: spec.backoff.millis(),
            max_backoff_ms: spec.max_backoff.millis(),
            budget_percent: spec.budget_percent,
            per_try_ms: spec.per_try.map(Span::millis),
        }
    }
}

fn no_longer_than(path: String, span: Span, timeout: Span, faults: &mut Faults) {
    if span > timeout {
        faults.add(path, format!("must be at most the route's timeout ({timeout})"));
    }
}

fn hedge(path: &str, spec: HedgeSpec, timeout: Span, faults: &mut Faults) -> Hedge {
    let path = format!("{path}.after");
    bounds::span(&path, spec.after, Span::from_millis(1), Span::from_secs(60), faults);
    no_longer_than(path, spec.after, timeout, faults);
    Hedge { after_ms: spec.after.millis(), percent_max: spec.max_percent }
}

pub(super) fn breaker(path: &str, spec: BreakerSpec, faults: &mut Faults) -> Breaker {
    let BreakerSpec { min_calls, window_calls, .. } = spec;
    bounds::span(format!("{path}.slowCall"), spec.slow_call, Span::from_millis(1), MINUTES_10, faults);
    bounds::span(format!("{path}.openFor"), spec.open_for, Span::from_millis(10), MINUTES_10, faults);
    if min_calls > window_calls {
        faults.add(path, format!("minCalls ({min_calls}) must be at most windowCalls ({window_calls})"));
    }
    Breaker {
        failure_rate_percent: spec.failure_rate_percent,
        window_calls,
        min_calls,
        consecutive_failures: spec.consecutive_failures,
        slow_call_ms: spec.slow_call.millis(),
        open_ms: spec.open_for.millis(),
        half_open_calls: spec.half_open_calls,
    }
}

fn fallback(path: &str, tells: Tells, spec: &FallbackSpec, faults: &mut Faults) -> Fallback {
    match (spec.unavailable, spec.stale_read, &spec.static_answer) {
        (Some(_), None, None) => Fallback::Unavailable,
        (None, Some(stale_read), None) => {
            let path = format!("{path}.staleRead");
            if let Some(why) = tells.stale_refused() {
                faults.add(&path, why);
            } else {
                let (second, oldest) =
                    (Span::from_secs(1), Span::from_secs(tells.stale_seconds_max().into()));
                bounds::span(format!("{path}.maxAge"), stale_read.max_age, second, oldest, faults);
            }
            Fallback::StaleRead { max_age_seconds: stale_read.max_age.secs() }
        }
        (None, None, Some(answer)) => static_answer(&format!("{path}.static"), tells, answer, faults),
        _ => {
            faults.add(path, "must have exactly one of unavailable, staleRead and static");
            Fallback::Unavailable
        }
    }
}

fn static_answer(path: &str, tells: Tells, spec: &StaticAnswerSpec, faults: &mut Faults) -> Fallback {
    if let Some(why) = tells.static_refused() {
        faults.add(path, why);
    }
    if !matches!(spec.status, 200..=203 | 400..=599) {
        faults.add(
            format!("{path}.status"),
            "must be the status of an answer with a body: 200 to 203, or 400 and above",
        );
    }
    if serde_json::from_str::<serde::de::IgnoredAny>(&spec.body).is_err() {
        faults.add(format!("{path}.body"), "must be JSON");
    }
    Fallback::Static(StaticAnswer {
        status: spec.status,
        content_type: "application/json".to_owned(),
        body: spec.body.clone(),
        headers: BTreeMap::new(),
    })
}

/// The route among the others and among the services.
fn check_place(
    index: usize,
    route: &RoutePolicy,
    earlier: &[RoutePolicy],
    services: &BTreeMap<ServiceName, Service>,
    faults: &mut Faults,
) {
    let path = path_of(index);
    // Two paths that differ only in what they call an id are one path.
    let same = |other: &RoutePolicy| {
        prefix_covers(&other.path, &route.path) && prefix_covers(&route.path, &other.path)
    };
    if let Some(other) = earlier.iter().find(|other| same(other)) {
        faults.add(format!("{path}.path"), format!("{} is there already", other.path));
    }
    if services.get(&route.service).is_some_and(|service| !service.enabled) {
        faults.add(format!("{path}.service"), format!("{} is not enabled", route.service.short()));
    }
    let covered = || public_operations().filter(|operation| prefix_covers(&route.path, operation.path));
    if !covered().any(|operation| operation.service == Some(route.service)) {
        let others: Vec<_> = ServiceName::ALL
            .into_iter()
            .filter(|service| covered().any(|operation| operation.service == Some(*service)))
            .map(ServiceName::short)
            .collect();
        let message = if !others.is_empty() {
            format!("{} answers nothing here; it is for {}", route.service.short(), others.join(" and "))
        } else if covered().next().is_some() {
            "the gateway itself answers here".to_owned()
        } else {
            "no operation has this path, or one under it".to_owned()
        };
        faults.add(format!("{path}.path"), message);
    }
}

/// For each operation, the route that it is treated by neither opens it nor shuts out everybody.
fn check_access(routes: &[RoutePolicy], faults: &mut Faults) {
    for operation in public_operations() {
        let Some(index) = policy_of(routes, operation)
            .and_then(|route| routes.iter().position(|other| std::ptr::eq(other, route)))
        else {
            continue;
        };
        let route = &routes[index];
        let path = path_of(index);
        let name = format!("{} {}", operation.method.as_str(), operation.path);
        if route.auth == Some(RouteAuth::None) {
            if operation.access != Access::Public {
                faults.add(format!("{path}.auth"), format!("must not be None: {name} is not public"));
            }
            if !route.permissions.is_empty() {
                faults.add(&path, "has permissions, for which a token is needed, and auth None");
            }
        } else if SIGN_IN.contains(&operation.id) && (route.auth.is_some() || !route.permissions.is_empty()) {
            faults.add(&path, format!("nobody could sign in: {name} must stay public"));
        } else if operation.access == Access::Enrolling && !route.permissions.is_empty() {
            faults
                .add(&path, format!("nobody could enrol a second factor: {name} must ask for no permission"));
        }
    }
}

fn public_operations() -> impl Iterator<Item = &'static Operation> {
    contracts::operations().filter(|operation| !operation.is_internal())
}
