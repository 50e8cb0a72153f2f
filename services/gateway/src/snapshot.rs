//! [`Snapshot`]: a configuration, checked and made ready to be read by every request without a thought.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use contracts::permission::{Permission, Permissions};
use resilience::retry::{Backoff, RetryBudget, RetryPolicy};
use settings::{GatewayConfig, RouteAccess};
use traces::{Sampling, Tracer};

use crate::client::Trusted;
use crate::kept::{Kept, Lane};
use crate::limits::{Buckets, Limits, Store};
use crate::metrics::{Meters, RouteMeters};
use crate::own::Own;
use crate::routing::Routes;

/// The service's name of what the gateway answers itself.
pub(crate) const GATEWAY: &str = "gateway";

/// What every request reads.
pub(crate) struct Snapshot {
    pub(crate) routes: Routes,
    pub(crate) trusted: Trusted,
    pub(crate) body_bytes_max: u64,
    pub(crate) access_log: bool,
    pub(crate) sampling: Sampling,
    pub(crate) lanes: Vec<Arc<Lane>>,
    /// Where gateways count together.
    pub(crate) store: Option<Arc<Store>>,
}

/// One operation, ready.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) method: settings::Method,
    /// The template: the only form of a path that logs and metrics ever see.
    pub(crate) template: Arc<str>,
    /// `None`: anybody.
    pub(crate) needs: Option<Permissions>,
    pub(crate) timeout: Duration,
    pub(crate) limits: Limits,
    pub(crate) buckets: Arc<Buckets>,
    pub(crate) target: Target,
    pub(crate) meters: RouteMeters,
}

/// Who answers.
#[derive(Debug)]
pub(crate) enum Target {
    /// The gateway.
    Own(Own),
    /// A service.
    Service { lane: Arc<Lane>, retries: RetryPolicy, budget: Arc<RetryBudget> },
}

/// A configuration that cannot be taken, with everything that is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the gateway's configuration is not valid: {}", faults.join("; "))]
pub struct ConfigError {
    /// Each fault, beginning with its place.
    pub faults: Vec<String>,
}

impl Snapshot {
    /// Checks a configuration and makes it ready. Nothing that runs is touched if it is refused.
    pub(crate) fn build(config: GatewayConfig, kept: &Kept, meters: &Meters) -> Result<Self, ConfigError> {
        let trusted = check(&config, kept)?;
        let mut snapshot = Self {
            routes: Routes::default(),
            trusted,
            body_bytes_max: config.body_bytes_max,
            access_log: config.access_log,
            sampling: Sampling::of(config.observability.tracing.as_ref()),
            lanes: Vec::new(),
            store: None,
        };
        let mut faults = Vec::new();
        let own = Own::routes(&config);
        for (number, route) in config.routes.iter().chain(&own).enumerate() {
            let ready = Arc::new(snapshot.route(route, &config, kept, meters));
            if let Err(error) = snapshot.routes.insert(&route.path, ready) {
                let Some(_) = config.routes.get(number) else { continue };
                faults.push(format!("routes[{number}].path: {} {error}", route.path));
            }
        }
        if !faults.is_empty() {
            return Err(ConfigError { faults });
        }
        snapshot.store = kept.store(config.rate_limit_store.as_ref(), &meters.store);
        kept.sweep(&snapshot.lanes);
        Ok(snapshot)
    }

    fn route(
        &mut self,
        route: &settings::Route,
        config: &GatewayConfig,
        kept: &Kept,
        meters: &Meters,
    ) -> Route {
        let needs = match &route.access {
            RouteAccess::Public => None,
            RouteAccess::Permissions(names) => {
                Some(names.iter().filter_map(|name| name.parse().ok()).collect::<Permissions>())
            }
        };
        // Both were checked: an upstream there is, and its addresses are addresses.
        let lane = config
            .upstreams
            .get(&route.service)
            .and_then(|upstream| kept.lane(&route.service, upstream, route.circuit_breaker).ok());
        let target = match lane {
            Some(lane) => {
                if !self.lanes.iter().any(|known| Arc::ptr_eq(known, &lane)) {
                    self.lanes.push(Arc::clone(&lane));
                }
                let retries = route.retries.map_or(
                    RetryPolicy { retries_max: 0, backoff: Backoff { base_ms: 0, max_ms: 0 } },
                    |retries| RetryPolicy {
                        retries_max: retries.attempts,
                        backoff: Backoff { base_ms: retries.base_backoff_ms, max_ms: retries.max_backoff_ms },
                    },
                );
                let percent = route.retries.map_or(0, |retries| retries.budget_percent);
                Target::Service { lane, retries, budget: kept.budget(&route.service, percent) }
            }
            None => Target::Own(Own::at(&route.path).unwrap_or(Own::Live)),
        };
        let scope = scope(route);
        let none = settings::RateLimits::default();
        let limits = match &target {
            // A probe that is refused because somebody else asks too often would end a healthy gateway.
            Target::Own(own) if own.is_probe() => &none,
            _ => route.rate_limits.as_ref().unwrap_or(&config.rate_limits),
        };
        Route {
            method: route.method,
            template: route.path.as_str().into(),
            needs,
            timeout: Duration::from_millis(route.timeout_ms),
            limits: Limits::new(limits, config.replicas, &scope),
            buckets: kept.buckets(&scope),
            target,
            meters: meters.route(route.method, &route.path),
        }
    }
}

/// Whom a route counts together with: nothing for the gateway's limits; its own name, or its group's, for limits of its own.
fn scope(route: &settings::Route) -> String {
    match (&route.rate_limits, &route.rate_limits_as) {
        (None, _) => String::new(),
        (Some(_), Some(group)) => group.clone(),
        (Some(_), None) => format!("{} {}", route.method.as_str(), route.path),
    }
}

/// Everything that can be wrong, but for paths that only the router can judge.
fn check(config: &GatewayConfig, kept: &Kept) -> Result<Trusted, ConfigError> {
    let mut faults = Vec::new();
    let mut seen = HashSet::new();
    for (number, route) in config.routes.iter().enumerate() {
        let mut fault = |field: &str, what: String| faults.push(format!("routes[{number}].{field}: {what}"));
        if !route.path.starts_with('/') {
            fault("path", format!("{} does not begin with a slash", route.path));
        }
        if route.path.starts_with("/internal/") || route.path.starts_with("/{") {
            fault("path", format!("{} would let internal routes out", route.path));
        }
        if !seen.insert((route.method, route.path.as_str())) {
            fault("path", format!("{} {} is there twice", route.method.as_str(), route.path));
        }
        if route.service == GATEWAY {
            if Own::at(&route.path).is_none() || route.method != settings::Method::Get {
                fault("service", format!("the gateway has no answer to {}", route.path));
            }
        } else if !config.upstreams.contains_key(&route.service) {
            fault("service", format!("there is no upstream {}", route.service));
        }
        if let RouteAccess::Permissions(names) = &route.access {
            for name in names.iter().filter(|name| name.parse::<Permission>().is_err()) {
                fault("access", format!("there is no permission {name}"));
            }
        }
        if route.timeout_ms == 0 {
            fault("timeoutMs", "must be more than nothing".to_owned());
        }
        if let Some(header) = route.rate_limits.as_ref().and_then(bad_header) {
            fault("rateLimits.perKey.header", header);
        }
    }
    for (name, upstream) in &config.upstreams {
        for address in &upstream.endpoints {
            if let Err(fault) = kept.endpoint(address, upstream) {
                faults.push(format!("upstreams.{name}.endpoints: {address} {fault}"));
            }
        }
    }
    if let Some(header) = bad_header(&config.rate_limits) {
        faults.push(format!("rateLimits.perKey.header: {header}"));
    }
    if let Some(store) = &config.rate_limit_store {
        if tls::ServerName::try_from(store.host.as_str()).is_err() {
            faults.push(format!("rateLimitStore.host: {} is neither a name nor an address", store.host));
        }
        if store.timeout_ms == 0 {
            faults.push("rateLimitStore.timeoutMs: must be more than nothing".to_owned());
        }
    }
    if let Some(Err(why)) = config.observability.tracing.as_ref().map(Tracer::check) {
        faults.push(format!("observability.tracing.endpoint: {why}"));
    }
    let trusted = Trusted::parse(&config.trusted_proxies).unwrap_or_else(|block| {
        faults.push(format!("trustedProxies: {block} is no address block"));
        Trusted::default()
    });
    if faults.is_empty() { Ok(trusted) } else { Err(ConfigError { faults }) }
}

/// What is wrong with the header that programs name themselves in.
fn bad_header(limits: &settings::RateLimits) -> Option<String> {
    let header = &limits.per_key.as_ref()?.header;
    header.parse::<http::HeaderName>().is_err().then(|| format!("{header} is no header's name"))
}
