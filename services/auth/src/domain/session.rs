//! A session, from login to its end, and what a refresh token that is presented means for it.

use chrono::{DateTime, TimeDelta, Utc};
use settings::AuthSettings;

/// A client that lost the answer to a refresh may ask once more so soon, and gets the same successor.
pub const GRACE: TimeDelta = TimeDelta::seconds(10);

/// How long things last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// An access token.
    pub access: TimeDelta,
    /// A session that is not refreshed.
    pub idle: TimeDelta,
    /// A session, however often it is refreshed.
    pub session: TimeDelta,
}

impl From<&AuthSettings> for Lifetimes {
    fn from(settings: &AuthSettings) -> Self {
        let seconds = |seconds: u32| TimeDelta::seconds(i64::from(seconds));
        Self {
            access: seconds(settings.access_token_seconds),
            idle: seconds(settings.refresh_token_seconds),
            session: seconds(settings.session_seconds),
        }
    }
}

/// A session's times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// When the access token that was issued last expires.
    pub token_expires_at: DateTime<Utc>,
    /// It ends when it is not refreshed by then.
    pub idle_until: DateTime<Utc>,
    /// It ends by then.
    pub expires_at: DateTime<Utc>,
}

impl Times {
    /// A session that begins now.
    pub fn begin(now: DateTime<Utc>, lifetimes: &Lifetimes) -> Self {
        Self { token_expires_at: now, idle_until: now, expires_at: now + lifetimes.session }
            .refresh(now, lifetimes)
    }

    /// A session that goes on: nothing outlives its end.
    #[must_use]
    pub fn refresh(self, now: DateTime<Utc>, lifetimes: &Lifetimes) -> Self {
        Self {
            token_expires_at: (now + lifetimes.access).min(self.expires_at),
            idle_until: (now + lifetimes.idle).min(self.expires_at),
            ..self
        }
    }

    /// Whether it can be refreshed.
    pub fn is_alive(&self, now: DateTime<Utc>) -> bool {
        now < self.idle_until && now < self.expires_at
    }
}

/// What a refresh token that is presented means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presented {
    /// The latest one: exchange it.
    Latest,
    /// The one before, and its successor has not been used: the answer was lost, give it again.
    Retried,
    /// An old one: somebody has a copy. The session ends.
    Reused,
}

impl Presented {
    /// Judges a token by when it was used, and whether what it was exchanged for still waits to be used.
    pub fn judge(used_at: Option<DateTime<Utc>>, successor_waits: bool, now: DateTime<Utc>) -> Self {
        match used_at {
            None => Self::Latest,
            Some(used_at) if successor_waits && now - used_at < GRACE => Self::Retried,
            Some(_) => Self::Reused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIFETIMES: Lifetimes = Lifetimes {
        access: TimeDelta::seconds(600),
        idle: TimeDelta::seconds(3_600),
        session: TimeDelta::seconds(7_200),
    };

    fn start() -> DateTime<Utc> {
        DateTime::from_timestamp(1_768_467_600, 0).unwrap()
    }

    #[test]
    fn a_session_that_rests_ends() {
        let times = Times::begin(start(), &LIFETIMES);
        assert!(times.is_alive(start() + TimeDelta::seconds(3_599)));
        assert!(!times.is_alive(start() + TimeDelta::seconds(3_600)));
    }

    #[test]
    fn a_token_is_judged_by_its_use() {
        let later = |seconds| start() + TimeDelta::seconds(seconds);
        assert_eq!(Presented::judge(None, false, start()), Presented::Latest);
        assert_eq!(Presented::judge(Some(start()), true, later(9)), Presented::Retried);
        assert_eq!(Presented::judge(Some(start()), true, later(10)), Presented::Reused);
        assert_eq!(Presented::judge(Some(start()), false, later(1)), Presented::Reused);
    }

    proptest! {
        #[test]
        fn nothing_outlives_a_sessions_end(pauses in prop::collection::vec(1i64..3_600, 0..20)) {
            let (mut times, mut now) = (Times::begin(start(), &LIFETIMES), start());
            for pause in pauses {
                now += TimeDelta::seconds(pause);
                if times.is_alive(now) {
                    times = times.refresh(now, &LIFETIMES);
                }
                prop_assert!(times.token_expires_at <= times.expires_at && times.idle_until <= times.expires_at);
                prop_assert_eq!(times.expires_at, start() + LIFETIMES.session);
            }
        }
    }
}
