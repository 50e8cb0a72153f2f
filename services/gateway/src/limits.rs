//! Rate limits: per client address and per user, by GCRA, told in `RateLimit` headers
//! (draft-ietf-httpapi-ratelimit-headers-10).
//!
//! A user's bucket is kept by user id, so that more tokens, connections or cores make no more of it.

use bytes::BytesMut;
use http::{HeaderMap, HeaderName, HeaderValue};
use resilience::limit::{Decision, Keyed, Limit};

use contracts::problem::{Problem, ProblemCode};

use crate::refusal::{Refusal, whole_seconds};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// `"client";r=` and two numbers.
const STANDING_BYTES_MAX: usize = 48;
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The buckets of all callers, for routes that share them. They outlive changes of the configuration.
#[derive(Debug)]
pub(crate) struct Buckets {
    clients: Keyed<u128>,
    users: Keyed<String>,
}

impl Buckets {
    /// Room for so many callers active at a time; beyond, some get a fresh bucket early.
    pub(crate) fn new(callers_max: usize) -> Self {
        Self { clients: Keyed::new(callers_max), users: Keyed::new(callers_max) }
    }
}

/// One route's limits.
#[derive(Debug)]
pub(crate) struct Limits {
    client: Option<Limit>,
    user: Option<Limit>,
    /// `RateLimit-Policy`, ready, for callers without and with a user.
    policy: [HeaderValue; 2],
}

/// What came of a request's checks so far, for its answer's headers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    name: &'static str,
    decision: Decision,
    with_user: bool,
}

impl Limits {
    pub(crate) fn new(limits: settings::RateLimits) -> Self {
        let item = |name: &str, limit: Option<settings::RateLimit>| {
            limit.map(|limit| {
                let window = limit.burst.div_ceil(limit.requests_per_second.max(1)).max(1);
                format!("\"{name}\";q={};w={window}", limit.burst)
            })
        };
        let items = [item("client", limits.per_client), item("user", limits.per_user)];
        let join = |items: &[Option<String>]| {
            let text = items.iter().flatten().cloned().collect::<Vec<_>>().join(", ");
            HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
        };
        let limit = |limit: settings::RateLimit| Limit::per_second(limit.requests_per_second, limit.burst);
        Self {
            client: limits.per_client.map(limit),
            user: limits.per_user.map(limit),
            policy: [join(&items[..1]), join(&items)],
        }
    }

    /// Counts one request of a client address.
    pub(crate) fn check_client(&self, buckets: &Buckets, key: u128, nanos: u64) -> Option<Standing> {
        let decision = buckets.clients.check(&key, self.client?, nanos);
        Some(Standing { name: "client", decision, with_user: false })
    }

    /// Counts one request of a user. Of two standings the tighter one is told.
    pub(crate) fn check_user(
        &self,
        buckets: &Buckets,
        user: &str,
        nanos: u64,
        so_far: Option<Standing>,
    ) -> Option<Standing> {
        let Some(limit) = self.user else { return so_far };
        let decision = buckets.users.check(user, limit, nanos);
        Some(match so_far {
            Some(client) if decision.allowed && client.decision.remaining < decision.remaining => {
                Standing { with_user: true, ..client }
            }
            _ => Standing { name: "user", decision, with_user: true },
        })
    }

    /// Says how the caller stands.
    pub(crate) fn tell(&self, standing: Standing, headers: &mut HeaderMap) {
        let Standing { name, decision, with_user } = standing;
        let reset = if decision.allowed { decision.reset_after } else { decision.retry_after };
        let mut number = itoa::Buffer::new();
        let mut text = BytesMut::with_capacity(STANDING_BYTES_MAX);
        text.extend_from_slice(if name == "user" { b"\"user\";r=" } else { b"\"client\";r=" });
        text.extend_from_slice(number.format(decision.remaining).as_bytes());
        text.extend_from_slice(b";t=");
        text.extend_from_slice(number.format(whole_seconds(reset)).as_bytes());
        if let Ok(value) = HeaderValue::from_maybe_shared(text.freeze()) {
            headers.insert(RATE_LIMIT, value);
        }
        headers.insert(RATE_LIMIT_POLICY, self.policy[usize::from(with_user)].clone());
    }
}

impl Standing {
    /// Goes on, or is refused with 429.
    pub(crate) fn allowed(self) -> Result<(), Refusal> {
        if self.decision.allowed {
            return Ok(());
        }
        let whose = if self.name == "user" { "this user" } else { "this address" };
        let mut problem =
            Problem::new(ProblemCode::RateLimited).detail(format!("Too many requests from {whose}."));
        problem.retry_after = Some(whole_seconds(self.decision.retry_after).max(1));
        Err(problem.into())
    }

    pub(crate) fn is_users(self) -> bool {
        self.name == "user"
    }
}
