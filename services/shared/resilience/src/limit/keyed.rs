//! [`Keyed`]: a limiter for each caller, in memory fixed from the start.
//!
//! Built like a processor's cache rather than a growing map: a key's hash names one row of eight places. A new key takes
//! a place that is free or whose bucket is full again (forgetting that one loses nothing); failing that, it takes
//! the place of the key nearest to full. So each check looks at eight places at most, there is no sweep, and a stranger
//! with a million addresses costs no more memory than one, at worst earning a few others a fresh bucket early.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{PoisonError, RwLock};

use super::{Decision, Gcra, Limit};

/// Places in a row.
const ROW_PLACES: usize = 8;

type Row<K> = [Option<(K, Gcra)>; ROW_PLACES];

/// Limiters by key. A known key is checked under its row's read lock, which readers share; only a new key writes.
pub struct Keyed<K> {
    rows: Box<[RwLock<Row<K>>]>,
    /// Seeded by the process, so that nobody outside can aim at a row.
    hasher: RandomState,
}

impl<K: Hash + Eq> Keyed<K> {
    /// Room for `keys_max` keys, rounded up to a multiple of eight and taken at once. Give it twice what is expected to be
    /// active at a time: rows do not fill evenly.
    pub fn new(keys_max: usize) -> Self {
        let rows = keys_max.div_ceil(ROW_PLACES).max(1);
        Self {
            rows: std::iter::repeat_with(|| RwLock::new(Row::default())).take(rows).collect(),
            hasher: RandomState::new(),
        }
    }

    /// Counts one request of `key` at `now_nanos`, or refuses it. A known key is not cloned. Keys are kept as they come:
    /// bound the length of those that a stranger chooses.
    pub fn check<Q>(&self, key: &Q, limit: Limit, now_nanos: u64) -> Decision
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        let row = self.row(key);
        if let Some(gcra) = find(&row.read().unwrap_or_else(PoisonError::into_inner), key) {
            return gcra.check(limit, now_nanos);
        }
        let mut row = row.write().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have entered the key between the two locks.
        if let Some(gcra) = find(&row, key) {
            return gcra.check(limit, now_nanos);
        }
        let gcra = Gcra::new();
        let decision = gcra.check(limit, now_nanos);
        if let Some(place) = row.iter_mut().min_by_key(|place| debt_nanos(place.as_ref(), now_nanos)) {
            *place = Some((key.to_owned(), gcra));
        }
        decision
    }

    /// [`Gcra::give_back`] for `key`, if it is remembered.
    pub fn give_back<Q: Hash + Eq + ?Sized>(&self, key: &Q, limit: Limit)
    where
        K: Borrow<Q>,
    {
        if let Some(gcra) = find(&self.row(key).read().unwrap_or_else(PoisonError::into_inner), key) {
            gcra.give_back(limit);
        }
    }

    /// [`Gcra::learn`] for `key`, if it is remembered.
    pub fn learn<Q: Hash + Eq + ?Sized>(&self, key: &Q, full_at_nanos: u64)
    where
        K: Borrow<Q>,
    {
        if let Some(gcra) = find(&self.row(key).read().unwrap_or_else(PoisonError::into_inner), key) {
            gcra.learn(full_at_nanos);
        }
    }

    /// Keys remembered now, for metrics. Walks all rows.
    pub fn keys(&self) -> usize {
        self.rows
            .iter()
            .map(|row| row.read().unwrap_or_else(PoisonError::into_inner).iter().flatten().count())
            .sum()
    }

    /// The most keys there will ever be.
    pub fn keys_max(&self) -> usize {
        self.rows.len() * ROW_PLACES
    }

    fn row<Q: Hash + ?Sized>(&self, key: &Q) -> &RwLock<Row<K>> {
        let rows = self.rows.len() as u64;
        // The remainder is below the number of rows, which is an `usize`.
        let index = usize::try_from(self.hasher.hash_one(key) % rows).unwrap_or(0);
        &self.rows[index]
    }
}

/// Without the keys: they tell who asked, which is nothing for a log.
impl<K> fmt::Debug for Keyed<K> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Keyed").field("rows", &self.rows.len()).finish_non_exhaustive()
    }
}

fn find<'row, K: Borrow<Q>, Q: Eq + ?Sized>(row: &'row Row<K>, key: &Q) -> Option<&'row Gcra> {
    row.iter().flatten().find(|(known, _)| known.borrow() == key).map(|(_, gcra)| gcra)
}

/// What forgetting a place would forgive, nanoseconds until full; nothing for a free place.
fn debt_nanos<K>(place: Option<&(K, Gcra)>, now_nanos: u64) -> u64 {
    place.map_or(0, |(_, gcra)| gcra.full_at_nanos().saturating_sub(now_nanos))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::in_step::granted_to_two_threads;
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn debugging_it_names_no_key() {
        let keyed: Keyed<String> = Keyed::new(8);
        keyed.check("john", Limit::per_second(1, 1), 0);
        assert_eq!(format!("{keyed:?}"), "Keyed { rows: 1, .. }");
    }

    #[test]
    fn each_key_has_its_own_bucket() {
        let keyed: Keyed<String> = Keyed::new(64);
        let limit = Limit::per_second(1, 1);
        assert!(keyed.check("john", limit, 0).allowed);
        assert!(!keyed.check("john", limit, 0).allowed);
        assert!(keyed.check("jane", limit, 0).allowed);
        assert_eq!(keyed.keys(), 2);
    }

    #[test]
    fn a_stranger_with_many_keys_cannot_make_it_grow() {
        let keyed: Keyed<u32> = Keyed::new(100);
        assert_eq!(keyed.keys_max(), 104);
        for stranger in 0..10_000 {
            assert!(keyed.check(&stranger, Limit::per_second(1, 5), 0).allowed);
        }
        assert!(keyed.keys() <= keyed.keys_max());
    }

    #[test]
    fn a_key_at_its_limit_is_kept_while_idle_ones_make_room() {
        let keyed: Keyed<u32> = Keyed::new(ROW_PLACES);
        let limit = Limit::per_second(1, 10);
        while keyed.check(&0, limit, 0).allowed {}
        for stranger in 1..1_000 {
            keyed.check(&stranger, limit, 0);
        }
        assert!(!keyed.check(&0, limit, 0).allowed);
    }

    #[test]
    fn a_key_whose_bucket_is_full_again_is_the_first_to_be_forgotten() {
        let keyed: Keyed<u32> = Keyed::new(ROW_PLACES);
        let limit = Limit::per_second(1, 1);
        keyed.check(&0, limit, 0);
        for other in 1..8 {
            keyed.check(&other, limit, SECOND);
        }
        keyed.check(&8, limit, SECOND);
        for other in 1..=8 {
            assert!(!keyed.check(&other, limit, SECOND).allowed, "{other} is still known");
        }
    }

    #[test]
    fn threads_that_meet_a_new_key_together_share_one_bucket() {
        let keyeds: Vec<Keyed<u8>> = (0..5_000).map(|_| Keyed::new(ROW_PLACES)).collect();
        let limit = Limit::per_second(1, 1);
        let allowed = granted_to_two_threads(keyeds.len(), |round| keyeds[round].check(&7, limit, 0).allowed);
        assert_eq!(allowed, keyeds.len());
    }

    #[test]
    fn what_is_said_of_a_key_that_nobody_remembers_is_nothing() {
        let keyed: Keyed<u32> = Keyed::new(ROW_PLACES);
        keyed.learn(&7, SECOND);
        keyed.give_back(&7, Limit::per_second(1, 1));
        assert_eq!(keyed.keys(), 0);
    }

    proptest! {
        #[test]
        fn a_flood_of_keys_takes_no_room_and_wins_nobody_a_request_who_owes_the_most(
            strangers in prop::collection::vec(0_u64..u64::MAX, 1..2_000),
            keys_max in 1_usize..64,
        ) {
            let keyed: Keyed<u64> = Keyed::new(keys_max);
            let limit = Limit::per_second(1, 5);
            // Who has spent everything owes more than anybody who comes once, and so is never the one to be forgotten.
            let spender = u64::MAX;
            let mut allowed = 0;
            for stranger in &strangers {
                allowed += u32::from(keyed.check(&spender, limit, 0).allowed);
                allowed += u32::from(keyed.check(&spender, limit, 0).allowed);
                keyed.check(stranger, limit, 0);
                prop_assert!(keyed.keys() <= keyed.keys_max());
            }
            prop_assert!(allowed <= 5, "{} were let through", allowed);
        }

        #[test]
        fn with_room_for_all_it_answers_as_a_limiter_per_key_would(
            requests in prop::collection::vec((0_usize..8, 0..SECOND), 0..200),
        ) {
            // Eight keys in one row of eight: nobody is ever forgotten.
            let keyed: Keyed<usize> = Keyed::new(ROW_PLACES);
            let separate: [Gcra; 8] = Default::default();
            let limit = Limit::per_second(3, 2);
            let mut now = 0;
            for (key, pause) in requests {
                now += pause;
                prop_assert_eq!(keyed.check(&key, limit, now), separate[key].check(limit, now));
            }
        }
    }
}
