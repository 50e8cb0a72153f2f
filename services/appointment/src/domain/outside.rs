//! Calendars outside: where each stands, what of a provider's time is looked at, and when to try again.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::span::Span;

/// Appointments and events that begin within so long are looked at.
const AHEAD: TimeDelta = TimeDelta::days(400);
/// All of a calendar is read again so often: what recurs is known as far ahead as was looked, and that far moves.
const WHOLE_EVERY: TimeDelta = TimeDelta::days(7);
/// The longest time between two attempts, unless the other side asks for more.
const BACKOFF_SECONDS_MAX: u64 = 15 * 60;
/// A channel is renewed so long before it ends.
const WATCH_RENEWED: TimeDelta = TimeDelta::days(1);
/// Who is refused a channel asks again after so long; and one that is told to be shorter than the time before its end is not asked for in each turn.
const WATCH_ASKED_EVERY: TimeDelta = TimeDelta::hours(1);
/// More than that nobody is let ask for.
const RETRY_AFTER_SECONDS_MAX: u64 = 3600;

/// Where a calendar stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// It was not looked at yet.
    #[default]
    Pending,
    /// It is in step.
    Ok,
    /// It does not answer, or not now.
    Unreachable,
    /// It does not know our credentials any more.
    CredentialRevoked,
    /// It refuses what we ask for.
    Refused,
    /// What it answers cannot be read.
    Garbled,
}

impl State {
    const ALL: [Self; 6] =
        [Self::Pending, Self::Ok, Self::Unreachable, Self::CredentialRevoked, Self::Refused, Self::Garbled];

    /// As the API shows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Ok => "Ok",
            Self::Unreachable => "Unreachable",
            Self::CredentialRevoked => "CredentialRevoked",
            Self::Refused => "Refused",
            Self::Garbled => "Garbled",
        }
    }

    /// The state of this name; one that a newer version has is none that is known.
    pub fn named(name: &str) -> Self {
        Self::ALL.into_iter().find(|state| state.name() == name).unwrap_or_default()
    }
}

/// What is shown of a calendar.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Where it stands.
    pub state: State,
    /// Why.
    pub error: Option<String>,
    /// When it was last in step.
    pub last_sync_at: Option<DateTime<Utc>>,
    /// Until when it tells by itself that it has changed.
    pub told_until: Option<DateTime<Utc>>,
}

/// The time that is looked at.
pub fn ahead(now: DateTime<Utc>) -> Span {
    Span { starts_at: now, ends_at: now + AHEAD }
}

/// Whether all of a calendar is to be read again.
pub fn is_whole_due(whole_at: Option<DateTime<Utc>>, now: DateTime<Utc>) -> bool {
    whole_at.is_none_or(|whole_at| whole_at + WHOLE_EVERY <= now)
}

/// Whether a channel is to be asked for: there is none, or the one that there is ends within a day, and it was not asked for just now.
pub fn is_watch_due(
    until: Option<DateTime<Utc>>,
    asked_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> bool {
    until.is_none_or(|until| until - WATCH_RENEWED <= now)
        && asked_at.is_none_or(|at| at + WATCH_ASKED_EVERY <= now)
}

/// How long to wait after so many failures, one after the other: twice as long each time, and as long as the other side asks for, within bounds.
pub fn backoff(poll: Duration, failures: i64, asked_seconds: Option<u64>) -> TimeDelta {
    let poll = poll.as_secs().max(1);
    let doubled = poll.saturating_mul(1 << failures.clamp(0, 16).unsigned_abs());
    let asked = asked_seconds.unwrap_or_default().min(RETRY_AFTER_SECONDS_MAX);
    let seconds = doubled.min(BACKOFF_SECONDS_MAX.max(poll)).max(asked);
    TimeDelta::seconds(i64::try_from(seconds).unwrap_or(i64::MAX / 1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_fails_waits_longer_each_time_and_not_for_ever() {
        let minute = Duration::from_mins(1);
        let waits: Vec<_> = (0..7).map(|failures| backoff(minute, failures, None).num_seconds()).collect();
        assert_eq!(waits, [60, 120, 240, 480, 900, 900, 900]);
        assert_eq!(backoff(minute, 1, Some(600)).num_seconds(), 600);
        assert_eq!(backoff(minute, 1, Some(u64::MAX)).num_seconds(), 3600);
        assert_eq!(backoff(Duration::from_hours(24), i64::MAX, None).num_seconds(), 86_400);
    }

    #[test]
    fn a_channel_is_asked_for_before_it_ends_and_not_over_and_over() {
        let now = DateTime::from_timestamp(1_768_467_600, 0).unwrap();
        let in_hours = |hours: i64| Some(now + TimeDelta::hours(hours));
        assert!(is_watch_due(None, None, now) && !is_watch_due(None, in_hours(0), now));
        assert!(is_watch_due(None, in_hours(-1), now) && is_watch_due(in_hours(24), in_hours(-144), now));
        assert!(
            !is_watch_due(in_hours(25), in_hours(-143), now) && !is_watch_due(in_hours(2), in_hours(0), now)
        );
    }

    #[test]
    fn a_state_is_known_by_its_name() {
        for state in State::ALL {
            assert_eq!(State::named(state.name()), state);
        }
        assert_eq!(State::named("Later"), State::Pending);
    }
}
