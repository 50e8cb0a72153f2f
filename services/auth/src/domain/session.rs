//! A session, from login to its end, and what a refresh token that is presented means for it.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use contracts::permission::Role;
use serde::{Deserialize, Serialize};
use settings::{AuthSettings, LogOff};

use crate::domain::user::User;

/// A client that lost the answer to a refresh may ask once more so soon, and gets the same successor.
pub const GRACE: TimeDelta = TimeDelta::seconds(10);

/// Of what a client calls itself so much is kept, characters.
const PROGRAM_CHARS_MAX: usize = 256;

/// Where a session was begun, and with what. Sealed as the row's body.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// The client's address, as the gateway saw it.
    pub address: Option<String>,
    /// What the client calls itself.
    pub program: Option<String>,
}

impl Opening {
    /// From a request's headers, which are bounded by whatever reads them; a longer name is cut off.
    pub fn new(address: Option<String>, user_agent: Option<&str>) -> Self {
        let program = user_agent.map(|name| name.chars().take(PROGRAM_CHARS_MAX).collect());
        Self { address, program }
    }
}

/// How long things last, for whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogOffs {
    usual: Lifetimes,
    by_role: BTreeMap<Role, LogOff>,
}

impl From<&AuthSettings> for LogOffs {
    fn from(settings: &AuthSettings) -> Self {
        // A role that this version does not know is nobody's here.
        let by_role =
            settings.log_off.iter().filter_map(|(role, log_off)| Some((role.parse().ok()?, *log_off)));
        Self { usual: Lifetimes::from(settings), by_role: by_role.collect() }
    }
}

impl LogOffs {
    /// For a user: the shortest of what is usual and what there is about each of their roles. Of a role that was made here the resource says
    /// nothing, and it may be a clinician's by another name: whoever has one has the shortest that there is.
    pub fn of(&self, user: &User) -> Lifetimes {
        if user.made.is_empty() { self.of_roles(&user.roles) } else { self.of_roles(self.by_role.keys()) }
    }

    fn of_roles<'a>(&self, roles: impl IntoIterator<Item = &'a Role>) -> Lifetimes {
        let shorter = |time: TimeDelta, seconds: Option<u32>| {
            seconds.map_or(time, |seconds| time.min(TimeDelta::seconds(i64::from(seconds))))
        };
        let of_each = roles.into_iter().filter_map(|role| self.by_role.get(role));
        of_each.fold(self.usual, |times, log_off| Lifetimes {
            access: times.access,
            idle: shorter(times.idle, log_off.idle_seconds),
            session: shorter(times.session, log_off.session_seconds),
        })
    }
}

/// How long things last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// An access token; less where the session has less.
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
        let idle_until = (now + lifetimes.idle).min(self.expires_at);
        Self { token_expires_at: (now + lifetimes.access).min(idle_until), idle_until, ..self }
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

    #[test]
    fn whoever_has_several_roles_has_the_shortest_life_of_them() {
        let log_off = |idle_seconds, session_seconds| LogOff { idle_seconds, session_seconds };
        let log_offs = LogOffs {
            usual: LIFETIMES,
            by_role: [
                (Role::Clinician, log_off(Some(900), None)),
                (Role::Admin, log_off(Some(1_800), Some(5_400))),
                (Role::Patient, log_off(Some(9_000), Some(9_000))),
            ]
            .into(),
        };
        let of = |roles: &[Role]| {
            let times = log_offs.of_roles(roles);
            (times.idle.num_seconds(), times.session.num_seconds())
        };
        assert_eq!(of(&[Role::Billing]), (3_600, 7_200));
        assert_eq!(of(&[Role::Clinician]), (900, 7_200));
        assert_eq!(of(&[Role::Clinician, Role::Admin]), (900, 5_400));
        assert_eq!(of(&[Role::Patient]), (3_600, 7_200), "never longer than is usual");
    }

    #[test]
    fn an_access_token_ends_with_its_session_however_short_that_is() {
        let short = Lifetimes { idle: TimeDelta::seconds(60), ..LIFETIMES };
        assert_eq!(Times::begin(start(), &short).token_expires_at, start() + TimeDelta::seconds(60));
    }

    proptest! {
        #[test]
        fn nothing_outlives_a_sessions_end(
            pauses in prop::collection::vec(1i64..3_600, 0..20),
            idle in 60i64..3_600,
        ) {
            let lifetimes = Lifetimes { idle: TimeDelta::seconds(idle), ..LIFETIMES };
            let (mut times, mut now) = (Times::begin(start(), &lifetimes), start());
            for pause in pauses {
                now += TimeDelta::seconds(pause);
                if times.is_alive(now) {
                    times = times.refresh(now, &lifetimes);
                }
                prop_assert!(times.token_expires_at <= times.idle_until && times.idle_until <= times.expires_at);
                prop_assert_eq!(times.expires_at, start() + LIFETIMES.session);
            }
        }
    }
}
