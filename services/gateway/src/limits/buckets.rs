//! [`Buckets`]: who is counted, and how much each has left here.

use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;

use resilience::limit::{Decision, Gcra, Keyed, Limit};

use super::By;

/// Who is counted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Subject<'a> {
    /// An address, of IPv6 its /64.
    Client(u128),
    /// A user, by id: more tokens, connections or threads make no more of them.
    User(&'a str),
    /// What a program calls itself.
    Key(&'a [u8]),
    /// Everybody together.
    Total,
}

impl Subject<'_> {
    pub(super) const fn by(&self) -> By {
        match self {
            Self::Client(_) => By::Client,
            Self::User(_) => By::User,
            Self::Key(_) => By::Key,
            Self::Total => By::Total,
        }
    }
}

/// The buckets of all callers, for routes that share them. They outlive changes of the configuration.
#[derive(Debug)]
pub(crate) struct Buckets {
    clients: Keyed<u128>,
    users: Keyed<String>,
    /// By a digest: a stranger chooses what is digested, its length and how many there are. Their room is taken when the first one comes,
    /// since most stacks limit nothing by key.
    keys: OnceLock<Keyed<u64>>,
    hasher: RandomState,
    total: Gcra,
    callers_max: usize,
}

impl Buckets {
    /// Room for so many callers active at a time; beyond, some get a fresh bucket early.
    pub(crate) fn new(callers_max: usize) -> Self {
        Self {
            clients: Keyed::new(callers_max),
            users: Keyed::new(callers_max),
            keys: OnceLock::new(),
            hasher: RandomState::new(),
            total: Gcra::new(),
            callers_max,
        }
    }

    /// Counts one request at `nanos`, or refuses it.
    pub(super) fn check(&self, subject: &Subject<'_>, limit: Limit, nanos: u64) -> Decision {
        match *subject {
            Subject::Client(address) => self.clients.check(&address, limit, nanos),
            Subject::User(id) => self.users.check(id, limit, nanos),
            Subject::Key(key) => self.keys().check(&self.hasher.hash_one(key), limit, nanos),
            Subject::Total => self.total.check(limit, nanos),
        }
    }

    /// Takes back one request that was counted and then came to nothing.
    pub(super) fn give_back(&self, subject: &Subject<'_>, limit: Limit) {
        match *subject {
            Subject::Client(address) => self.clients.give_back(&address, limit),
            Subject::User(id) => self.users.give_back(id, limit),
            Subject::Key(key) => self.keys().give_back(&self.hasher.hash_one(key), limit),
            Subject::Total => self.total.give_back(limit),
        }
    }

    /// Learns what all gateways together have counted.
    pub(super) fn learn(&self, subject: &Subject<'_>, full_at_nanos: u64) {
        match *subject {
            Subject::Client(address) => self.clients.learn(&address, full_at_nanos),
            Subject::User(id) => self.users.learn(id, full_at_nanos),
            Subject::Key(key) => self.keys().learn(&self.hasher.hash_one(key), full_at_nanos),
            Subject::Total => self.total.learn(full_at_nanos),
        }
    }

    fn keys(&self) -> &Keyed<u64> {
        self.keys.get_or_init(|| Keyed::new(self.callers_max))
    }
}
