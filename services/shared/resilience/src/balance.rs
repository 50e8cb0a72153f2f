//! Which endpoint takes the next request: a [`Balancer`] over a fixed list, with three strategies and one safeguard.
//!
//! The safeguard is the panic threshold: at most half of the endpoints may be set aside as unwell. Were more of them to be,
//! the few left would carry a load they were not sized for and fall too; so then all are eligible.
//!
//! A changed list is a new balancer; picks made from the old one live out with it. Not for knowing who is well: the caller's
//! predicate says so, as a rule from the endpoint's breaker.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

mod ewma;
use ewma::PeakEwma;

/// What an endpoint that has never answered, but has requests under way, is taken to need, seconds. High, so that
/// the first request tells before many follow.
const UNKNOWN_LATENCY_SECONDS: f64 = 1.0;

/// How an endpoint is picked among those that are eligible.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Balancing {
    /// In a circle.
    #[default]
    RoundRobin,
    /// The one with the fewest requests under way; among equals, any.
    LeastConnections,
    /// The lower of two random ones by peak-sensitive moving average of latency × requests under way.
    PeakEwma,
}

/// A fixed list of endpoints that share the work. `E` is whatever the caller needs to reach one (address, pool, breaker).
/// Clones share their state.
#[derive(Debug)]
pub struct Balancer<E> {
    inner: Arc<Inner<E>>,
}

#[derive(Debug)]
struct Inner<E> {
    strategy: Balancing,
    born: Instant,
    cursor: AtomicUsize,
    endpoints: Box<[Endpoint<E>]>,
}

#[derive(Debug)]
struct Endpoint<E> {
    value: E,
    in_flight: AtomicU32,
    latency: PeakEwma,
}

/// One request's endpoint, counted as under way until dropped. Dereferences to the endpoint.
#[derive(Debug)]
#[must_use = "dropped at once, the request is not counted"]
pub struct Pick<E> {
    inner: Arc<Inner<E>>,
    index: usize,
    ejected: usize,
    started: Instant,
}

impl<E> Balancer<E> {
    /// A balancer over `endpoints`, in this order.
    pub fn new(strategy: Balancing, endpoints: impl IntoIterator<Item = E>, now: Instant) -> Self {
        let endpoints = endpoints
            .into_iter()
            .map(|value| Endpoint { value, in_flight: AtomicU32::new(0), latency: PeakEwma::default() })
            .collect();
        Self { inner: Arc::new(Inner { strategy, born: now, cursor: AtomicUsize::new(0), endpoints }) }
    }

    /// The endpoint for one request, `None` only of an empty list. `random` is uniform over all of `u64`; `healthy` is asked
    /// of each endpoint, more than once, and takes nothing (see `Breaker::admits`). To try again elsewhere, let it deny the
    /// endpoint that failed.
    pub fn pick(&self, now: Instant, random: u64, healthy: impl Fn(&E) -> bool) -> Option<Pick<E>> {
        let endpoints = &self.inner.endpoints;
        if endpoints.is_empty() {
            return None;
        }
        let well = endpoints.iter().filter(|endpoint| healthy(&endpoint.value)).count();
        let ejected = endpoints.len() - well;
        let index = if ejected == 0 || is_panic(ejected, endpoints.len()) {
            self.inner.choose(now, random, endpoints.len(), |_| true)
        } else {
            self.inner.choose(now, random, well, healthy)
        };
        endpoints[index].in_flight.fetch_add(1, Ordering::Relaxed);
        Some(Pick { inner: Arc::clone(&self.inner), index, ejected, started: now })
    }

    /// The endpoints with their requests under way, in the order given, for metrics.
    pub fn endpoints(&self) -> impl Iterator<Item = (&E, u32)> {
        self.inner
            .endpoints
            .iter()
            .map(|endpoint| (&endpoint.value, endpoint.in_flight.load(Ordering::Relaxed)))
    }

    /// How many endpoints there are.
    pub fn len(&self) -> usize {
        self.inner.endpoints.len()
    }

    /// Is there none at all?
    pub fn is_empty(&self) -> bool {
        self.inner.endpoints.is_empty()
    }
}

impl<E> Clone for Balancer<E> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<E> Inner<E> {
    /// The index of one of the `count` endpoints, at least one, that are eligible.
    fn choose(&self, now: Instant, random: u64, count: usize, eligible: impl Fn(&E) -> bool) -> usize {
        let eligible = |index: &usize| eligible(&self.endpoints[*index].value);
        // Health may change between counting and choosing and leave fewer than `count`; then any will do, this once.
        let nth = |nth: usize| (0..self.endpoints.len()).filter(eligible).nth(nth).unwrap_or(nth);
        match self.strategy {
            Balancing::RoundRobin => nth(self.cursor.fetch_add(1, Ordering::Relaxed) % count),
            Balancing::LeastConnections => {
                // Starting anywhere: else all cores would meet at the first of equals.
                let all = self.endpoints.len();
                let start = below(random, all);
                (start..all)
                    .chain(0..start)
                    .filter(eligible)
                    .min_by_key(|index| self.endpoints[*index].in_flight.load(Ordering::Relaxed))
                    .unwrap_or(start)
            }
            Balancing::PeakEwma if count == 1 => nth(0),
            Balancing::PeakEwma => {
                let first = below(random >> 32, count);
                let second = (first + 1 + below(random & u64::from(u32::MAX), count - 1)) % count;
                let (first, second) = (nth(first), nth(second));
                if self.cost(second, now) < self.cost(first, now) { second } else { first }
            }
        }
    }

    /// What one more request there is expected to cost, seconds. A new endpoint without requests costs nothing: it gets one
    /// soon.
    fn cost(&self, index: usize, now: Instant) -> f64 {
        let endpoint = &self.endpoints[index];
        let in_flight = f64::from(endpoint.in_flight.load(Ordering::Relaxed));
        match endpoint.latency.seconds(self.age(now)) {
            Some(seconds) => seconds * (in_flight + 1.0),
            None => UNKNOWN_LATENCY_SECONDS * in_flight,
        }
    }

    fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.born)
    }
}

impl<E> Pick<E> {
    /// The answer's head is here, or the time is up: what it took becomes part of the endpoint's latency. The request stays
    /// under way until the pick is dropped, so hold it until the body's end. Not to be called when the time says nothing
    /// (cancelled) or misleads (a refused connection is fast).
    pub fn answered(&self, now: Instant) {
        if self.inner.strategy == Balancing::PeakEwma {
            let elapsed = now.saturating_duration_since(self.started);
            self.inner.endpoints[self.index].latency.observe(self.inner.age(now), elapsed);
        }
    }

    /// The endpoint's place in the list.
    pub fn index(&self) -> usize {
        self.index
    }

    /// How many endpoints were unwell when this one was picked.
    pub fn ejected(&self) -> usize {
        self.ejected
    }

    /// Were so many unwell that all were eligible? Then this endpoint may be unwell too.
    pub fn is_panic(&self) -> bool {
        is_panic(self.ejected, self.inner.endpoints.len())
    }
}

impl<E> Deref for Pick<E> {
    type Target = E;

    fn deref(&self) -> &E {
        &self.inner.endpoints[self.index].value
    }
}

impl<E> Drop for Pick<E> {
    fn drop(&mut self) {
        self.inner.endpoints[self.index].in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// More than half are ejected.
fn is_panic(ejected: usize, all: usize) -> bool {
    ejected > all - ejected
}

/// A number below `bound`, which is not nought.
fn below(random: u64, bound: usize) -> usize {
    usize::try_from(random % bound as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests;
