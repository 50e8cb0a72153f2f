//! [`Lists`]: which watches have yet to list what there is for the first time, and to which ones that is refused.
//!
//! Reconciling begins when each of them has been answered. What cannot be listed (a namespace that is gone, and the operator's Role with it)
//! holds up its own namespace alone: what is there is not seen, and would be taken for missing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::kinds::{Kind, KindId};

/// What a watch is of: a kind, in one namespace or everywhere.
pub type Watched = (KindId, Option<String>);

/// Which first lists are yet to come.
#[derive(Clone, Debug, Default)]
pub struct Lists(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    open: Mutex<HashMap<Watched, Open>>,
    news: Notify,
}

/// Why a first list has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    /// It is under way.
    Awaited,
    /// It is not allowed, or there is no such kind; it is asked for again.
    Refused,
}

impl Lists {
    /// A watch begins.
    pub fn expect(&self, watched: Watched) {
        self.lock().insert(watched, Open::Awaited);
    }

    /// A watch's list is refused. Once it has listed, that is none of our business: what it saw is known.
    pub fn refuse(&self, watched: &Watched) {
        if let Some(open) = self.lock().get_mut(watched) {
            *open = Open::Refused;
        }
        self.0.news.notify_one();
    }

    /// A watch's list has ended. Answers whether it had been refused before.
    pub fn end(&self, watched: &Watched) -> bool {
        let open = self.lock().remove(watched);
        self.0.news.notify_one();
        open == Some(Open::Refused)
    }

    /// The watches of a kind are given up.
    pub fn forget(&self, kind: KindId) {
        self.lock().retain(|(of, _), _| *of != kind);
        self.0.news.notify_one();
    }

    /// Returns when each has listed what there is, or may not.
    pub async fn all_answered(&self) {
        while self.lock().values().any(|open| *open == Open::Awaited) {
            self.0.news.notified().await;
        }
    }

    /// The kinds of which it is not known what there is in a namespace, because that is refused.
    pub fn refused(&self, namespace: &str) -> Vec<&'static Kind> {
        let lists = self.lock();
        let refused = lists.iter().filter(|((_, of), open)| {
            **open == Open::Refused && of.as_ref().is_none_or(|of| of == namespace)
        });
        let mut kinds: Vec<_> = refused.map(|((id, _), _)| *id).collect();
        kinds.sort_unstable();
        kinds.into_iter().map(KindId::kind).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Watched, Open>> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
