//! Whether a failed call is made again, and when.
//!
//! Two questions, in this order: [`decide`] is pure and asks whether it is safe, worth it and in time; then the
//! [`RetryBudget`] asks whether everybody's repetitions together are still few, so that a struggling service is not
//! buried under them. Nothing here sleeps or sends.

use std::time::Duration;

mod backoff;
mod budget;
pub use backoff::{Backoff, parse_retry_after};
pub use budget::RetryBudget;

/// How often and how patiently a call is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How many further attempts at most, after the first.
    pub retries_max: u32,
    /// How long to wait before each.
    pub backoff: Backoff,
}

/// Where a call stands after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Does doing it twice have the effect of doing it once? GET, HEAD, PUT, DELETE and OPTIONS by RFC 9110 §9.2.2, and a
    /// POST that carries an `Idempotency-Key` to a service that honours it; no other POST, and no PATCH.
    pub idempotent: bool,
    /// Repetitions already made: 0 after the first attempt.
    pub retries_made: u32,
    /// Time left before the call's deadline.
    pub time_left: Duration,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Not one byte of the request left: refused connection, failed handshake, open breaker, full bulkhead.
    NotSent,
    /// Something was sent and no answer came: reset or timeout. It may have taken effect.
    NoAnswer,
    /// An answer came.
    Answered {
        /// Its HTTP status.
        status: u16,
        /// Its `Retry-After`, as read by [`parse_retry_after`].
        retry_after: Option<Duration>,
    },
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Make the call again after this long, if the budget agrees.
    Retry {
        /// The time to wait.
        after: Duration,
    },
    /// Let the outcome stand.
    Stop(Reason),
}

/// Why a call is not repeated, for metrics and logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The answer is an answer: success, or an error that would come again.
    Final,
    /// The request may have taken effect, and a second one might double it.
    Unsafe,
    /// All attempts are used up.
    Exhausted,
    /// The deadline would pass while waiting.
    TooLate,
}

/// Is the call to be made again? `random` is uniform over all of `u64`.
///
/// A POST is never repeated blindly: what is not idempotent is repeated only when nothing was sent. Of answers, 429, 502, 503
/// and 504 are worth another attempt; 500 is not, being a fault that repeats. A `Retry-After` is a lower bound, and the
/// jitter comes on top, so that those sent away together do not come back together.
pub fn decide(policy: &RetryPolicy, attempt: Attempt, outcome: Outcome, random: u64) -> Verdict {
    let (is_safe, asked_to_wait) = match outcome {
        Outcome::NotSent => (true, Duration::ZERO),
        Outcome::NoAnswer => (attempt.idempotent, Duration::ZERO),
        Outcome::Answered { status: 429 | 502 | 503 | 504, retry_after } => {
            (attempt.idempotent, retry_after.unwrap_or_default())
        }
        Outcome::Answered { .. } => return Verdict::Stop(Reason::Final),
    };
    if !is_safe {
        return Verdict::Stop(Reason::Unsafe);
    }
    if attempt.retries_made >= policy.retries_max {
        return Verdict::Stop(Reason::Exhausted);
    }
    let after = asked_to_wait.saturating_add(policy.backoff.delay(attempt.retries_made, random));
    if after >= attempt.time_left {
        return Verdict::Stop(Reason::TooLate);
    }
    Verdict::Retry { after }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const POLICY: RetryPolicy =
        RetryPolicy { retries_max: 2, backoff: Backoff { base_ms: 50, max_ms: 1_000 } };
    const GET: Attempt = Attempt { idempotent: true, retries_made: 0, time_left: Duration::from_secs(10) };
    const POST: Attempt = Attempt { idempotent: false, ..GET };
    /// With this one, the jitter is the longest it can be.
    const LONGEST: u64 = u64::MAX;

    fn answered(status: u16) -> Outcome {
        Outcome::Answered { status, retry_after: None }
    }

    #[test]
    fn a_get_without_an_answer_is_repeated_after_the_back_off() {
        let verdict = decide(&POLICY, GET, Outcome::NoAnswer, LONGEST);
        assert_eq!(verdict, Verdict::Retry { after: Duration::from_millis(50) });
    }

    #[test]
    fn a_post_that_may_have_arrived_is_never_repeated() {
        for outcome in [Outcome::NoAnswer, answered(429), answered(502), answered(503), answered(504)] {
            assert_eq!(decide(&POLICY, POST, outcome, 0), Verdict::Stop(Reason::Unsafe), "{outcome:?}");
        }
    }

    #[test]
    fn a_post_that_never_left_is_repeated() {
        assert!(matches!(decide(&POLICY, POST, Outcome::NotSent, 0), Verdict::Retry { .. }));
    }

    #[test]
    fn answers_that_would_come_again_stand() {
        for status in [200, 201, 304, 400, 401, 404, 409, 412, 422, 500, 501] {
            assert_eq!(decide(&POLICY, GET, answered(status), 0), Verdict::Stop(Reason::Final), "{status}");
        }
    }

    #[test]
    fn answers_that_pass_are_tried_again() {
        for status in [429, 502, 503, 504] {
            assert!(matches!(decide(&POLICY, GET, answered(status), 0), Verdict::Retry { .. }), "{status}");
        }
    }

    #[test]
    fn attempts_come_to_an_end() {
        let last = Attempt { retries_made: 2, ..GET };
        assert_eq!(decide(&POLICY, last, Outcome::NotSent, 0), Verdict::Stop(Reason::Exhausted));
    }

    #[test]
    fn retry_after_is_waited_out_and_the_jitter_on_top() {
        let outcome = Outcome::Answered { status: 503, retry_after: Some(Duration::from_secs(2)) };
        assert_eq!(decide(&POLICY, GET, outcome, 0), Verdict::Retry { after: Duration::from_secs(2) });
        assert_eq!(
            decide(&POLICY, GET, outcome, LONGEST),
            Verdict::Retry { after: Duration::from_millis(2_050) }
        );
    }

    #[test]
    fn nobody_waits_past_the_deadline() {
        let outcome = Outcome::Answered { status: 503, retry_after: Some(Duration::from_secs(10)) };
        assert_eq!(decide(&POLICY, GET, outcome, 0), Verdict::Stop(Reason::TooLate));
    }

    fn outcome() -> impl Strategy<Value = Outcome> {
        let retry_after = prop::option::of((0_u64..100_000).prop_map(Duration::from_millis));
        prop_oneof![
            Just(Outcome::NotSent),
            Just(Outcome::NoAnswer),
            (100_u16..600, retry_after)
                .prop_map(|(status, retry_after)| Outcome::Answered { status, retry_after }),
        ]
    }

    proptest! {
        #[test]
        fn a_repetition_is_always_safe_allowed_and_in_time(
            idempotent: bool, retries_made in 0_u32..5, time_left_ms in 0_u64..20_000, outcome in outcome(), random: u64,
        ) {
            let attempt = Attempt { idempotent, retries_made, time_left: Duration::from_millis(time_left_ms) };
            if let Verdict::Retry { after } = decide(&POLICY, attempt, outcome, random) {
                prop_assert!(idempotent || outcome == Outcome::NotSent);
                prop_assert!(retries_made < POLICY.retries_max);
                prop_assert!(after < attempt.time_left);
                if let Outcome::Answered { retry_after: Some(asked), .. } = outcome {
                    prop_assert!(after >= asked);
                }
            }
        }
    }
}
