//! [`Schedule`]: when a provider says that they can be booked, read from their profile.

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;
use contracts::hours::Hours;
use contracts::providers::{Day, Provider};

use super::local::instant_or_next;
use super::span::{Span, merged};

/// A provider's place and the hours of every week there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Where they are.
    pub zone: Tz,
    /// From Monday.
    week: [Vec<Hours>; 7],
}

/// A profile that this service does not understand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the provider's hours or time zone are not understood")]
pub struct BadSchedule;

impl Schedule {
    /// Reads a profile.
    pub fn of(provider: &Provider) -> Result<Self, BadSchedule> {
        let zone = provider.time_zone.parse().map_err(|_| BadSchedule)?;
        let mut week: [Vec<Hours>; 7] = Default::default();
        for day in &provider.availability {
            for slot in &day.slots {
                week[index(day.day)].push(Hours::parse(slot).map_err(|_| BadSchedule)?);
            }
        }
        Ok(Self { zone, week })
    }

    /// The hours from one date at the place to another, both included, as instants; those that touch are one.
    pub fn open(&self, from: NaiveDate, to: NaiveDate) -> Vec<Span> {
        let dates = from.iter_days().take_while(|date| *date <= to);
        let of_day = |date: NaiveDate| {
            let at = move |minute: u16| {
                let local =
                    date.and_hms_opt(0, 0, 0).unwrap_or_default() + TimeDelta::minutes(i64::from(minute));
                instant_or_next(self.zone, local)
            };
            let hours = &self.week[date.weekday().num_days_from_monday() as usize];
            hours.iter().map(move |hours| Span {
                starts_at: at(hours.start_minute()),
                ends_at: at(hours.end_minute()),
            })
        };
        merged(dates.flat_map(of_day).collect())
    }

    /// Whether all of a span lies within the hours.
    pub fn covers(&self, span: Span) -> bool {
        let day = TimeDelta::days(1);
        self.open(self.date(span.starts_at - day), self.date(span.ends_at + day))
            .into_iter()
            .any(|open| open.covers(span))
    }

    /// The date at the place.
    pub fn date(&self, instant: DateTime<Utc>) -> NaiveDate {
        instant.with_timezone(&self.zone).date_naive()
    }
}

fn index(day: Day) -> usize {
    match day {
        Day::Monday => 0,
        Day::Tuesday => 1,
        Day::Wednesday => 2,
        Day::Thursday => 3,
        Day::Friday => 4,
        Day::Saturday => 5,
        Day::Sunday => 6,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::local::{self, tests::*};
    use super::*;
    use chrono::NaiveTime;
    use contracts::providers::ContactInfo;
    use contracts::providers::DayAvailability;
    use proptest::prelude::*;

    pub(crate) fn schedule(zone: &str, days: &[(Day, &[&str])]) -> Result<Schedule, BadSchedule> {
        let availability = days
            .iter()
            .map(|(day, slots)| DayAvailability {
                day: *day,
                slots: slots.iter().map(ToString::to_string).collect(),
            })
            .collect();
        Schedule::of(&Provider {
            provider_id: "prov001".to_owned(),
            name: "Dr. Jane Doe".to_owned(),
            specialization: "Cardiology".to_owned(),
            contact_info: ContactInfo::default(),
            availability,
            time_zone: zone.to_owned(),
        })
    }

    pub(crate) fn documented() -> Schedule {
        schedule(
            "Europe/Berlin",
            &[(Day::Monday, &["09:00-12:00", "14:00-17:00"]), (Day::Wednesday, &["09:00-12:00"])],
        )
        .unwrap()
    }

    fn at(schedule: &Schedule, date: &str, time: &str, minutes: u32) -> Span {
        let (date, time) = (contracts::field::date(date).unwrap(), contracts::field::time(time).unwrap());
        Span::of_minutes(local::instant(schedule.zone, date, time).unwrap(), minutes)
    }

    const DAYS: [Day; 7] =
        [Day::Monday, Day::Tuesday, Day::Wednesday, Day::Thursday, Day::Friday, Day::Saturday, Day::Sunday];

    proptest! {
        #[test]
        fn hours_open_and_close_by_the_clock_on_the_wall(zone in zones(), date in dates(), time in times(), minutes in 5u32..=480) {
            let days = DAYS.map(|day| (day, &["08:00-16:30"][..]));
            let schedule = schedule(zone.name(), &days).unwrap();
            if let Ok(starts_at) = local::instant(zone, date, time) {
                let span = Span::of_minutes(starts_at, minutes);
                let ends = span.ends_at.with_timezone(&zone).naive_local();
                let clock = |text: &str| contracts::field::time(text).unwrap();
                // Zones that change their clocks in the middle of the day are few: where they did, the wall decides nothing here.
                let same_offset = ends - date.and_time(time) == span.ends_at - span.starts_at;
                let within = time >= clock("08:00") && ends.date() == date && ends.time() <= clock("16:30");
                if same_offset {
                    prop_assert_eq!(schedule.covers(span), within);
                }
            }
        }

        #[test]
        fn a_provider_who_is_there_day_and_night_covers_everything(zone in zones(), date in dates(), time in times()) {
            let schedule = schedule(zone.name(), &DAYS.map(|day| (day, &["00:00-12:00", "12:00-24:00"][..]))).unwrap();
            if let Ok(starts_at) = local::instant(zone, date, time) {
                prop_assert!(schedule.covers(Span::of_minutes(starts_at, 480)));
            }
        }
    }

    #[test]
    fn the_documents_hours_cover_what_lies_within_them() {
        let schedule = documented();
        for (date, time, minutes, covered) in [
            ("2026-01-19", "09:00", 180, true),
            ("2026-01-19", "11:45", 30, false),
            ("2026-01-19", "12:00", 30, false),
            ("2026-01-19", "16:30", 30, true),
            ("2026-01-20", "10:00", 30, false),
            ("2026-01-21", "14:00", 30, false),
            ("2024-08-01", "10:00", 30, false),
        ] {
            assert_eq!(schedule.covers(at(&schedule, date, time, minutes)), covered, "{date} {time}");
        }
    }

    #[test]
    fn a_night_shift_goes_on_over_midnight() {
        let days: &[(Day, &[&str])] = &[(Day::Monday, &["20:00-24:00"]), (Day::Tuesday, &["00:00-04:00"])];
        let schedule = schedule("Europe/Berlin", days).unwrap();
        assert!(schedule.covers(at(&schedule, "2026-01-19", "23:30", 60)));
        assert!(!schedule.covers(at(&schedule, "2026-01-20", "23:30", 60)));
    }

    #[test]
    fn the_night_the_clocks_go_back_is_an_hour_longer() {
        let schedule = schedule("Europe/Berlin", &[(Day::Sunday, &["00:00-08:00"])]).unwrap();
        let date = NaiveDate::from_ymd_opt(2026, 10, 25).unwrap();
        let open = schedule.open(date, date);
        assert_eq!(open[0].ends_at - open[0].starts_at, TimeDelta::hours(9));
        assert!(local::instant(schedule.zone, date, NaiveTime::MIN).is_ok());
    }

    #[test]
    fn a_profile_that_makes_no_sense_is_not_understood() {
        assert_eq!(schedule("Mars/Olympus", &[]), Err(BadSchedule));
        assert_eq!(schedule("Europe/Berlin", &[(Day::Monday, &["9-12"])]), Err(BadSchedule));
    }
}
