//! [`Admission`]: who is let through to a service that has more to do than it can, and who is told to come again.
//!
//! A service's limit is one, whatever route a request comes by; how much of it a route's requests may fill goes by the route's priority, so that
//! what can wait is refused first. Both are made ready with the configuration: a request only counts itself in, and out when its service
//! is through with it: with a small answer's head, or at the end of a large one's body (`exchange.rs`), unless its client is waited for before (`loan.rs`).
//! Not here: what the gateway answers itself, which is never refused for that.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use contracts::problem::ProblemCode;
use resilience::bulkhead::Bulkhead;
use resilience::concurrency::{Limiter, Share, Track};
use settings::{Concurrency, GatewayConfig, Priority};

use crate::forward::Answer;
use crate::kept::{Kept, Lane};
use crate::metrics::{Meters, ShedMeter};
use crate::refusal::{Cause, Refusal};
use crate::snapshot::GATEWAY;

mod shown;

pub(crate) use shown::Shown;

/// The highest priority that the routes of each upstream have.
pub(crate) type Tops<'a> = BTreeMap<&'a str, Priority>;

/// A route's terms.
#[derive(Debug)]
pub(crate) struct Admission {
    priority: Priority,
    /// The route's own bound, or that of the group that it is in.
    own: Option<Arc<Bulkhead>>,
    stable: Option<Gate>,
    canary: Option<Gate>,
}

/// One version of the service.
#[derive(Debug)]
struct Gate {
    /// `None`: it takes as many as come.
    limit: Option<Limit>,
    shed: ShedMeter,
}

#[derive(Debug)]
struct Limit {
    limiter: Arc<Limiter>,
    track: Arc<Track>,
    share: Share,
}

impl Admission {
    /// Of what the gateway answers itself.
    pub(crate) const OPEN: Self =
        Self { priority: Priority::Critical, own: None, stable: None, canary: None };

    /// Of a service's route, and of its canary if it has one.
    pub(crate) fn new(
        route: &settings::Route,
        tops: &Tops<'_>,
        (lane, canary): (&Lane, Option<&Lane>),
        kept: &Kept,
        meters: &Meters,
    ) -> Self {
        let name = format!("{} {} {:?}", route.method.as_str(), route.path, route.headers);
        let gate = |lane: &Lane| {
            let top = tops.get(&*lane.service).copied().unwrap_or(route.priority);
            let limit = lane.limiter.as_ref().map(|limiter| Limit {
                limiter: Arc::clone(limiter),
                track: limiter.track(&name),
                share: share(route.priority, top),
            });
            Gate { limit, shed: meters.shed(&lane.service, route.priority) }
        };
        Self {
            priority: route.priority,
            own: route
                .concurrency_max
                .map(|max| kept.bulkhead(route.concurrency_as.as_deref().unwrap_or(&name), max)),
            stable: Some(gate(lane)),
            canary: canary.map(gate),
        }
    }

    /// Counts a request in, or refuses it. Who is let in [leaves](Self::leave) at the end.
    pub(crate) fn enter(&self, is_canary: bool) -> Result<(), Refusal> {
        let Some(gate) = self.gate(is_canary) else { return Ok(()) };
        self.find_room(gate).map_err(|full| {
            if let Some(limiter) = full {
                limiter.refused(Instant::now());
            }
            self.shed(gate)
        })
    }

    /// Counts a request in, or tells whose limit is met; `None`: the route's own.
    fn find_room<'a>(&self, gate: &'a Gate) -> Result<(), Option<&'a Limiter>> {
        if self.own.as_ref().is_some_and(|own| own.enter(u32::MAX).is_err()) {
            return Err(None);
        }
        if let Some(Limit { limiter, share, .. }) = &gate.limit
            && limiter.enter(*share).is_err()
        {
            if let Some(own) = &self.own {
                own.leave();
            }
            return Err(Some(limiter));
        }
        Ok(())
    }

    /// The service is through with a request that was let in.
    pub(crate) fn leave(&self, is_canary: bool) {
        if let Some(limit) = self.gate(is_canary).and_then(|gate| gate.limit.as_ref()) {
            limit.limiter.leave();
        }
        if let Some(own) = &self.own {
            own.leave();
        }
    }

    /// Counts in a request again that had left before, if there is room. Who is not let in asks again a moment later, and is not refused by that.
    pub(crate) fn enter_again(&self, is_canary: bool) -> bool {
        self.gate(is_canary).is_none_or(|gate| self.find_room(gate).is_ok())
    }

    /// Takes in how long the service took. Only a good answer to a first attempt without a body `is_telling`: an error is sooner there than an
    /// answer, and how long a body takes is for its client to say.
    pub(crate) fn learn(
        &self,
        is_canary: bool,
        begun: Instant,
        answer: &Result<Answer, Refusal>,
        is_telling: bool,
    ) {
        let Some(limit) = self.gate(is_canary).and_then(|gate| gate.limit.as_ref()) else { return };
        match answer {
            Ok((response, answering)) if is_telling && response.status().is_success() => {
                let took = answering.since.saturating_duration_since(begun);
                limit.limiter.answered(&limit.track, answering.since, took);
            }
            Err(refusal) if refusal.problem.code == ProblemCode::DeadlineExceeded => {
                limit.limiter.gave_up(Instant::now());
            }
            _ => {}
        }
    }

    fn gate(&self, is_canary: bool) -> Option<&Gate> {
        if is_canary { self.canary.as_ref() } else { self.stable.as_ref() }
    }

    fn shed(&self, gate: &Gate) -> Refusal {
        gate.shed.inc();
        let after = match self.priority {
            Priority::Critical | Priority::High => Duration::from_secs(1),
            Priority::Normal => Duration::from_secs(2),
            Priority::Low => Duration::from_secs(5),
        };
        Refusal::unavailable(Cause::Shed, "The service has more to do than it can just now.", after)
    }
}

/// What is wrong with a route's terms, by field.
pub(crate) fn check_route(route: &settings::Route, fault: &mut impl FnMut(&str, String)) {
    if route.service == GATEWAY && (route.priority, route.concurrency_max) != (Priority::default(), None) {
        fault("priority", "the gateway's own answers are never refused for lack of room".to_owned());
    }
    if route.concurrency_max == Some(0) {
        fault("concurrencyMax", "must be more than nothing".to_owned());
    }
    if route.concurrency_as.as_deref() == Some("") {
        fault("concurrencyAs", "must not be empty".to_owned());
    }
}

/// What is wrong with an upstream's terms, by field.
pub(crate) fn check(concurrency: Concurrency, mut fault: impl FnMut(&str, &str)) {
    if concurrency.min == 0 {
        fault("min", "must be more than nothing");
    }
    if concurrency.max > 0 && concurrency.min > concurrency.max {
        fault("min", "must not be more than max");
    }
}

/// Who is the first at each upstream.
pub(crate) fn tops(config: &GatewayConfig) -> Tops<'_> {
    let mut tops = Tops::new();
    for route in config.routes.iter().filter(|route| route.service != GATEWAY) {
        let canary = route.canary.as_ref().map(|canary| canary.upstream.as_str());
        for upstream in [Some(route.service.as_str()), canary].into_iter().flatten() {
            let top = tops.entry(upstream).or_insert(route.priority);
            *top = route.priority.max(*top);
        }
    }
    tops
}

/// What part of a limit a priority may fill. Whoever is the first at an upstream may have all of it: where all are alike, nothing is kept for
/// others.
fn share(priority: Priority, top: Priority) -> Share {
    const fn percent(priority: Priority) -> u32 {
        match priority {
            Priority::Low => 60,
            Priority::Normal => 80,
            Priority::High => 95,
            Priority::Critical => 100,
        }
    }
    Share::of(percent(priority), percent(top))
}

/// As metrics call it.
pub(crate) const fn name(priority: Priority) -> &'static str {
    match priority {
        Priority::Low => "low",
        Priority::Normal => "normal",
        Priority::High => "high",
        Priority::Critical => "critical",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_first_may_fill_all_and_who_comes_later_less() {
        for top in Priority::ALL {
            assert_eq!(share(top, top), Share::WHOLE);
            let below = Priority::ALL.into_iter().filter(|one| *one < top);
            assert!(below.map(|one| share(one, top)).is_sorted());
        }
        assert!(share(Priority::Low, Priority::High) < share(Priority::Low, Priority::Normal));
        assert_eq!(share(Priority::Low, Priority::Critical), Share::of(60, 100));
    }
}
