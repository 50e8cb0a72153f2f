//! [`plan_gateway`]: every public operation of every service that runs, on the terms of the route that covers it.

use contracts::endpoint::{Access, Operation};
use contracts::permission::Permission;
use settings::{
    Cors, Fallback, GatewayAuth, GatewayConfig, HealthCheck, Method, Prometheus, RateLimitStore, RateLimits,
    Route, RouteAccess, ServiceName, StoreTls, Upstream,
};

use super::priority::priority;
use super::{AUDIENCE, Placement, issuer, observability};
use crate::spec::{CorsSpec, RateLimitStoreSpec, RouteAuth};
use crate::{RoutePolicy, Stack, names};

/// The largest request body: 1 MiB.
const BODY_BYTES_MAX: u64 = 1 << 20;

/// What the gateway answers itself, beside the operations that `contracts` declares for it: the documentation, for everybody.
const DOCUMENTATION: [&str; 3] = ["/api/docs", "/api/docs/openapi.json", "/api/docs/problems"];

/// The `service` of a route that the gateway answers itself.
const GATEWAY: &str = "gateway";

/// What the gateway is told.
pub fn plan_gateway(stack: &Stack, placement: &Placement) -> GatewayConfig {
    let operations = contracts::operations().filter(|operation| !operation.is_internal());
    let routes = operations
        .filter_map(|operation| match operation.service {
            Some(service) => stack.is_enabled(service).then(|| service_route(stack, operation, service)),
            None => Some(gateway_route(operation.method, operation.path, access(operation.access, &[]))),
        })
        .chain(DOCUMENTATION.map(|path| gateway_route(Method::Get, path, RouteAccess::Public)))
        .collect();
    let upstreams = stack
        .enabled()
        .map(|service| {
            let endpoints = vec![placement.address(stack, service)];
            let upstream = Upstream {
                protocol: stack.gateway.protocol,
                balancing: stack.gateway.balancing,
                concurrency: stack.gateway.concurrency,
                health_check: Some(HealthCheck::default()),
                ..Upstream::from(endpoints)
            };
            (service.to_string(), upstream)
        })
        .collect();
    GatewayConfig {
        routes,
        upstreams,
        // The gateway itself finds out where it is.
        zone: None,
        auth: GatewayAuth {
            issuer: issuer(stack),
            audience: AUDIENCE.to_owned(),
            service: ServiceName::AuthService,
            revocations_stale_seconds: stack.auth.revocations_stale_after.secs(),
        },
        rate_limits: stack.gateway.rate_limits.clone(),
        rate_limit_store: stack.gateway.rate_limit_store.as_ref().map(|store| rate_limit_store(stack, store)),
        replicas: placement.gateways(stack),
        peers: placement.gateway(stack),
        trusted_proxies: stack.gateway.trusted_proxies.clone(),
        cors: stack.gateway.cors.as_ref().map(cors),
        body_bytes_max: BODY_BYTES_MAX,
        access_log: stack.gateway.access_log,
        prometheus: prometheus(stack, placement),
        observability: observability(stack),
    }
}

fn service_route(stack: &Stack, operation: &Operation, service: ServiceName) -> Route {
    let default = RoutePolicy::of_no_route(service);
    let policy = policy_of(&stack.gateway.routes, operation).unwrap_or(&default);
    let repeatable =
        matches!(operation.method, Method::Get | Method::Put | Method::Delete) && policy.retries.attempts > 0;
    let access = match (operation.access, policy.auth) {
        (Access::Public, Some(RouteAuth::Required)) => access(Access::SignedIn, &policy.permissions),
        (declared, _) => access(declared, &policy.permissions),
    };
    let timeout_ms = policy.timeout.millis();
    Route {
        retries: repeatable.then_some(policy.retries),
        circuit_breaker: Some(policy.circuit_breaker),
        fallback: Some(match operation.method {
            Method::Get => policy.fallback.clone(),
            _ => Fallback::Unavailable,
        }),
        hedge: policy.hedge.filter(|_| operation.method == Method::Get),
        rate_limits: policy.rate_limits.as_ref().map(|own| limits(own, &stack.gateway.rate_limits)),
        rate_limits_as: policy.rate_limits.as_ref().map(|_| policy.path.clone()),
        priority: priority(operation, service),
        concurrency_max: policy.concurrency_max,
        concurrency_as: policy.concurrency_max.map(|_| policy.path.clone()),
        balancing: policy.balancing.filter(|own| *own != stack.gateway.balancing),
        ..Route::new(operation.method, operation.path, service.as_str(), access, timeout_ms)
    }
}

/// A route's own limits. What it leaves out of those by who asks is as elsewhere.
fn limits(own: &RateLimits, elsewhere: &RateLimits) -> RateLimits {
    RateLimits {
        per_client: own.per_client.or(elsewhere.per_client),
        per_user: own.per_user.or(elsewhere.per_user),
        per_key: own.per_key.clone().or_else(|| elsewhere.per_key.clone()),
        total: own.total,
    }
}

fn rate_limit_store(stack: &Stack, spec: &RateLimitStoreSpec) -> RateLimitStore {
    RateLimitStore {
        host: spec.host.clone(),
        port: spec.port,
        tls: spec.tls.as_ref().map(|tls| StoreTls { ca: tls.ca.clone() }),
        username: spec.username.clone(),
        password: spec.password.clone(),
        database: spec.database,
        timeout_ms: spec.timeout.millis(),
        // Several stacks may share a store, and several clusters.
        prefix: format!("{}/{}", stack.namespace, stack.name),
    }
}

fn cors(spec: &CorsSpec) -> Cors {
    Cors { origins: spec.origins.clone(), max_age_seconds: spec.max_age.secs() }
}

/// The one that the stack names, or that runs beside it. By these labels samples are told from those of other stacks, whoever collects them.
fn prometheus(stack: &Stack, placement: &Placement) -> Option<Prometheus> {
    let named = stack.observability.prometheus.as_ref().map(|prometheus| prometheus.url.clone());
    Some(Prometheus {
        url: named.or_else(|| placement.prometheus())?,
        labels: names::sample_labels(&stack.namespace, &stack.name),
    })
}

/// A route that never leaves the gateway, so that there is nothing to repeat or to fall back from.
fn gateway_route(method: Method, path: &str, access: RouteAccess) -> Route {
    Route::new(method, path, GATEWAY, access, crate::spec::RouteSpec::default_timeout().millis())
}

/// What the operation declares, and what the stack asks for beside it.
fn access(declared: Access, tightened: &[Permission]) -> RouteAccess {
    let mut permissions = match declared {
        Access::Public if tightened.is_empty() => return RouteAccess::Public,
        Access::Public | Access::SignedIn | Access::Enrolling => Vec::new(),
        Access::Needs(permission) => vec![permission],
    };
    permissions.extend(tightened);
    permissions.sort_unstable();
    permissions.dedup();
    RouteAccess::Permissions(permissions.into_iter().map(|permission| permission.to_string()).collect())
}

/// The route with the longest path that covers an operation, if there is one.
pub(crate) fn policy_of<'a>(routes: &'a [RoutePolicy], operation: &Operation) -> Option<&'a RoutePolicy> {
    routes
        .iter()
        .filter(|route| {
            operation.service == Some(route.service) && prefix_covers(&route.path, operation.path)
        })
        .max_by_key(|route| route.path.split('/').count())
}

/// Whether a path template is `prefix` or under it, segment by segment; an id is an id, whatever it is called.
pub(crate) fn prefix_covers(prefix: &str, template: &str) -> bool {
    let mut segments = template.split('/');
    prefix.split('/').all(|wanted| {
        segments.next().is_some_and(|segment| segment == wanted || (is_id(segment) && is_id(wanted)))
    })
}

fn is_id(segment: &str) -> bool {
    segment.starts_with('{') && segment.ends_with('}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_where_a_segment_ends() {
        assert!(prefix_covers("/api/patients", "/api/patients"));
        assert!(prefix_covers("/api/patients", "/api/patients/{patientId}"));
        assert!(prefix_covers("/api/providers/{id}/slots", "/api/providers/{providerId}/slots"));
        assert!(!prefix_covers("/api/pat", "/api/patients"));
        assert!(!prefix_covers("/api/patients/{patientId}", "/api/patients"));
        assert!(!prefix_covers("/api/patients/12345", "/api/patients/{patientId}"));
    }
}
