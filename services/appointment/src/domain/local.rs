//! Local time at a place, and the instant that it is.
//!
//! Where clocks are set forward, some local times do not exist: nothing can be booked there. Where they are set back, some come twice:
//! the earlier instant is meant.

use chrono::{
    DateTime, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Timelike, Utc,
};
use chrono_tz::Tz;
use contracts::field::BadField;

/// Clocks were never set forward by more than a day (Samoa left one out in 2011).
const GAP_MINUTES_MAX: i64 = 25 * 60;

/// The instant of a local time.
pub fn instant(zone: Tz, date: NaiveDate, time: NaiveTime) -> Result<DateTime<Utc>, BadField> {
    exact(zone, date.and_time(time)).ok_or_else(|| {
        BadField::new("must be a time that exists on that day: clocks are set forward over this one")
    })
}

/// The instant of a local time, or when clocks go on after the ones they leave out: where a day or a provider's hours begin or end.
pub fn instant_or_next(zone: Tz, local: NaiveDateTime) -> DateTime<Utc> {
    (0..=GAP_MINUTES_MAX)
        .find_map(|minutes| exact(zone, local + TimeDelta::minutes(minutes)))
        .unwrap_or_else(|| local.and_utc())
}

/// Date and time at the place, to the minute; `None` if that means another instant: the second time round, or between minutes.
pub fn name(zone: Tz, instant: DateTime<Utc>) -> Option<(NaiveDate, NaiveTime)> {
    let local = instant.with_timezone(&zone).naive_local();
    let time = NaiveTime::from_hms_opt(local.hour(), local.minute(), 0)?;
    (exact(zone, local.date().and_time(time)) == Some(instant)).then_some((local.date(), time))
}

fn exact(zone: Tz, local: NaiveDateTime) -> Option<DateTime<Utc>> {
    match zone.from_local_datetime(&local) {
        LocalResult::Single(instant) => Some(instant.to_utc()),
        LocalResult::Ambiguous(one, other) => Some(one.min(other).to_utc()),
        LocalResult::None => None,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn zones() -> impl Strategy<Value = Tz> {
        // Every rule there is, and often the ones with clocks that change.
        prop_oneof![
            prop::sample::select(&chrono_tz::TZ_VARIANTS[..]),
            prop::sample::select(
                &[
                    Tz::Europe__Berlin,
                    Tz::America__New_York,
                    Tz::Australia__Lord_Howe,
                    Tz::America__Sao_Paulo,
                    Tz::Pacific__Apia
                ][..]
            ),
        ]
    }

    pub(crate) fn dates() -> impl Strategy<Value = NaiveDate> {
        (1995i32..2040, 1u32..=366).prop_filter_map("a leap day", |(y, d)| NaiveDate::from_yo_opt(y, d))
    }

    pub(crate) fn times() -> impl Strategy<Value = NaiveTime> {
        (0u32..1440).prop_map(|minute| NaiveTime::from_hms_opt(minute / 60, minute % 60, 0).unwrap())
    }

    fn berlin(date: (i32, u32, u32), time: (u32, u32)) -> Result<String, BadField> {
        let date = NaiveDate::from_ymd_opt(date.0, date.1, date.2).unwrap();
        let time = NaiveTime::from_hms_opt(time.0, time.1, 0).unwrap();
        instant(Tz::Europe__Berlin, date, time).map(|instant| instant.to_rfc3339())
    }

    proptest! {
        #[test]
        fn an_instant_has_the_name_it_was_asked_by(zone in zones(), date in dates(), time in times()) {
            match instant(zone, date, time) {
                Ok(instant) => prop_assert_eq!(name(zone, instant), Some((date, time))),
                Err(_) => prop_assert!(instant_or_next(zone, date.and_time(time)) > DateTime::UNIX_EPOCH),
            }
        }

        #[test]
        fn of_two_instants_with_one_name_the_earlier_is_meant(zone in zones(), date in dates(), time in times()) {
            if let LocalResult::Ambiguous(one, other) = zone.from_local_datetime(&date.and_time(time)) {
                prop_assert_eq!(instant(zone, date, time), Ok(one.min(other).to_utc()));
                prop_assert_eq!(name(zone, one.max(other).to_utc()), None);
            }
        }

        #[test]
        fn a_time_left_out_gives_way_to_the_first_that_exists(zone in zones(), date in dates(), time in times()) {
            let local = date.and_time(time);
            let next = instant_or_next(zone, local);
            let shown = next.with_timezone(&zone).naive_local();
            prop_assert!(shown >= local);
            let just_before = (next - TimeDelta::minutes(1)).with_timezone(&zone).naive_local();
            prop_assert!(just_before < shown && (shown == local || just_before < local));
        }
    }

    #[test]
    fn the_night_the_clocks_go_forward_has_no_half_past_two() {
        assert!(berlin((2026, 3, 29), (2, 30)).is_err());
        assert_eq!(berlin((2026, 3, 29), (3, 0)).unwrap(), "2026-03-29T01:00:00+00:00");
    }

    #[test]
    fn the_night_the_clocks_go_back_half_past_two_is_the_first_one() {
        assert_eq!(berlin((2026, 10, 25), (2, 30)).unwrap(), "2026-10-25T00:30:00+00:00");
    }
}
