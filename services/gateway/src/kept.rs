//! [`Kept`]: what outlives a change of the configuration: connection pools, breakers, balancers, retry budgets, limiters.
//!
//! A new snapshot asks for each by what it depends on; what was there with the same terms is handed on, with its state, and what no
//! snapshot uses any more goes with the last one that did.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use resilience::balance::{Balancer, Balancing, Seat, Share};
use resilience::breaker::{Breaker, BreakerConfig};
use resilience::bulkhead::Bulkhead;
use resilience::concurrency::{ConcurrencyConfig, Limiter};
use resilience::health::{EjectionConfig, Standing};
use resilience::retry::RetryBudget;
use settings::{Address, Concurrency, HealthCheck, Prometheus, RateLimitStore, Upstream};
use tls::Credentials;
use tokio::sync::watch;

use crate::fallback::Larder;
use crate::limits::{Buckets, Store, StoreMeters, Stores};
use crate::status::Fleet;
use crate::upstream::{BadAddress, Endpoint};

mod member;

pub(crate) use member::Member;

/// Callers active at a time, over all routes that share the gateway's limits.
const CALLERS_MAX: usize = 16_384;
/// The same for a route with limits of its own.
const ROUTE_CALLERS_MAX: usize = 4_096;

/// The endpoints of a service as one group of routes uses them: those with the same terms.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) service: Arc<str>,
    terms: Terms,
    slow_start: Duration,
    pub(crate) balancer: Balancer<Arc<Member>>,
    /// Of the whole upstream, whichever lane a request takes. `None`: it takes as many as come.
    pub(crate) limiter: Option<Arc<Limiter>>,
}

#[derive(Clone, Debug, PartialEq)]
struct Terms {
    upstream: Upstream,
    breaker: Option<settings::Breaker>,
    /// The gateway's.
    zone: Option<String>,
}

impl Lane {
    /// How its endpoints are asked how they are.
    pub(crate) fn health_check(&self) -> Option<&HealthCheck> {
        self.terms.upstream.health_check.as_ref()
    }

    /// What of the work an endpoint may have now.
    pub(crate) fn share(&self, member: &Member, now: Instant) -> Share {
        match &member.breaker {
            Some(breaker) if !breaker.admits(now) => Share::NONE,
            _ => member.endpoint.health.share(now, self.slow_start),
        }
    }

    /// Where an endpoint stands, whatever its breaker says.
    pub(crate) fn standing(&self, member: &Member, now: Instant) -> Standing {
        member.endpoint.health.standing(now, self.slow_start)
    }
}

/// All of it.
#[derive(Debug)]
pub(crate) struct Kept {
    credentials: Option<Arc<Credentials>>,
    lanes: Lanes,
    shared: Arc<Buckets>,
    own: Mutex<Vec<(String, Arc<Buckets>)>>,
    budgets: Mutex<Vec<(String, u32, Arc<RetryBudget>)>>,
    limiters: Mutex<Vec<(String, Concurrency, Arc<Limiter>)>>,
    bulkheads: Mutex<Vec<(String, u32, Arc<Bulkhead>)>>,
    secrets: Option<PathBuf>,
    store: watch::Sender<Option<Arc<Store>>>,
    /// There since the first configuration that asked for it.
    larder: Arc<OnceLock<Arc<Larder>>>,
    fleet: Mutex<Option<Arc<Fleet>>>,
}

/// The lanes in use, also read by the metrics page.
pub(crate) type Lanes = Arc<Mutex<Vec<Arc<Lane>>>>;

impl Kept {
    /// Nothing yet. The credentials are what services at `https://` addresses are shown; `secrets` is where secrets lie.
    pub(crate) fn new(credentials: Option<Arc<Credentials>>, secrets: Option<PathBuf>) -> Self {
        Self {
            credentials,
            lanes: Lanes::default(),
            shared: Arc::new(Buckets::new(CALLERS_MAX)),
            own: Mutex::default(),
            budgets: Mutex::default(),
            limiters: Mutex::default(),
            bulkheads: Mutex::default(),
            secrets,
            store: watch::Sender::default(),
            larder: Arc::default(),
            fleet: Mutex::default(),
        }
    }

    /// Where good answers are kept.
    pub(crate) fn larder(&self) -> &Arc<Larder> {
        self.larder.get_or_init(|| Arc::new(Larder::new()))
    }

    /// What the metrics page shows of it.
    pub(crate) fn shown(&self) -> (Lanes, Arc<OnceLock<Arc<Larder>>>) {
        (self.lanes(), Arc::clone(&self.larder))
    }

    pub(crate) fn lanes(&self) -> Lanes {
        Arc::clone(&self.lanes)
    }

    /// A new endpoint of an upstream.
    pub(crate) fn endpoint(&self, address: &Address, upstream: &Upstream) -> Result<Endpoint, BadAddress> {
        Endpoint::new(address, upstream.server_name.as_deref(), self.credentials.as_ref(), upstream.protocol)
    }

    /// The lane on these terms.
    pub(crate) fn lane(
        &self,
        service: &str,
        upstream: &Upstream,
        breaker: Option<settings::Breaker>,
        zone: Option<&str>,
    ) -> Result<Arc<Lane>, BadAddress> {
        let terms = Terms { upstream: upstream.clone(), breaker, zone: zone.map(str::to_owned) };
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lane) = lanes.iter().find(|lane| *lane.service == *service && lane.terms == terms) {
            return Ok(Arc::clone(lane));
        }
        let (service, ejection): (Arc<str>, _) = (service.into(), ejection_config(upstream.ejection));
        let known = || lanes.iter().flat_map(|lane| lane.balancer.endpoints()).map(|(member, _)| member);
        let is_at = |member: &Member, address: &Address| {
            member.address == *address
                && member.server_name == upstream.server_name
                && member.protocol == upstream.protocol
        };
        let endpoint = |address: &Address| match known().find(|member| is_at(member, address)) {
            Some(member) => Ok(Arc::clone(&member.endpoint)),
            None => self.endpoint(address, upstream).map(Arc::new),
        };
        let all: Arc<[_]> = upstream.endpoints.iter().map(endpoint).collect::<Result<_, _>>()?;
        let mut seats = Vec::with_capacity(all.len());
        for (address, endpoint) in upstream.endpoints.iter().zip(all.iter().map(Arc::clone)) {
            // A breaker's memory is worth keeping when an endpoint is added beside it.
            let kept = lanes
                .iter()
                .filter(|lane| lane.terms.breaker == breaker)
                .flat_map(|lane| lane.balancer.endpoints())
                .find(|(member, _)| is_at(member, address))
                .and_then(|(member, _)| member.breaker.clone());
            let breaker = kept.or_else(|| breaker.map(|terms| Breaker::new(breaker_config(terms))));
            let (load, is_near) = (Arc::clone(&endpoint.load), is_near(upstream, zone, address));
            let (address, server_name) = (address.clone(), upstream.server_name.clone());
            let (service, all) = (Arc::clone(&service), Arc::clone(&all));
            let protocol = upstream.protocol;
            let value = Arc::new(Member {
                service,
                address,
                server_name,
                protocol,
                endpoint,
                breaker,
                ejection,
                all,
            });
            seats.push(Seat { value, load, is_near });
        }
        let balancing = match upstream.balancing {
            settings::Balancing::RoundRobin => Balancing::RoundRobin,
            settings::Balancing::LeastConnections => Balancing::LeastConnections,
            settings::Balancing::PeakEwma => Balancing::PeakEwma,
        };
        let zones = upstream.zones.values().flatten().collect::<BTreeSet<_>>().len();
        let lane = Arc::new(Lane {
            limiter: self.limiter(&service, upstream.concurrency),
            service,
            slow_start: Duration::from_millis(upstream.slow_start_ms),
            balancer: Balancer::seated(balancing, seats, zones),
            terms,
        });
        lanes.push(Arc::clone(&lane));
        Ok(lane)
    }

    /// The buckets of a route: those of its scope if it has limits of its own.
    pub(crate) fn buckets(&self, scope: &str) -> Arc<Buckets> {
        if scope.is_empty() {
            return Arc::clone(&self.shared);
        }
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, buckets)) = own.iter().find(|(known, _)| known == scope) {
            return Arc::clone(buckets);
        }
        let buckets = Arc::new(Buckets::new(ROUTE_CALLERS_MAX));
        own.push((scope.to_owned(), Arc::clone(&buckets)));
        buckets
    }

    /// The store of the limits on these terms, from now on in force. Those who keep connections hear of it.
    pub(crate) fn store(
        &self,
        settings: Option<&RateLimitStore>,
        meters: &StoreMeters,
    ) -> Option<Arc<Store>> {
        let is_it = |store: &Option<Arc<Store>>| match (store, settings) {
            (Some(store), Some(settings)) => store.is_of(settings),
            (store, settings) => store.is_none() && settings.is_none(),
        };
        self.store.send_if_modified(|store| {
            if is_it(store) {
                return false;
            }
            let new = |settings: &RateLimitStore| {
                Arc::new(Store::new(settings.clone(), self.secrets.as_deref(), meters.clone()))
            };
            *store = settings.map(new);
            true
        });
        self.store.borrow().clone()
    }

    /// The store in force, now and later.
    pub(crate) fn stores(&self) -> Stores {
        self.store.subscribe()
    }

    /// Who counts for all gateways, on these terms, from now on.
    pub(crate) fn fleet(&self, settings: Option<&Prometheus>) -> Option<Arc<Fleet>> {
        let mut kept = self.fleet.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |fleet: &Arc<Fleet>| settings.is_some_and(|settings| fleet.is_of(settings));
        if !kept.as_ref().is_some_and(is_it) {
            *kept = settings.map(|settings| Arc::new(Fleet::new(settings.clone())));
        }
        kept.clone()
    }

    /// A service's retry budget.
    pub(crate) fn budget(&self, service: &str, percent: u32) -> Arc<RetryBudget> {
        let mut budgets = self.budgets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, _, budget)) =
            budgets.iter().find(|(name, share, _)| name == service && *share == percent)
        {
            return Arc::clone(budget);
        }
        let budget = Arc::new(RetryBudget::new(percent, RetryBudget::FLOOR_PER_SECOND, Instant::now()));
        budgets.push((service.to_owned(), percent, Arc::clone(&budget)));
        budget
    }

    /// Lets go of all good answers.
    pub(crate) fn forget_answers(&self) {
        if let Some(larder) = self.larder.get() {
            larder.clear();
        }
    }

    /// Lets go of good answers that may not be served any more.
    pub(crate) fn sweep_answers(&self) {
        if let Some(larder) = self.larder.get() {
            larder.sweep(Instant::now());
        }
    }

    /// An upstream's limit, with what it has found out.
    fn limiter(&self, service: &str, terms: Concurrency) -> Option<Arc<Limiter>> {
        if terms.max == 0 {
            return None;
        }
        let mut limiters = self.limiters.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, _, limiter)) =
            limiters.iter().find(|(name, known, _)| name == service && *known == terms)
        {
            return Some(Arc::clone(limiter));
        }
        let Concurrency { max, adaptive, min, fast_ms } = terms;
        let config = ConcurrencyConfig { min, max, fast: Duration::from_millis(fast_ms), adaptive };
        let limiter = Arc::new(Limiter::new(config, Instant::now()));
        limiters.push((service.to_owned(), terms, Arc::clone(&limiter)));
        Some(limiter)
    }

    /// A route's own bound.
    pub(crate) fn bulkhead(&self, route: &str, max: u32) -> Arc<Bulkhead> {
        let mut bulkheads = self.bulkheads.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, _, bulkhead)) =
            bulkheads.iter().find(|(name, known, _)| name == route && *known == max)
        {
            return Arc::clone(bulkhead);
        }
        let bulkhead = Arc::new(Bulkhead::new(max));
        bulkheads.push((route.to_owned(), max, Arc::clone(&bulkhead)));
        bulkhead
    }

    /// Closes connections that have been unused for long.
    pub(crate) fn sweep_connections(&self) {
        let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (member, _) in lanes.iter().flat_map(|lane| lane.balancer.endpoints()) {
            member.endpoint.sweep();
        }
    }

    /// Forgets what no snapshot uses. To be called when a new one stands and the old one is about to go.
    pub(crate) fn sweep(&self, lanes_in_use: &[Arc<Lane>]) {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.retain(|lane| lanes_in_use.iter().any(|used| Arc::ptr_eq(used, lane)));
        drop(lanes);
        self.forget_buckets();
    }

    /// Forgets what was made for a configuration that was refused, and has gone: nobody else has it.
    pub(crate) fn forget(&self) {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.retain(|lane| Arc::strong_count(lane) > 1);
        drop(lanes);
        self.forget_buckets();
    }

    fn forget_buckets(&self) {
        let is_used = |count: usize| count > 1;
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        own.retain(|(_, buckets)| is_used(Arc::strong_count(buckets)));
        let mut budgets = self.budgets.lock().unwrap_or_else(PoisonError::into_inner);
        budgets.retain(|(_, _, budget)| is_used(Arc::strong_count(budget)));
        let mut limiters = self.limiters.lock().unwrap_or_else(PoisonError::into_inner);
        limiters.retain(|(_, _, limiter)| is_used(Arc::strong_count(limiter)));
        let mut bulkheads = self.bulkheads.lock().unwrap_or_else(PoisonError::into_inner);
        bulkheads.retain(|(_, _, bulkhead)| is_used(Arc::strong_count(bulkhead)));
    }
}

/// Whether an endpoint is for the gateway's zone; all are if nobody knows better.
fn is_near(upstream: &Upstream, zone: Option<&str>, address: &Address) -> bool {
    let (Some(zone), Some(zones)) = (zone, upstream.zones.get(address)) else { return true };
    zones.iter().any(|one| one == zone)
}

fn ejection_config(ejection: settings::Ejection) -> EjectionConfig {
    EjectionConfig {
        failures: ejection.failures,
        unreached: ejection.connect_failures,
        base_ms: ejection.base_ms,
        max_ms: ejection.max_ms,
    }
}

fn breaker_config(terms: settings::Breaker) -> BreakerConfig {
    BreakerConfig {
        failure_rate_percent: terms.failure_rate_percent,
        window_calls: terms.window_calls,
        min_calls: terms.min_calls,
        consecutive_failures: terms.consecutive_failures,
        slow_call_ms: terms.slow_call_ms,
        open_ms: terms.open_ms,
        half_open_calls: terms.half_open_calls,
    }
}
