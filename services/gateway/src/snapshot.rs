//! [`Snapshot`]: a configuration, checked and made ready to be read by every request without a thought.

use std::collections::BTreeMap;
use std::sync::Arc;

use contracts::endpoint::Access;
use contracts::permission::{Permission, Permissions};
use http::uri::PathAndQuery;
use resilience::retry::{Backoff, RetryBudget, RetryPolicy};
use settings::{GatewayConfig, HealthCheck, RouteAccess, Upstream};
use traces::{Sampling, Tracer};

use crate::admission::{self, Admission, Tops};
use crate::canary::Canary;
use crate::client::Trusted;
use crate::cors::{self, Cors};
use crate::fallback::{self, Fallback};
use crate::kept::{Kept, Lane};
use crate::limits::{Buckets, Limits, Store};
use crate::metrics::{Meters, RouteMeters};
use crate::own::Own;
use crate::pace::{self, Pace};
use crate::rewrite::{self, Rewrite};
use crate::routing::{Routes, Wanted};
use crate::status::Fleet;

/// The service's name of what the gateway answers itself.
pub(crate) const GATEWAY: &str = "gateway";

/// Whoever is asked more often has nothing else to do.
const HEALTH_INTERVAL_MS_MIN: u64 = 10;

/// What every request reads.
pub(crate) struct Snapshot {
    pub(crate) routes: Routes,
    pub(crate) trusted: Trusted,
    pub(crate) access_log: bool,
    /// Pages of which other origins may read along.
    pub(crate) cors: Option<Box<Cors>>,
    pub(crate) sampling: Sampling,
    pub(crate) lanes: Vec<Arc<Lane>>,
    /// Those without which it is not ready.
    pub(crate) needed: Vec<Arc<Lane>>,
    /// Where gateways count together.
    pub(crate) store: Option<Arc<Store>>,
    /// Who counts for all gateways.
    pub(crate) fleet: Option<Arc<Fleet>>,
}

/// One operation, ready.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) method: settings::Method,
    /// The template: the only form of a path that logs and metrics ever see.
    pub(crate) template: Arc<str>,
    /// `None`: anybody.
    pub(crate) needs: Option<Permissions>,
    /// Whether it is open to somebody who may do nothing but enrol a second factor.
    pub(crate) lets_enrol: bool,
    /// Whether somebody changes something by it, at a service that would not know who was logged out if the gateway does not. Auth does.
    pub(crate) is_change: bool,
    pub(crate) pace: Pace,
    pub(crate) body_bytes_max: u64,
    pub(crate) rewrite: Option<Rewrite>,
    pub(crate) limits: Limits,
    pub(crate) buckets: Arc<Buckets>,
    pub(crate) target: Target,
    /// `None`: an answer is passed on, whatever it is, and nothing is kept of it.
    pub(crate) fallback: Option<Box<Fallback>>,
    pub(crate) admission: Admission,
    pub(crate) meters: RouteMeters,
}

/// Who answers.
#[derive(Debug)]
pub(crate) enum Target {
    /// The gateway.
    Own(Own),
    /// A service.
    Service { lane: Arc<Lane>, canary: Option<Box<Canary>>, retries: RetryPolicy, budget: Arc<RetryBudget> },
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
            access_log: config.access_log,
            cors: Cors::of(&config),
            sampling: Sampling::of(config.observability.tracing.as_ref()),
            lanes: Vec::new(),
            needed: Vec::new(),
            store: None,
            fleet: None,
        };
        let mut faults = Vec::new();
        let (own, tops) = (Own::routes(&config), admission::tops(&config));
        for (number, route) in config.routes.iter().chain(&own).enumerate() {
            // That they are headers was checked.
            let wanted = Wanted::parse(&route.headers).unwrap_or_default();
            let ready = Arc::new(snapshot.route(route, (&config, &tops), kept, meters));
            if let Err(error) = snapshot.routes.insert(&route.path, wanted, ready) {
                let Some(_) = config.routes.get(number) else { continue };
                faults.push(format!("routes[{number}].path: {} {error}", route.path));
            }
        }
        if !faults.is_empty() {
            drop(snapshot);
            kept.forget();
            return Err(ConfigError { faults });
        }
        snapshot.routes.finish();
        snapshot.store = kept.store(config.rate_limit_store.as_ref(), &meters.store);
        snapshot.fleet = kept.fleet(config.prometheus.as_ref());
        kept.sweep(&snapshot.lanes);
        Ok(snapshot)
    }

    /// The lane of an upstream on a route's terms. That there is one, and that its addresses are addresses, was checked.
    fn lane(
        &mut self,
        upstream: &str,
        route: &settings::Route,
        config: &GatewayConfig,
        kept: &Kept,
    ) -> Option<Arc<Lane>> {
        let known = config.upstreams.get(upstream)?;
        let balancing = route.balancing.unwrap_or(known.balancing);
        let terms = Upstream { balancing, ..known.clone() };
        let lane = kept.lane(upstream, &terms, route.circuit_breaker, config.zone.as_deref()).ok()?;
        if !self.lanes.iter().any(|known| Arc::ptr_eq(known, &lane)) {
            self.lanes.push(Arc::clone(&lane));
        }
        Some(lane)
    }

    fn route(
        &mut self,
        route: &settings::Route,
        (config, tops): (&GatewayConfig, &Tops<'_>),
        kept: &Kept,
        meters: &Meters,
    ) -> Route {
        let needs = match &route.access {
            RouteAccess::Public => None,
            RouteAccess::Permissions(names) => {
                Some(names.iter().filter_map(|name| name.parse().ok()).collect::<Permissions>())
            }
        };
        let lets_enrol = contracts::operations().any(|operation| {
            (operation.access, operation.method, operation.path)
                == (Access::Enrolling, route.method, &*route.path)
        });
        let target = match self.lane(&route.service, route, config, kept) {
            Some(lane) => {
                if !self.needed.iter().any(|known| Arc::ptr_eq(known, &lane)) {
                    self.needed.push(Arc::clone(&lane));
                }
                let retries = route.retries.map_or(
                    RetryPolicy { retries_max: 0, backoff: Backoff { base_ms: 0, max_ms: 0 } },
                    |retries| RetryPolicy {
                        retries_max: retries.attempts,
                        backoff: Backoff { base_ms: retries.base_backoff_ms, max_ms: retries.max_backoff_ms },
                    },
                );
                let percent = route.retries.map_or(0, |retries| retries.budget_percent);
                let canary = route.canary.as_ref().and_then(|canary| {
                    let lane = self.lane(&canary.upstream, route, config, kept)?;
                    Some(Box::new(Canary::new(lane, canary.percent)))
                });
                Target::Service { lane, canary, retries, budget: kept.budget(&route.service, percent) }
            }
            None => Target::Own(Own::at(&route.path).unwrap_or(Own::Live)),
        };
        let larder = if fallback::check::is_any_stale(config) {
            Some(kept.larder())
        } else {
            kept.forget_answers();
            None
        };
        let admission = match &target {
            Target::Own(_) => Admission::OPEN,
            Target::Service { lane, canary, .. } => {
                let canary = canary.as_deref().map(|canary| &*canary.lane);
                Admission::new(route, tops, (lane, canary), kept, meters)
            }
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
            lets_enrol,
            is_change: route.method != settings::Method::Get && route.service != config.auth.service.as_str(),
            pace: Pace::of(route),
            body_bytes_max: route.body_bytes_max.unwrap_or(config.body_bytes_max),
            rewrite: route.rewrite.as_ref().map(Rewrite::new),
            limits: Limits::new(limits, config.replicas, &scope),
            buckets: kept.buckets(&scope),
            target,
            fallback: Fallback::of(route, larder),
            admission,
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
    let mut seen: BTreeMap<(settings::Method, &str), Vec<(usize, Wanted)>> = BTreeMap::new();
    let mut together: BTreeMap<String, &settings::RateLimits> = BTreeMap::new();
    let mut bounds: BTreeMap<&str, u32> = BTreeMap::new();
    for (number, route) in config.routes.iter().enumerate() {
        let mut fault = |field: &str, what: String| faults.push(format!("routes[{number}].{field}: {what}"));
        if !route.path.starts_with('/') {
            fault("path", format!("{} does not begin with a slash", route.path));
        }
        // One bucket has one size: under the larger of two it would forget what it owes under the smaller.
        if let Some(limits) = &route.rate_limits
            && *together.entry(scope(route)).or_insert(limits) != limits
        {
            fault("rateLimits", "are not those of the routes that it counts together with".to_owned());
        }
        if let (Some(max), Some(group)) = (route.concurrency_max, route.concurrency_as.as_deref())
            && *bounds.entry(group).or_insert(max) != max
        {
            fault("concurrencyMax", "is not that of the routes that it shares it with".to_owned());
        }
        if route.rate_limits_as.as_deref() == Some("") {
            fault("rateLimitsAs", "must not be empty".to_owned());
        }
        if rewrite::lets_internal_out(&route.path) {
            fault("path", format!("{} would let internal routes out", route.path));
        }
        if let Some((member, what)) =
            route.rewrite.as_ref().and_then(|rewrite| rewrite::fault(rewrite, &route.path))
        {
            fault(&format!("rewrite.{member}"), what);
        }
        let same = seen.entry((route.method, route.path.as_str())).or_default();
        match Wanted::parse(&route.headers) {
            Ok(wanted) => {
                if wanted.is_empty() && same.iter().any(|(_, other)| other.is_empty()) {
                    fault("path", format!("{} {} is there twice", route.method.as_str(), route.path));
                }
                same.push((number, wanted));
            }
            Err(text) => fault("headers", format!("{text} is nothing that a header can have")),
        }
        if let Some(canary) = &route.canary {
            if route.service == GATEWAY {
                fault("canary", "the gateway itself has no other version".to_owned());
            } else if canary.upstream == route.service || !config.upstreams.contains_key(&canary.upstream) {
                fault("canary.upstream", format!("there is no other upstream {}", canary.upstream));
            }
            if !(0.0..=100.0).contains(&canary.percent) {
                fault("canary.percent", "must be from 0 to 100".to_owned());
            }
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
        admission::check_route(route, &mut fault);
        if route.timeout_ms == 0 {
            fault("timeoutMs", "must be more than nothing".to_owned());
        }
        pace::check(route, &mut fault);
        fallback::check::check(route, &mut fault);
        if let Some(header) = route.rate_limits.as_ref().and_then(bad_header) {
            fault("rateLimits.perKey.header", header);
        }
    }
    faults.extend(seen.values().flat_map(|same| hidden(same)));
    faults.extend(check_upstreams(config, kept));
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
    faults.extend(config.prometheus.iter().flat_map(Fleet::check));
    faults.extend(config.cors.iter().flat_map(cors::check));
    let trusted = Trusted::parse(&config.trusted_proxies).unwrap_or_else(|block| {
        faults.push(format!("trustedProxies: {block} is no address block"));
        Trusted::default()
    });
    if faults.is_empty() { Ok(trusted) } else { Err(ConfigError { faults }) }
}

/// What is wrong with where services answer, and on what terms.
fn check_upstreams(config: &GatewayConfig, kept: &Kept) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, upstream) in &config.upstreams {
        if let Some(check) = &upstream.health_check {
            check_health(check, |field, what| {
                faults.push(format!("upstreams.{name}.healthCheck.{field}: {what}"));
            });
        }
        admission::check(upstream.concurrency, |field, what| {
            faults.push(format!("upstreams.{name}.concurrency.{field}: {what}"));
        });
        for address in &upstream.endpoints {
            if let Err(fault) = kept.endpoint(address, upstream) {
                faults.push(format!("upstreams.{name}.endpoints: {address} {fault}"));
            }
        }
    }
    faults
}

/// What is wrong with the header that programs name themselves in.
fn bad_header(limits: &settings::RateLimits) -> Option<String> {
    let header = &limits.per_key.as_ref()?.header;
    header.parse::<http::HeaderName>().is_err().then(|| format!("{header} is no header's name"))
}

/// Of routes with one method and path, those that no request would ever come to.
fn hidden(same: &[(usize, Wanted)]) -> impl Iterator<Item = String> {
    same.iter().filter(|(_, wanted)| !wanted.is_empty()).filter_map(move |(number, wanted)| {
        let comes_first = |(other, hides): &&(usize, Wanted)| {
            other != number && hides.hides(wanted) && (hides.rank() > wanted.rank() || other < number)
        };
        let (other, _) = same.iter().find(comes_first)?;
        Some(format!("routes[{number}].headers: routes[{other}] takes all that come here"))
    })
}

fn check_health(check: &HealthCheck, mut fault: impl FnMut(&str, &str)) {
    let is_path = check.path.starts_with('/') && check.path.parse::<PathAndQuery>().is_ok();
    if !is_path {
        fault("path", "is no path");
    }
    for (field, count) in [("fall", check.fall), ("rise", check.rise)] {
        if count == 0 {
            fault(field, "must be more than nothing");
        }
    }
    if check.interval_ms < HEALTH_INTERVAL_MS_MIN {
        fault("intervalMs", "must be at least 10");
    }
    if check.timeout_ms == 0 {
        fault("timeoutMs", "must be more than nothing");
    }
}
