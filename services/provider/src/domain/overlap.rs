//! Hours that overlap, at one place or at two: nobody is at two places at once.
//!
//! Hours of one time zone overlap in every week or in none. Those of two zones may overlap in some weeks alone, since clocks do not change
//! everywhere at once: so a year is looked through.

use chrono::{
    DateTime, Datelike, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Utc,
};
use chrono_tz::Tz;
use contracts::hours::Hours;

/// Clocks were never set forward by more than a day.
const GAP_MINUTES_MAX: i64 = 25 * 60;
/// A year, and a week more.
const WEEKS: i64 = 53;

/// Hours at a place, every week on a day or on one date.
#[derive(Clone, Copy, Debug)]
pub struct Stretch {
    /// Which entry of the list it stands in.
    pub entry: usize,
    /// Which of that entry's hours.
    pub slot: usize,
    /// The time at the place.
    pub zone: Tz,
    /// From when to when.
    pub hours: Hours,
}

/// The first of these weekly hours that overlaps some of another entry, in the year from `today` on. `days` are counted from Monday.
pub fn of_week(stretches: &[(u32, Stretch)], today: NaiveDate) -> Option<Stretch> {
    let monday = today - TimeDelta::days(i64::from(today.weekday().num_days_from_monday()));
    let is_one_zone = stretches.windows(2).all(|pair| pair[0].1.zone == pair[1].1.zone);
    let weeks = if is_one_zone { 1 } else { WEEKS };
    let dated = (0..weeks).flat_map(|week| {
        stretches.iter().map(move |(day, stretch)| {
            (monday + TimeDelta::weeks(week) + TimeDelta::days(i64::from(*day)), *stretch)
        })
    });
    of_dates(dated.collect())
}

/// The first of these dates' hours that overlaps some of another entry.
pub fn of_dates(stretches: Vec<(NaiveDate, Stretch)>) -> Option<Stretch> {
    let mut spans: Vec<_> = stretches
        .into_iter()
        .map(|(date, stretch)| {
            let at = |minute: u16| {
                instant(stretch.zone, date.and_time(NaiveTime::MIN) + TimeDelta::minutes(i64::from(minute)))
            };
            (at(stretch.hours.start_minute()), at(stretch.hours.end_minute()), stretch)
        })
        // What the clocks leave out is no time.
        .filter(|(starts_at, ends_at, _)| starts_at < ends_at)
        .collect();
    spans.sort_by_key(|(starts_at, ..)| *starts_at);
    let mut last: Option<(DateTime<Utc>, Stretch)> = None;
    for (starts_at, ends_at, stretch) in spans {
        match last {
            Some((until, before)) if starts_at < until => {
                if before.entry != stretch.entry {
                    return Some(if before.entry > stretch.entry { before } else { stretch });
                }
                if ends_at > until {
                    last = Some((ends_at, stretch));
                }
            }
            _ => last = Some((ends_at, stretch)),
        }
    }
    None
}

/// The instant of a local time: of two the earlier, and of none the next that there is.
fn instant(zone: Tz, local: NaiveDateTime) -> DateTime<Utc> {
    (0..=GAP_MINUTES_MAX)
        .find_map(|minutes| match zone.from_local_datetime(&(local + TimeDelta::minutes(minutes))) {
            LocalResult::Single(instant) => Some(instant.to_utc()),
            LocalResult::Ambiguous(one, other) => Some(one.min(other).to_utc()),
            LocalResult::None => None,
        })
        .unwrap_or_else(|| local.and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stretch(entry: usize, zone: Tz, start: u16, end: u16) -> Stretch {
        let text = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
        let hours = Hours::parse(&format!("{}-{}", text(start), text(end))).unwrap();
        Stretch { entry, slot: 0, zone, hours }
    }

    fn today() -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 1, 15).unwrap()
    }

    proptest! {
        #[test]
        fn in_one_zone_they_overlap_exactly_when_a_minute_of_a_day_is_in_both(
            zone in prop::sample::select(&chrono_tz::TZ_VARIANTS[..]),
            (day, other_day) in (0u32..2, 0u32..2), (a, b) in (0u16..1400, 1u16..600), (c, d) in (0u16..1400, 1u16..600),
        ) {
            let (one, other) = (stretch(0, zone, a, (a + b).min(1440)), stretch(1, zone, c, (c + d).min(1440)));
            let overlap = of_week(&[(day, one), (other_day, other)], today());
            prop_assert_eq!(overlap.is_some(), day == other_day && one.hours.overlaps(other.hours));
            prop_assert!(overlap.is_none_or(|overlap| overlap.entry == 1));
        }
    }

    #[test]
    fn two_zones_are_compared_by_the_instant_and_in_every_week_of_a_year() {
        // 15:00 in Berlin is 09:00 in New York, but for the weeks in March and October in which it is 10:00.
        let berlin = stretch(0, Tz::Europe__Berlin, 14 * 60, 15 * 60);
        let new_york = |start: u16| stretch(1, Tz::America__New_York, start * 60, (start + 1) * 60);
        let overlaps = |start: u16| of_week(&[(2, berlin), (2, new_york(start))], today()).is_some();
        assert_eq!([7, 8, 9, 10].map(overlaps), [false, true, true, false]);
    }

    #[test]
    fn hours_of_one_entry_are_not_compared_with_each_other() {
        let one = stretch(0, Tz::UTC, 0, 60);
        assert!(of_week(&[(0, one), (0, one)], today()).is_none());
        let dates =
            |second| of_dates(vec![(today(), one), (today(), stretch(1, Tz::UTC, second, second + 60))]);
        assert_eq!((dates(60).is_some(), dates(59).is_some()), (false, true));
    }
}
