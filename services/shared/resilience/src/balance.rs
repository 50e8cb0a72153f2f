//! Which endpoint takes the next request: a [`Balancer`] over a fixed list, with three strategies and one safeguard.
//!
//! The safeguard is the panic threshold: at most half of the endpoints may be set aside as unwell. Were more of them to be,
//! the few left would carry a load they were not sized for and fall too; so then all are eligible.
//!
//! A changed list is a new balancer, which keeps what is known of an endpoint's [`Load`] if it is given it again; picks made from the old
//! one live out with it. Not for knowing who is well: the caller says how large a [`Share`] each may have, from breaker and
//! [`health`](crate::health).

use std::cell::RefCell;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

mod ewma;
mod load;
mod share;

pub use load::Load;
pub use share::Share;

/// How an endpoint is picked among those that are eligible.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Balancing {
    /// In a circle.
    #[default]
    RoundRobin,
    /// Of two random ones, the one with fewer requests under way. Nearly as even as asking all, and whoever balances beside us does not meet
    /// us at the one that is idle (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001).
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
    cursor: AtomicUsize,
    /// How many zones the endpoints lie in, if some of them are near and some are not.
    zones: Option<usize>,
    endpoints: Box<[Seat<E>]>,
}

/// An endpoint's place in a list.
#[derive(Debug)]
pub struct Seat<E> {
    /// What the caller needs to reach it.
    pub value: E,
    /// What it has to do, shared by all lists that it is in.
    pub load: Arc<Load>,
    /// It lies where the caller does.
    pub is_near: bool,
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

/// What one look at all endpoints tells.
struct Survey {
    well: usize,
    near_well: usize,
    /// The largest share that anybody has. Shares count in proportion to it: where all join at once, nobody sits out.
    top: Share,
    /// Everybody has that share.
    is_even: bool,
}

thread_local! {
    /// Who may be picked, where that is not everybody: kept, so that a pick allocates nothing.
    static ELIGIBLE: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

impl<E> Balancer<E> {
    /// A balancer over `endpoints`, in this order, of which nothing is known.
    pub fn new(strategy: Balancing, endpoints: impl IntoIterator<Item = E>, now: Instant) -> Self {
        let seat = |value| Seat { value, load: Arc::new(Load::new(now)), is_near: true };
        Self::seated(strategy, endpoints.into_iter().map(seat), 1)
    }

    /// A balancer over `endpoints`, in this order, that lie in so many zones. Those that are near are preferred: they take all of the work as
    /// long as those that are well among them are their zone's even share of all that are well, and less as they are fewer.
    pub fn seated(strategy: Balancing, endpoints: impl IntoIterator<Item = Seat<E>>, zones: usize) -> Self {
        let endpoints: Box<[Seat<E>]> = endpoints.into_iter().collect();
        let near = endpoints.iter().filter(|seat| seat.is_near).count();
        let zones = (near > 0 && near < endpoints.len()).then_some(zones.max(2));
        Self { inner: Arc::new(Inner { strategy, cursor: AtomicUsize::new(0), zones, endpoints }) }
    }

    /// The endpoint for one request, `None` only of an empty list. `random` is uniform over all of `u64`; `share` is asked
    /// of each endpoint, more than once, and takes nothing (see `Breaker::admits`).
    pub fn pick<S: Into<Share>>(
        &self,
        now: Instant,
        random: u64,
        share: impl Fn(&E) -> S,
    ) -> Option<Pick<E>> {
        self.pick_but(None, now, random, share)
    }

    /// [`Balancer::pick`] after the endpoint at `avoid` has failed: another one, if there is another that is well.
    pub fn pick_but<S: Into<Share>>(
        &self,
        avoid: Option<usize>,
        now: Instant,
        random: u64,
        share: impl Fn(&E) -> S,
    ) -> Option<Pick<E>> {
        let inner = &self.inner;
        let all = inner.endpoints.len();
        if all == 0 {
            return None;
        }
        let share = |index: usize| -> Share { share(&inner.endpoints[index].value).into() };
        let survey = inner.survey(share);
        let ejected = all - survey.well;
        let is_panic = is_panic(ejected, all);
        let is_plain = survey.is_even && inner.zones.is_none();
        let index = if avoid.is_none() && (is_panic || is_plain) {
            inner.choose(now, random, all, |nth| nth)
        } else {
            inner.choose_eligible(now, random, avoid, &survey, is_panic, &share)
        };
        inner.endpoints[index].load.begin();
        Some(Pick { inner: Arc::clone(inner), index, ejected, started: now })
    }

    /// The endpoints with their requests under way, in the order given, for metrics.
    pub fn endpoints(&self) -> impl Iterator<Item = (&E, u32)> {
        self.inner.endpoints.iter().map(|seat| (&seat.value, seat.load.in_flight()))
    }

    /// The endpoint at a place in the list.
    pub fn get(&self, index: usize) -> Option<&E> {
        self.inner.endpoints.get(index).map(|seat| &seat.value)
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
    fn survey(&self, share: impl Fn(usize) -> Share) -> Survey {
        let mut survey = Survey { well: 0, near_well: 0, top: Share::NONE, is_even: true };
        for (index, seat) in self.endpoints.iter().enumerate() {
            let share = share(index);
            survey.is_even &= index == 0 || share == survey.top;
            survey.top = survey.top.max(share);
            if share != Share::NONE {
                survey.well += 1;
                survey.near_well += usize::from(seat.is_near);
            }
        }
        survey
    }

    /// Whether this request is for those that are near, or for the others; `None`: for any.
    ///
    /// Requests come evenly from all zones, we take it. Then those that are near can do this share of what comes from here, and what is
    /// left goes to zones that have more.
    fn side(&self, random: u64, survey: &Survey) -> Option<bool> {
        let zones = self.zones?;
        let able = survey.near_well * zones;
        Some(able >= survey.well || below(share::mix(random, usize::MAX), survey.well) < able)
    }

    /// The index of one of those that may be picked, which are not all.
    fn choose_eligible(
        &self,
        now: Instant,
        random: u64,
        avoid: Option<usize>,
        survey: &Survey,
        is_panic: bool,
        share: &impl Fn(usize) -> Share,
    ) -> usize {
        let side = self.side(random, survey).filter(|_| !is_panic);
        let is_other = |index: usize| avoid != Some(index);
        let is_well = |index: usize| is_panic || share(index) != Share::NONE;
        let is_due = |index: usize| {
            is_panic
                || (share(index).is_drawn(random, index, survey.top)
                    && side.is_none_or(|near| self.endpoints[index].is_near == near))
        };
        ELIGIBLE.with_borrow_mut(|eligible| {
            let mut gather = |may: &dyn Fn(usize) -> bool| {
                eligible.clear();
                eligible.extend((0..self.endpoints.len()).filter(|index| may(*index)));
                !eligible.is_empty()
            };
            // The first of these that leaves anybody. Health may change between looks: then, this once, anybody will do.
            let _ = gather(&|index| is_other(index) && is_due(index))
                || gather(&|index| is_other(index) && is_well(index))
                || gather(&is_well)
                || gather(&|_| true);
            if avoid.is_some() && self.strategy == Balancing::RoundRobin {
                // A second attempt takes nobody's turn: else first ones would come to the endpoint that fails more often than in a circle.
                return eligible[below(random, eligible.len())];
            }
            self.choose(now, random, eligible.len(), |nth| eligible[nth])
        })
    }

    /// The index of one of `count` endpoints, at least one; `at` says where each is in the list.
    fn choose(&self, now: Instant, random: u64, count: usize, at: impl Fn(usize) -> usize) -> usize {
        match self.strategy {
            Balancing::RoundRobin => at(self.cursor.fetch_add(1, Ordering::Relaxed) % count),
            _ if count == 1 => at(0),
            Balancing::LeastConnections => self.lower_of_two(random, count, at, Load::in_flight),
            Balancing::PeakEwma => self.lower_of_two(random, count, at, |load| load.cost(now)),
        }
    }

    fn lower_of_two<C: PartialOrd>(
        &self,
        random: u64,
        count: usize,
        at: impl Fn(usize) -> usize,
        cost: impl Fn(&Load) -> C,
    ) -> usize {
        let first = below(random >> 32, count);
        let second = (first + 1 + below(random & u64::from(u32::MAX), count - 1)) % count;
        let (first, second) = (at(first), at(second));
        let cost = |index: usize| cost(&self.endpoints[index].load);
        if cost(second) < cost(first) { second } else { first }
    }
}

impl<E> Pick<E> {
    /// The answer's head is here, or the time is up: what it took becomes part of the endpoint's latency. The request stays
    /// under way until the pick is dropped, so hold it until the body's end. Not to be called when the time says nothing
    /// (cancelled) or misleads (a refused connection is fast).
    pub fn answered(&self, now: Instant) {
        if self.inner.strategy == Balancing::PeakEwma {
            let elapsed = now.saturating_duration_since(self.started);
            self.inner.endpoints[self.index].load.observe(now, elapsed);
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
        self.inner.endpoints[self.index].load.end();
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
