//! What becomes of a notification after an attempt to hand it on: handed on, refused, or tried again later, for a day.

use chrono::{DateTime, TimeDelta, Utc};

/// What came of one attempt. A reason names neither what the notification says nor to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The next server has it.
    Sent,
    /// Refused for good: another attempt would end the same.
    Refused(String),
    /// Not this time.
    NotNow(String),
}

/// Where the notification goes from `Queued`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// To `Sent`.
    Sent,
    /// To `Failed`.
    Failed(String),
    /// Nowhere yet: the next attempt is due then.
    Again(DateTime<Utc>, String),
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
    let why = match outcome {
        Outcome::Sent => return Verdict::Sent,
        Outcome::Refused(why) => return Verdict::Failed(why),
        Outcome::NotNow(why) => why,
    };
    let next = now + pause(attempt, chance);
    if next > asked_at + GIVE_UP_AFTER {
        return Verdict::Failed(format!("Given up after a day. {why}"));
    }
    Verdict::Again(next, why)
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
        Outcome::NotNow("The mail server does not answer.".to_owned())
    }

    #[test]
    fn what_is_refused_for_good_is_not_tried_again() {
        let refused = Outcome::Refused("no".to_owned());
        assert_eq!(decide(refused, 1, at(0), at(0), 0), Verdict::Failed("no".to_owned()));
        assert_eq!(decide(Outcome::Sent, 9, at(0), at(90_000), 0), Verdict::Sent);
    }

    #[test]
    fn a_server_that_stays_away_is_tried_for_a_day_ever_less_often() {
        let (mut now, mut attempts) = (at(0), 0);
        let failed = loop {
            attempts += 1;
            match decide(not_now(), attempts, at(0), now, u64::from(attempts) * 7_919) {
                Verdict::Again(next, _) => now = next,
                verdict => break verdict,
            }
        };
        assert_eq!(
            failed,
            Verdict::Failed("Given up after a day. The mail server does not answer.".to_owned())
        );
        assert!(now > at(22 * 3_600) && now <= at(24 * 3_600), "{now}");
        assert!((24..60).contains(&attempts), "{attempts}");
    }

    proptest! {
        #[test]
        fn the_next_attempt_is_always_ahead_and_within_an_hour(attempt in 0u32.., chance in any::<u64>()) {
            let Verdict::Again(next, _) = decide(not_now(), attempt, at(0), at(0), chance) else {
                return Err(TestCaseError::fail("it gave up at once"));
            };
            prop_assert!(next >= at(7) && next <= at(3_600));
        }
    }
}
