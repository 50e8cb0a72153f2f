//! How a caller stands, told in `RateLimit` headers (draft-ietf-httpapi-ratelimit-headers-10) and by 429.

use bytes::BytesMut;
use contracts::problem::{Problem, ProblemCode};
use http::{HeaderMap, HeaderName, HeaderValue};
use resilience::limit::Decision;

use super::{By, Limits};
use crate::refusal::{Refusal, whole_seconds};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// `"client";r=` and two numbers.
const STANDING_BYTES_MAX: usize = 48;

/// `RateLimit-Policy`, ready, for callers with and without a user, with and without a key.
#[derive(Debug)]
pub(super) struct Policy([HeaderValue; 4]);

/// What came of a request's checks so far: of all limits, the tightest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    pub(super) by: By,
    pub(super) decision: Decision,
    pub(super) known: Known,
}

/// What is known of a caller beside the address: which policies hold.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known {
    pub(super) user: bool,
    pub(super) key: bool,
}

impl Known {
    fn index(self) -> usize {
        usize::from(self.user) + 2 * usize::from(self.key)
    }
}

impl Policy {
    pub(super) fn new(limits: [Option<settings::RateLimit>; 4]) -> Self {
        let for_caller = |known: Known| {
            let holds = |by: By| match by {
                By::Client | By::Total => true,
                By::User => known.user,
                By::Key => known.key,
            };
            let items = By::ALL.into_iter().zip(limits).filter(|(by, _)| holds(*by));
            let items = items.filter_map(|(by, limit)| limit.map(|limit| item(by, limit)));
            let text = items.collect::<Vec<_>>().join(", ");
            HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
        };
        Self(
            [(false, false), (true, false), (false, true), (true, true)]
                .map(|(user, key)| for_caller(Known { user, key })),
        )
    }
}

/// The burst, and the time in which it is there again.
fn item(by: By, limit: settings::RateLimit) -> String {
    let window = limit.burst.div_ceil(limit.requests_per_second.max(1)).max(1);
    format!("\"{}\";q={};w={window}", by.name(), limit.burst)
}

impl Limits {
    /// Says how the caller stands.
    pub(crate) fn tell(&self, standing: Standing, headers: &mut HeaderMap) {
        let Standing { by, decision, known } = standing;
        let reset = if decision.allowed { decision.reset_after } else { decision.retry_after };
        let mut number = itoa::Buffer::new();
        let mut text = BytesMut::with_capacity(STANDING_BYTES_MAX);
        text.extend_from_slice(b"\"");
        text.extend_from_slice(by.name().as_bytes());
        text.extend_from_slice(b"\";r=");
        text.extend_from_slice(number.format(decision.remaining).as_bytes());
        text.extend_from_slice(b";t=");
        text.extend_from_slice(number.format(whole_seconds(reset)).as_bytes());
        if let Ok(value) = HeaderValue::from_maybe_shared(text.freeze()) {
            headers.insert(RATE_LIMIT, value);
        }
        headers.insert(RATE_LIMIT_POLICY, self.policy.0[known.index()].clone());
    }
}

impl Standing {
    /// The one of two that is told: that which makes the caller wait longest, else that with less left.
    pub(super) fn tighter(self, earlier: Option<Self>) -> Self {
        let Some(earlier) = earlier else { return self };
        let (one, other) = (&earlier.decision, &self.decision);
        let is_earlier = match (one.allowed, other.allowed) {
            (true, true) => one.remaining < other.remaining,
            (false, false) => one.retry_after > other.retry_after,
            (allowed, _) => !allowed,
        };
        if is_earlier { Self { known: self.known, ..earlier } } else { self }
    }

    /// Goes on, or is refused with 429.
    pub(crate) fn allowed(self) -> Result<(), Refusal> {
        if self.decision.allowed {
            return Ok(());
        }
        let whose = match self.by {
            By::Client => "from this address",
            By::User => "from this user",
            By::Key => "with this key",
            By::Total => "from all callers together",
        };
        let mut problem =
            Problem::new(ProblemCode::RateLimited).detail(format!("Too many requests {whose}."));
        problem.retry_after = Some(whole_seconds(self.decision.retry_after).max(1));
        Err(problem.into())
    }

    /// By what was counted.
    pub(crate) fn by(self) -> By {
        self.by
    }
}
