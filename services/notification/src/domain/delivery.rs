//! What becomes of a notification after an attempt to hand it on: handed on, refused, or tried again later, for a day.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// What came of one attempt. A reason names neither what the notification says nor to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The next server has it, and calls it so if it calls it anything.
    Sent(Option<String>),
    /// Refused for good: another attempt would end the same.
    Refused(Refusal),
    /// Surely not taken this time.
    NotNow {
        /// Why.
        why: String,
        /// Not asked again before, if the provider says so.
        retry_after: Option<Duration>,
    },
    /// Nobody knows: it may have been taken.
    Unsure(String),
}

/// Why a message was refused for good.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    /// In words.
    pub why: String,
    /// The provider's own code.
    pub code: Option<String>,
    /// Why the address is written to no more, if it is not.
    pub cause: Option<Cause>,
}

/// Why an address is written to no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Whoever has the number said so.
    Stop,
    /// There is no such address.
    Bounce,
    /// Whoever has the mailbox complained.
    Complaint,
    /// The device is gone.
    Gone,
}

impl Outcome {
    /// Surely not taken.
    pub fn not_now(why: &str) -> Self {
        Self::NotNow { why: why.to_owned(), retry_after: None }
    }

    /// Nobody knows.
    pub fn unsure(why: &str) -> Self {
        Self::Unsure(why.to_owned())
    }

    /// Refused, by nobody's code.
    pub fn refused(why: &str) -> Self {
        Self::Refused(Refusal { why: why.to_owned(), ..Refusal::default() })
    }
}

/// There is no such mailbox or domain, or there is no more (RFC 3463 §3.2, RFC 7505). Policy and content are of the message.
const NO_MAILBOX: [&str; 5] = ["5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10"];

/// Whether a mail server's code says that the address is none.
pub fn is_no_mailbox(code: &str) -> bool {
    NO_MAILBOX.contains(&code)
}

/// The code that stands first in a mail server's text (RFC 2034, RFC 3463), if it is one. Nothing else of the text is believed or told.
pub fn enhanced_code(text: &str) -> Option<String> {
    let word = text.split_whitespace().next()?;
    let mut parts = word.split('.');
    let is_number =
        |part: &str| (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_one = parts.by_ref().take(3).filter(|part| is_number(part)).count() == 3 && parts.next().is_none();
    is_one.then(|| word.to_owned())
}

/// Where the notification goes from `Queued`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// To `Sent`, under the provider's name for it.
    Sent(Option<String>),
    /// To `Failed`.
    Failed(Refusal),
    /// Nowhere yet.
    Again {
        /// The next attempt is due then.
        at: DateTime<Utc>,
        /// Why not now.
        why: String,
        /// Whether it may have been taken all the same.
        unsure: bool,
    },
}

/// What came of an attempt, and by which of its channel's adapters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempted {
    /// What it means.
    pub verdict: Verdict,
    /// Who took it, or was the last to be asked. `None`: nobody in particular.
    pub adapter: Option<usize>,
}

/// So long it is tried.
pub const GIVE_UP_AFTER: TimeDelta = TimeDelta::hours(24);
const BACKOFF_FIRST_SECONDS: u32 = 15;
const BACKOFF_MAX_SECONDS: u32 = 3_600;

/// What an outcome means at the `attempt`th time, from 1. `chance` spreads the next attempts, so that a server that comes back is not
/// met by all of them at once.
pub fn decide(
    outcome: Outcome,
    attempt: u32,
    asked_at: DateTime<Utc>,
    now: DateTime<Utc>,
    chance: u64,
) -> Verdict {
    let (why, retry_after, unsure) = match outcome {
        Outcome::Sent(name) => return Verdict::Sent(name),
        Outcome::Refused(refusal) => return Verdict::Failed(refusal),
        Outcome::NotNow { why, retry_after } => (why, retry_after, false),
        Outcome::Unsure(why) => (why, None, true),
    };
    let asked_for = retry_after.and_then(|it| TimeDelta::from_std(it).ok()).unwrap_or_default();
    let at =
        now + pause(attempt, chance).max(asked_for.min(TimeDelta::seconds(i64::from(BACKOFF_MAX_SECONDS))));
    if at > asked_at + GIVE_UP_AFTER {
        let why = format!("Given up after a day. {why}");
        return Verdict::Failed(Refusal { why, ..Refusal::default() });
    }
    Verdict::Again { at, why, unsure }
}

/// 15, 30, 60 … seconds, an hour at most; between half and all of it.
fn pause(attempt: u32, chance: u64) -> TimeDelta {
    let doubled = 1_u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
    let full = i64::from(BACKOFF_FIRST_SECONDS.saturating_mul(doubled).min(BACKOFF_MAX_SECONDS)) * 1000;
    let half = full / 2;
    TimeDelta::milliseconds(half + i64::try_from(chance % u64::try_from(half + 1).unwrap_or(1)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_768_467_600 + seconds, 0).unwrap()
    }

    fn not_now() -> Outcome {
        Outcome::not_now("The mail server does not answer.")
    }

    #[test]
    fn what_is_refused_for_good_is_not_tried_again() {
        let refusal = Refusal { why: "no".to_owned(), ..Refusal::default() };
        assert_eq!(decide(Outcome::refused("no"), 1, at(0), at(0), 0), Verdict::Failed(refusal));
        assert_eq!(decide(Outcome::Sent(None), 9, at(0), at(90_000), 0), Verdict::Sent(None));
    }

    #[test]
    fn a_provider_that_says_when_is_not_asked_before_but_within_an_hour() {
        for (asked_for, expected) in [(120, 120), (86_400, 3_600)] {
            let outcome =
                Outcome::NotNow { why: String::new(), retry_after: Some(Duration::from_secs(asked_for)) };
            let Verdict::Again { at: next, unsure: false, .. } = decide(outcome, 1, at(0), at(0), 0) else {
                panic!()
            };
            assert_eq!(next, at(expected));
        }
    }

    #[test]
    fn a_server_that_stays_away_is_tried_for_a_day_ever_less_often() {
        let (mut now, mut attempts) = (at(0), 0);
        let failed = loop {
            attempts += 1;
            match decide(not_now(), attempts, at(0), now, u64::from(attempts) * 7_919) {
                Verdict::Again { at, .. } => now = at,
                verdict => break verdict,
            }
        };
        let why = "Given up after a day. The mail server does not answer.".to_owned();
        assert_eq!(failed, Verdict::Failed(Refusal { why, ..Refusal::default() }));
        assert!(now > at(22 * 3_600) && now <= at(24 * 3_600), "{now}");
        assert!((24..60).contains(&attempts), "{attempts}");
    }

    proptest! {
        #[test]
        fn the_next_attempt_is_always_ahead_and_within_an_hour(attempt in 0u32.., chance in any::<u64>()) {
            let Verdict::Again { at: next, .. } = decide(not_now(), attempt, at(0), at(0), chance) else {
                return Err(TestCaseError::fail("it gave up at once"));
            };
            prop_assert!(next >= at(7) && next <= at(3_600));
        }
    }
}
