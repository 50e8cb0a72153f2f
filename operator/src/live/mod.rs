//! [`Live`]: what the watches last saw of every object of every stack, in as few bytes as will do.
//!
//! It tells two things: whether an object is still as it was when it was applied ([`Seen::fingerprint`]), and how far a workload has come
//! ([`Workload`]). No object is kept whole: a thousand stacks have sixty thousand objects.

mod seen;
#[cfg(test)]
mod tests;
mod workload;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

pub use seen::{Account, Seen, State, version};
pub use workload::Workload;

use crate::kinds::KindId;

/// The namespace of a stack, and what labels call it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StackId {
    /// Its namespace.
    pub namespace: String,
    /// What its objects' labels call it.
    pub label: String,
}

/// An object of a stack.
pub type Key = (KindId, Box<str>);

/// What the watches last saw, of all stacks.
#[derive(Clone, Debug, Default)]
pub struct Live(Arc<Mutex<Stacks>>);

#[derive(Debug, Default)]
struct Stacks {
    seen: HashMap<StackId, BTreeMap<Key, Seen>>,
    /// By the namespace that a watch is of, if it is of one.
    gone: HashMap<(KindId, Option<String>), Gone>,
    /// Lists that have ended, of whatever kind.
    lists: u64,
}

/// What a watch has told of what is gone: a few bytes for the watch, none for what went. It tells in the order of versions, so that nothing
/// up to its last deletion is news any more.
#[derive(Clone, Copy, Debug, Default)]
struct Gone {
    /// The version of the last deletion.
    version: u64,
    /// Which of [`Stacks::lists`] was its last one.
    list: u64,
}

/// When a write began, in lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Began(u64);

/// What a watch's news came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// Known already: the echo of what the operator wrote itself, or a status that moved without getting anywhere.
    Nothing,
    /// Something that a reconcile should look at.
    Changed,
}

impl Live {
    /// Keeps what a watch shows of an object, unless something newer was seen already.
    pub fn keep(&self, stack: &StackId, key: Key, seen: Seen) -> News {
        self.lock().keep(stack, key, seen)
    }

    /// A write begins.
    pub fn begin(&self) -> Began {
        Began(self.lock().lists)
    }

    /// Keeps what was answered to a write. If the watch has dropped the object meanwhile, it is not put back: what the watch shows after that
    /// is kept in any case, and what it has shown before is past.
    pub fn answer(&self, stack: &StackId, key: Key, seen: Seen, began: Began) {
        let mut state = self.lock();
        let is_known = state.seen.get(stack).is_some_and(|objects| objects.contains_key(&key));
        if is_known || !state.is_past(stack, key.0, seen.version, began) {
            state.keep(stack, key, seen);
        }
    }

    /// A watch (of this namespace, or of all) shows that an object is gone, and since which version.
    pub fn drop_object(&self, namespace: Option<&str>, stack: &StackId, key: &Key, version: u64) -> News {
        let mut state = self.lock();
        let gone = state.gone.entry((key.0, namespace.map(str::to_owned))).or_default();
        gone.version = gone.version.max(version);
        state.remove(stack, key, |_| true)
    }

    /// An object was not there when it was asked for: what was known of it up to this version is past.
    pub fn drop_known(&self, stack: &StackId, key: &Key, version: u64) -> News {
        self.lock().remove(stack, key, |seen| seen.version <= version)
    }

    /// What was seen of an object was deleted: it is on its way out, whether a watch has shown that yet or not. Another that has been made in its
    /// place meanwhile stays as it is.
    pub fn mark_deleting(&self, stack: &StackId, key: &Key, deleted: &Seen) {
        let mut state = self.lock();
        let known = state.seen.get_mut(stack).and_then(|objects| objects.get_mut(key));
        if let Some(known) = known.filter(|known| known.fingerprint == deleted.fingerprint) {
            known.deleting = true;
        }
    }

    /// After a list of a kind: what is not in it is gone. Answers the stacks that lost something.
    pub fn keep_only(
        &self,
        kind: KindId,
        namespace: Option<&str>,
        listed: &std::collections::HashSet<(StackId, Box<str>)>,
    ) -> Vec<StackId> {
        let mut losers = Vec::new();
        let mut state = self.lock();
        state.lists += 1;
        let list = state.lists;
        state.gone.entry((kind, namespace.map(str::to_owned))).or_default().list = list;
        state.seen.retain(|stack, objects| {
            if namespace.is_some_and(|namespace| namespace != stack.namespace) {
                return true;
            }
            let before = objects.len();
            objects.retain(|(of, name), _| *of != kind || listed.contains(&(stack.clone(), name.clone())));
            if objects.len() < before {
                losers.push(stack.clone());
            }
            !objects.is_empty()
        });
        losers
    }

    /// All that is known of a stack's objects.
    pub fn of_stack(&self, stack: &StackId) -> BTreeMap<Key, Seen> {
        self.lock().seen.get(stack).cloned().unwrap_or_default()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Stacks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stacks {
    fn keep(&mut self, stack: &StackId, key: Key, mut seen: Seen) -> News {
        let objects = self.seen.entry(stack.clone()).or_default();
        match objects.get_mut(&key) {
            Some(known) if known.version >= seen.version => News::Nothing,
            Some(known) => {
                // No way leads back from there: what is shown now was so before the deletion.
                seen.deleting |= known.deleting && known.fingerprint == seen.fingerprint;
                let same = known.fingerprint == seen.fingerprint
                    && known.deleting == seen.deleting
                    && known.state == seen.state;
                *known = seen;
                if same { News::Nothing } else { News::Changed }
            }
            None => {
                objects.insert(key, seen);
                News::Changed
            }
        }
    }

    /// Whether the watch would have shown the object if it were still there in this version: it has told of a later deletion, or has listed
    /// what there is since the write began.
    fn is_past(&self, stack: &StackId, kind: KindId, version: u64, Began(began): Began) -> bool {
        [None, Some(stack.namespace.clone())]
            .into_iter()
            .filter_map(|namespace| self.gone.get(&(kind, namespace)))
            .any(|gone| version <= gone.version || began < gone.list)
    }

    fn remove(&mut self, stack: &StackId, key: &Key, is_meant: impl Fn(&Seen) -> bool) -> News {
        let Some(objects) = self.seen.get_mut(stack) else { return News::Nothing };
        if !objects.get(key).is_some_and(is_meant) {
            return News::Nothing;
        }
        objects.remove(key);
        if objects.is_empty() {
            self.seen.remove(stack);
        }
        News::Changed
    }
}
