//! When something is sent: reminders before an appointment, out of somebody's quiet hours, and never after it has begun.
//!
//! A reminder that is late, since nothing could be sent, goes out until two hours after its time, or until the next one's: so what is over
//! does not come in a burst. Nothing that tells of an appointment is sent once it has begun.

use chrono::{DateTime, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use contracts::notifications::NotificationType as Kind;

/// A day and two hours before, if somebody does not wish otherwise.
pub const LEADS_DEFAULT: [u32; 2] = [1440, 120];
/// So late a reminder may be.
pub const LATE_MAX: TimeDelta = TimeDelta::hours(2);
/// Clocks were never set forward by more than a day.
const GAP_MINUTES_MAX: i64 = 25 * 60;

/// When somebody is not to be disturbed, each day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quiet {
    /// From then on.
    pub from: NaiveTime,
    /// Until then: the same day, or the next.
    pub to: NaiveTime,
    /// Where.
    pub zone: Tz,
}

/// When something is sent, and from when on it is not any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Then.
    pub send_at: DateTime<Utc>,
    /// Not from then on.
    pub until: DateTime<Utc>,
}

impl Quiet {
    /// The quiet hours that an instant is in: when they began and when they end.
    fn around(self, at: DateTime<Utc>) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        let local = at.with_timezone(&self.zone).naive_local();
        let (today, time) = (local.date(), local.time());
        let goes_past_midnight = self.to <= self.from;
        let (begins_on, ends_on) = if !goes_past_midnight {
            (self.from <= time && time < self.to).then_some((today, today))?
        } else if time >= self.from {
            (today, today.succ_opt()?)
        } else if time < self.to {
            (today.pred_opt()?, today)
        } else {
            return None;
        };
        let instant = |date: chrono::NaiveDate, time| instant_or_next(self.zone, date.and_time(time));
        Some((instant(begins_on, self.from), instant(ends_on, self.to)))
    }
}

/// The instant of a local time, the first of two; or when clocks go on after the ones they leave out.
fn instant_or_next(zone: Tz, local: NaiveDateTime) -> DateTime<Utc> {
    (0..=GAP_MINUTES_MAX)
        .find_map(|minutes| zone.from_local_datetime(&(local + TimeDelta::minutes(minutes))).earliest())
        .map_or_else(|| local.and_utc(), |instant| instant.to_utc())
}

/// When somebody is told of what has just happened: now, or when they may be disturbed; now all the same if it has begun by then. `None` of what is past.
pub fn at_once(starts_at: DateTime<Utc>, quiet: Option<Quiet>, now: DateTime<Utc>) -> Option<Slot> {
    let later = quiet.and_then(|quiet| quiet.around(now)).map(|(_, end)| end).filter(|end| *end < starts_at);
    (now < starts_at).then_some(Slot { send_at: later.unwrap_or(now), until: starts_at })
}

/// When somebody is told of what is held for them until then: now, or when they may be disturbed. What has ended by then is not sent.
pub fn offer(until: DateTime<Utc>, quiet: Option<Quiet>, now: DateTime<Utc>) -> Slot {
    let later = quiet.and_then(|quiet| quiet.around(now)).map(|(_, end)| end.min(until));
    Slot { send_at: later.unwrap_or(now), until }
}

/// When somebody is told of it another way who could not be told until now: now, or when they may be disturbed. If it is not sent any more by then, what has
/// just happened is told all the same; else nothing is.
pub fn again(
    kind: Kind,
    until: DateTime<Utc>,
    quiet: Option<Quiet>,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let later = quiet.and_then(|quiet| quiet.around(now)).map_or(now, |(_, end)| end);
    let waits = matches!(kind, Kind::Reminder | Kind::Waitlist);
    (later < until).then_some(later).or((!waits).then_some(now))
}

/// The reminders of an appointment, each with how many minutes before it is meant: none for the past, none after its beginning, no two at once. One that falls
/// into quiet hours is sent when they end; if that is too late, when they begin; if that is past, not at all.
pub fn reminders(
    starts_at: DateTime<Utc>,
    leads_minutes: &[u32],
    quiet: Option<Quiet>,
    now: DateTime<Utc>,
) -> Vec<(u32, Slot)> {
    let undisturbed = |at: DateTime<Utc>| match quiet.and_then(|quiet| quiet.around(at)) {
        Some((_, end)) if end < starts_at => end,
        Some((begin, _)) => begin,
        None => at,
    };
    let mut due: Vec<_> = leads_minutes
        .iter()
        .map(|lead| (undisturbed(starts_at - TimeDelta::minutes(i64::from(*lead))), *lead))
        .filter(|(at, _)| now < *at && *at < starts_at)
        .collect();
    // Of two at the same time, the one meant for later says all that the other does.
    due.sort_unstable();
    due.dedup_by_key(|(at, _)| *at);
    let next = due.iter().map(|(at, _)| *at).skip(1).chain([starts_at]).collect::<Vec<_>>();
    due.iter()
        .zip(next)
        .map(|((at, lead), next)| {
            (*lead, Slot { send_at: *at, until: next.min(*at + LATE_MAX).min(starts_at) })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn time(text: &str) -> NaiveTime {
        NaiveTime::parse_from_str(text, "%H:%M").unwrap()
    }

    #[expect(clippy::unnecessary_wraps, reason = "there may be none")]
    fn berlin(from: &str, to: &str) -> Option<Quiet> {
        Some(Quiet { from: time(from), to: time(to), zone: Tz::Europe__Berlin })
    }

    fn times(starts_at: &str, quiet: Option<Quiet>, now: &str) -> Vec<String> {
        let reminders = reminders(at(starts_at), &LEADS_DEFAULT, quiet, at(now));
        reminders.iter().map(|(lead, slot)| format!("{lead} {}", slot.send_at.format("%d %H:%M"))).collect()
    }

    #[test]
    fn what_goes_another_way_waits_for_its_reader_and_a_reminder_not_past_its_time() {
        let (quiet, night) = (berlin("21:00", "07:00"), at("2026-01-19T23:00:00Z"));
        let morning = at("2026-01-20T06:00:00Z");
        for (kind, until, expected) in [
            (Kind::Creation, "2026-01-20T09:00:00Z", Some(morning)),
            (Kind::Creation, "2026-01-20T05:00:00Z", Some(night)),
            (Kind::Reminder, "2026-01-20T09:00:00Z", Some(morning)),
            (Kind::Reminder, "2026-01-20T06:00:00Z", None),
            (Kind::Waitlist, "2026-01-20T05:00:00Z", None),
        ] {
            assert_eq!(again(kind, at(until), quiet, night), expected, "{kind:?} {until}");
            assert_eq!(again(kind, at(until), None, night), Some(night));
        }
    }

    #[test]
    fn a_day_and_two_hours_before_and_not_what_is_past() {
        assert_eq!(
            times("2026-01-20T09:00:00Z", None, "2026-01-15T09:00:00Z"),
            ["1440 19 09:00", "120 20 07:00"]
        );
        assert_eq!(times("2026-01-20T09:00:00Z", None, "2026-01-19T12:00:00Z"), ["120 20 07:00"]);
        assert!(times("2026-01-20T09:00:00Z", None, "2026-01-20T08:00:00Z").is_empty());
    }

    #[test]
    fn out_of_quiet_hours_and_before_them_if_their_end_is_too_late() {
        // Nine at night to seven in the morning, in Berlin an hour ahead.
        let quiet = berlin("21:00", "07:00");
        assert_eq!(
            times("2026-01-20T07:30:00Z", quiet, "2026-01-15T09:00:00Z"),
            ["1440 19 07:30", "120 20 06:00"]
        );
        assert_eq!(
            times("2026-01-20T05:00:00Z", quiet, "2026-01-15T09:00:00Z"),
            ["1440 19 06:00", "120 19 20:00"]
        );
        assert!(times("2026-01-20T05:00:00Z", quiet, "2026-01-19T21:00:00Z").is_empty());
    }

    #[test]
    fn in_the_night_the_clocks_go_forward_quiet_hours_end_when_clocks_go_on() {
        let quiet = berlin("22:00", "02:30").unwrap();
        let (_, end) = quiet.around(at("2026-03-29T00:30:00Z")).unwrap();
        assert_eq!(end, at("2026-03-29T01:00:00Z"));
    }

    #[test]
    fn what_has_just_happened_waits_for_the_morning_unless_that_is_too_late() {
        let quiet = berlin("21:00", "07:00");
        let now = at("2026-01-19T22:00:00Z");
        assert_eq!(
            at_once(at("2026-01-20T09:00:00Z"), quiet, now).unwrap().send_at,
            at("2026-01-20T06:00:00Z")
        );
        assert_eq!(at_once(at("2026-01-20T05:00:00Z"), quiet, now).unwrap().send_at, now);
        assert_eq!(at_once(now, quiet, now), None);
    }

    proptest! {
        #[test]
        fn reminders_come_one_after_another_before_it_begins_and_never_overlap(
            minutes in 0i64..20_000, leads in prop::collection::vec(10u32..43_200, 0..5),
            quiet in prop::option::of((0u32..1440, 0u32..1440)), from in 0i64..400,
        ) {
            let minute = |minute: u32| NaiveTime::from_hms_opt(minute / 60, minute % 60, 0).unwrap();
            let quiet = quiet.map(|(from, to)| Quiet { from: minute(from), to: minute(to), zone: Tz::Europe__Berlin });
            let now = at("2026-01-01T00:00:00Z") + TimeDelta::days(from);
            let starts_at = now + TimeDelta::minutes(minutes);
            let mut before = now;
            for (_, slot) in reminders(starts_at, &leads, quiet, now) {
                prop_assert!(before <= slot.send_at && now < slot.send_at);
                prop_assert!(slot.send_at < slot.until && slot.until <= starts_at);
                prop_assert!(slot.until - slot.send_at <= LATE_MAX);
                before = slot.until;
            }
        }

        #[test]
        fn quiet_hours_hold_what_they_are_around(minute in 0i64..600_000, from in 0u32..1440, to in 0u32..1440) {
            let clock = |minute: u32| NaiveTime::from_hms_opt(minute / 60, minute % 60, 0).unwrap();
            let quiet = Quiet { from: clock(from), to: clock(to), zone: Tz::UTC };
            let at = at("2026-01-01T00:00:00Z") + TimeDelta::minutes(minute);
            if let Some((begin, end)) = quiet.around(at) {
                prop_assert!(begin <= at && at < end && end - begin <= TimeDelta::days(1));
            }
        }
    }
}
