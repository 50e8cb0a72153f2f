//! Rate limits by GCRA: per client address, per user, per key that a program shows, and for all callers together.
//!
//! | file | idea |
//! |---|---|
//! | `mod.rs` | a route's limits, ready |
//! | `buckets.rs` | who is counted, and the buckets of all of them |
//! | `tally.rs` | one request's counts: here, and where gateways count together |
//! | `tell.rs` | `RateLimit` headers and 429 |
//! | `store.rs`, `line.rs` | the Redis where gateways count together, and the connections to it |

mod buckets;
mod line;
mod store;
mod tally;
mod tell;

use http::{HeaderName, HeaderValue};
use resilience::limit::Limit;

pub(crate) use buckets::Buckets;
pub(crate) use line::keep;
pub(crate) use store::{Store, StoreMeters, Stores};
pub(crate) use tally::Tally;
pub(crate) use tell::Standing;

/// By what is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Client,
    User,
    Key,
    Total,
}

impl By {
    pub(crate) const ALL: [Self; 4] = [Self::Client, Self::User, Self::Key, Self::Total];

    /// As headers and metrics call it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::User => "user",
            Self::Key => "key",
            Self::Total => "total",
        }
    }
}

/// One route's limits.
#[derive(Debug)]
pub(crate) struct Limits {
    /// By [`By`].
    terms: [Option<Terms>; 4],
    /// Where programs name themselves.
    key: Option<HeaderName>,
    /// What its buckets are called where gateways count together.
    scope: Box<str>,
    policy: tell::Policy,
}

/// A limit, and this gateway's part of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    whole: Limit,
    share: Limit,
}

impl Terms {
    /// The whole limit where all gateways are asked, else this one's share.
    fn limit(self, whole: bool) -> Limit {
        if whole { self.whole } else { self.share }
    }
}

impl Limits {
    /// Limits that so many gateways share. `scope`: what tells their buckets from others.
    pub(crate) fn new(limits: &settings::RateLimits, replicas: u32, scope: &str) -> Self {
        let each = [
            limits.per_client,
            limits.per_user,
            limits.per_key.as_ref().map(settings::KeyLimit::limit),
            limits.total,
        ];
        let terms = |limit: settings::RateLimit| {
            let whole = Limit::per_second(limit.requests_per_second, limit.burst);
            Terms { whole, share: whole.share(replicas) }
        };
        Self {
            terms: each.map(|limit| limit.map(terms)),
            // It was checked.
            key: limits.per_key.as_ref().and_then(|key| key.header.parse().ok()),
            scope: scope.into(),
            policy: tell::Policy::new(each),
        }
    }

    fn terms(&self, by: By) -> Option<Terms> {
        self.terms[by as usize]
    }

    /// What a program calls itself, if it does.
    fn key<'a>(&self, headers: &'a http::HeaderMap) -> Option<&'a [u8]> {
        headers.get(self.key.as_ref()?).map(HeaderValue::as_bytes).filter(|value| !value.is_empty())
    }
}
