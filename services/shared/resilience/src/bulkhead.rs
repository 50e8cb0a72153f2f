//! A bulkhead: at most so many calls at once, so that one slow dependency cannot take every connection and all memory.
//!
//! Not for queueing: whoever finds it full is told so at once and may shed or fall back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Counts calls under way and refuses those over the maximum. Clones share the count.
#[derive(Clone, Debug)]
pub struct Bulkhead {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    calls_max: u32,
    calls: AtomicU32,
}

/// As many calls are under way as may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{calls_max} calls are under way, which is the most there may be")]
pub struct Full {
    /// The maximum that was reached.
    pub calls_max: u32,
}

/// One call's place; dropping it makes room for the next.
#[derive(Debug)]
#[must_use = "dropped at once, it limits nothing"]
pub struct Place {
    inner: Arc<Inner>,
}

impl Bulkhead {
    /// Lets `calls_max` calls through at once. Nought closes it altogether.
    pub fn new(calls_max: u32) -> Self {
        Self { inner: Arc::new(Inner { calls_max, calls: AtomicU32::new(0) }) }
    }

    /// A place for one call, or at once that there is none.
    pub fn try_acquire(&self) -> Result<Place, Full> {
        self.enter(self.inner.calls_max)?;
        Ok(Place { inner: Arc::clone(&self.inner) })
    }

    /// Counts a call in if it makes no more than `bound` of them, or the maximum if that is less; answers how many there are with it. For
    /// whoever has the bulkhead at hand until the call's end, which it tells by [`Bulkhead::leave`]: without a [`Place`] to hold, a call costs one
    /// atomic step at each end.
    pub fn enter(&self, bound: u32) -> Result<u32, Full> {
        let Inner { calls_max, calls } = &*self.inner;
        let bound = bound.min(*calls_max);
        // Not add-then-check: a crowd of refused callers would then push each other over the edge.
        let mut taken = calls.load(Ordering::Relaxed);
        while taken < bound {
            match calls.compare_exchange_weak(taken, taken + 1, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Ok(taken + 1),
                Err(current) => taken = current,
            }
        }
        Err(Full { calls_max: bound })
    }

    /// A call that was counted in is over: once each.
    pub fn leave(&self) {
        self.inner.calls.fetch_sub(1, Ordering::Relaxed);
    }

    /// Calls under way now, for metrics.
    pub fn calls(&self) -> u32 {
        self.inner.calls.load(Ordering::Relaxed)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.inner.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::in_step::granted_to_two_threads;
    use proptest::prelude::*;

    #[test]
    fn a_full_bulkhead_refuses_at_once() {
        let bulkhead = Bulkhead::new(1);
        let _place = bulkhead.try_acquire().unwrap();
        assert_eq!(bulkhead.try_acquire().unwrap_err(), Full { calls_max: 1 });
    }

    #[test]
    fn a_place_given_back_is_taken_again() {
        let bulkhead = Bulkhead::new(1);
        drop(bulkhead.try_acquire().unwrap());
        assert_eq!(bulkhead.calls(), 0);
        assert!(bulkhead.try_acquire().is_ok());
    }

    #[test]
    fn a_bound_below_the_maximum_holds_for_who_is_given_it() {
        let bulkhead = Bulkhead::new(3);
        assert_eq!(bulkhead.enter(1), Ok(1));
        assert_eq!(bulkhead.enter(1), Err(Full { calls_max: 1 }));
        assert_eq!((bulkhead.enter(9), bulkhead.enter(9)), (Ok(2), Ok(3)));
        assert_eq!(bulkhead.enter(9), Err(Full { calls_max: 3 }), "the maximum holds for all");
        bulkhead.leave();
        assert_eq!(bulkhead.calls(), 2);
    }

    #[test]
    fn a_bulkhead_for_nobody_lets_nobody_in() {
        assert!(Bulkhead::new(0).try_acquire().is_err());
    }

    #[test]
    fn two_threads_cannot_both_take_the_last_place() {
        let bulkheads: Vec<_> = (0..20_000).map(|_| Bulkhead::new(1)).collect();
        let held = std::sync::Mutex::new(Vec::new());
        let granted = granted_to_two_threads(bulkheads.len(), |round| {
            let place = bulkheads[round].try_acquire();
            let is_granted = place.is_ok();
            held.lock().unwrap().extend(place);
            is_granted
        });
        assert_eq!(granted, bulkheads.len());
        drop(held);
        assert!(bulkheads.iter().all(|bulkhead| bulkhead.calls() == 0));
    }

    proptest! {
        #[test]
        fn the_count_is_that_of_the_places_held(calls_max in 0_u32..6, enters in prop::collection::vec(any::<bool>(), 0..60)) {
            let bulkhead = Bulkhead::new(calls_max);
            let mut held = Vec::new();
            for enters in enters {
                if enters {
                    let full = held.len() >= calls_max as usize;
                    let place = bulkhead.try_acquire();
                    prop_assert_eq!(place.is_err(), full);
                    held.extend(place);
                } else {
                    held.pop();
                }
                prop_assert_eq!(bulkhead.calls() as usize, held.len());
            }
        }
    }
}
