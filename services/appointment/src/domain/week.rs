//! [`Schedule`]: when and where a provider says that they can be booked, read from their profile and their time off.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use contracts::credentials::NotBookable;
use contracts::field;
use contracts::hours::Hours;
use contracts::local_time::LocalTime;
use contracts::providers::{Day, Provider};
use contracts::schedules::{ProviderSchedule, TimeOff};

use super::appointment::NO_VISIT_TYPE;
use super::local::instant_or_next;
use super::span::{Span, merged};
use super::visit::{Buffers, Sought, VisitType};

/// A provider's places, the hours at each, and when they are away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Where they are, if no place says otherwise.
    pub zone: Tz,
    /// How often this service had heard of changes of the schedule before it was read. What was decided on it stands if that is still so.
    pub heard: i64,
    /// Why they take no new bookings, if that is so.
    pub not_bookable: Option<NotBookable>,
    /// The hours that name no location first.
    places: Vec<Place>,
    away: Vec<Away>,
    visits: Vec<VisitType>,
}

/// The hours at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which location; none: wherever the provider is.
    pub location: Option<String>,
    /// The time there.
    pub zone: Tz,
    /// From Monday.
    week: [Vec<Hours>; 7],
    /// What counts instead on some dates.
    dates: BTreeMap<NaiveDate, Vec<Hours>>,
}

/// Time off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Away {
    /// Which.
    pub id: String,
    /// When.
    pub span: Span,
}

/// A profile that this service does not understand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the provider's hours or time zone are not understood")]
pub struct BadSchedule;

impl Place {
    fn new(location: Option<String>, zone: Tz) -> Self {
        Self { location, zone, week: Default::default(), dates: BTreeMap::new() }
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
            let weekly = &self.week[date.weekday().num_days_from_monday() as usize];
            self.dates.get(&date).unwrap_or(weekly).iter().map(move |hours| Span {
                starts_at: at(hours.start_minute()),
                ends_at: at(hours.end_minute()),
            })
        };
        merged(dates.flat_map(of_day).collect())
    }

    /// The hours of every date that a stretch of time touches at the place.
    pub fn open_around(&self, range: Span) -> Vec<Span> {
        let (day, date) = (TimeDelta::days(1), |at: DateTime<Utc>| at.with_timezone(&self.zone).date_naive());
        self.open(date(range.starts_at - day), date(range.ends_at + day))
    }
}

impl Schedule {
    /// Reads a profile.
    pub fn of(provider: &Provider) -> Result<Self, BadSchedule> {
        let zone = zone(&provider.time_zone)?;
        let mut places = vec![Place::new(None, zone)];
        for location in &provider.locations {
            let there = location.time_zone.as_deref().map_or(Ok(zone), self::zone)?;
            places.push(Place::new(Some(location.location_id.clone()), there));
        }
        let place = |location: &Option<String>| {
            provider
                .locations
                .iter()
                .position(|each| Some(&each.location_id) == location.as_ref())
                .map_or(0, |at| at + 1)
        };
        for day in &provider.availability {
            places[place(&day.location_id)].week[index(day.day)].extend(hours(&day.slots)?);
        }
        for other in &provider.overrides {
            let date = field::date(&other.date).map_err(|_| BadSchedule)?;
            // What counts on a date counts instead of all weekly hours, wherever those are.
            for each in &mut places {
                each.dates.entry(date).or_default();
            }
            let at = place(&other.location_id);
            places[at].dates.entry(date).or_default().extend(hours(&other.slots)?);
        }
        let visits = provider.visit_types.iter().map(|visit| VisitType {
            name: visit.name.clone(),
            minutes: visit.duration_minutes,
            buffers: Buffers { before: visit.buffer_before_minutes, after: visit.buffer_after_minutes },
        });
        Ok(Self { zone, heard: 0, not_bookable: None, places, away: Vec::new(), visits: visits.collect() })
    }

    /// Reads a profile with the time off, and with what keeps them from being booked.
    pub fn with_time_off(schedule: &ProviderSchedule) -> Result<Self, BadSchedule> {
        let mut read = Self::of(&schedule.provider)?;
        read.not_bookable = schedule.not_bookable;
        read.away = schedule.time_off.iter().map(|off| read.read_away(off)).collect::<Result<_, _>>()?;
        Ok(read)
    }

    fn read_away(&self, off: &TimeOff) -> Result<Away, BadSchedule> {
        let at = |local: NaiveDateTime| instant_or_next(self.zone, local);
        let read = |text: &str| LocalTime::parse(text).map_err(|_| BadSchedule);
        let span = Span { starts_at: at(read(&off.from)?.begins()), ends_at: at(read(&off.to)?.ends()) };
        Ok(Away { id: off.time_off_id.to_string(), span })
    }

    /// The same, read after this service had heard so often that it has changed.
    #[must_use]
    pub fn heard(self, heard: i64) -> Self {
        Self { heard, ..self }
    }

    /// The places where they can be booked: all, or the one that is asked for.
    pub fn places(&self, location: Option<&str>) -> impl Iterator<Item = &Place> {
        self.places.iter().filter(move |place| location.is_none() || place.location.as_deref() == location)
    }

    /// The time at a location, or at the provider's own place; `None`: there is no such location.
    pub fn zone_at(&self, location: Option<&str>) -> Option<Tz> {
        self.places.iter().find(|place| place.location.as_deref() == location).map(|place| place.zone)
    }

    /// The kind of visit of this name, whatever its case.
    pub fn visit(&self, name: &str) -> Option<&VisitType> {
        self.visits.iter().find(|visit| visit.name.to_lowercase() == name.to_lowercase())
    }

    /// The kind of visit that is asked for, if one is. Where the provider has kinds of visits it must be one of them; where they have none, any word
    /// says what kind it is, and nothing else.
    pub fn visit_of(&self, name: Option<&str>) -> Result<Option<&VisitType>, &'static str> {
        match name {
            Some(name) if !self.visits.is_empty() => self.visit(name).map(Some).ok_or(NO_VISIT_TYPE),
            _ => Ok(None),
        }
    }

    /// What stays free around a visit of this kind.
    pub fn buffers_of(&self, visit_type: Option<&str>) -> Buffers {
        visit_type.and_then(|name| self.visit(name)).map_or(Buffers::NONE, |visit| visit.buffers)
    }

    /// What is looked for to have a visit of this kind: so long, with what stays free around it, at that location.
    pub fn sought(&self, minutes: u32, visit_type: Option<&str>, location: Option<&str>) -> Sought {
        Sought { minutes, buffers: self.buffers_of(visit_type), location: location.map(str::to_owned) }
    }

    /// The times in which they are away.
    pub fn away(&self) -> impl Iterator<Item = Span> {
        self.away.iter().map(|away| away.span)
    }

    /// The time off that takes some of a span.
    pub fn away_in(&self, span: Span) -> impl Iterator<Item = &Away> {
        self.away.iter().filter(move |away| away.span.overlaps(span))
    }

    /// Whether all of a span lies within the hours, at one location or wherever; time off is another question.
    pub fn opens(&self, span: Span, location: Option<&str>) -> bool {
        let open = self.places(location).flat_map(|place| place.open_around(span)).collect();
        merged(open).into_iter().any(|open| open.covers(span))
    }

    /// Whether they can be booked for all of a span.
    pub fn covers(&self, span: Span) -> bool {
        self.opens(span, None) && self.away_in(span).next().is_none()
    }

    /// The date at the provider's place.
    pub fn date(&self, instant: DateTime<Utc>) -> NaiveDate {
        instant.with_timezone(&self.zone).date_naive()
    }
}

fn zone(name: &str) -> Result<Tz, BadSchedule> {
    name.parse().map_err(|_| BadSchedule)
}

fn hours(slots: &[String]) -> Result<Vec<Hours>, BadSchedule> {
    slots.iter().map(|slot| Hours::parse(slot).map_err(|_| BadSchedule)).collect()
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
    use contracts::providers::DayAvailability;
    use proptest::prelude::*;

    pub(crate) fn schedule(zone: &str, days: &[(Day, &[&str])]) -> Result<Schedule, BadSchedule> {
        let availability = days
            .iter()
            .map(|(day, slots)| DayAvailability {
                day: *day,
                slots: slots.iter().map(ToString::to_string).collect(),
                location_id: None,
            })
            .collect();
        Schedule::of(&profile(zone, availability))
    }

    pub(crate) fn profile(zone: &str, availability: Vec<DayAvailability>) -> Provider {
        let profile = serde_json::json!({
            "providerId": "prov001", "name": "Dr. Jane Doe", "specialization": "Cardiology", "contactInfo": {},
            "availability": availability, "timeZone": zone
        });
        serde_json::from_value(profile).unwrap()
    }

    /// The same with time off.
    pub(crate) fn away(schedule: &Schedule, id: &str, from: &str, to: &str) -> Schedule {
        let off = TimeOff {
            time_off_id: contracts::id::TimeOffId::parse(id).unwrap(),
            from: from.to_owned(),
            to: to.to_owned(),
            reason: None,
        };
        let mut schedule = schedule.clone();
        schedule.away.push(schedule.read_away(&off).unwrap());
        schedule
    }

    /// Two places in two zones, a date with other hours, and one that is closed.
    pub(crate) fn travelling() -> Schedule {
        let profile = serde_json::json!({
            "providerId": "prov001", "name": "Dr. Jane Doe", "specialization": "Cardiology", "contactInfo": {}, "timeZone": "Europe/Berlin",
            "locations": [{"locationId": "nyc", "name": "New York", "timeZone": "America/New_York"}],
            "availability": [{"day": "Monday", "slots": ["09:00-11:00"]}, {"day": "Monday", "slots": ["09:00-11:00"], "locationId": "nyc"}],
            "overrides": [{"date": "2026-01-26", "slots": ["10:00-11:00"], "locationId": "nyc"}, {"date": "2026-02-02", "slots": []}],
            "visitTypes": [{"name": "New", "durationMinutes": 60, "bufferBeforeMinutes": 5, "bufferAfterMinutes": 10}]
        });
        Schedule::of(&serde_json::from_value(profile).unwrap()).unwrap()
    }

    #[test]
    fn a_dates_hours_count_instead_of_all_weekly_ones_and_each_place_has_its_own_time() {
        let schedule = travelling();
        let open = |location: Option<&str>, date: &str| {
            let date = contracts::field::date(date).unwrap();
            let place = schedule.places.iter().find(|place| place.location.as_deref() == location).unwrap();
            place
                .open(date, date)
                .iter()
                .map(|span| span.starts_at.format("%H:%M").to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            (open(None, "2026-01-19"), open(Some("nyc"), "2026-01-19")),
            (vec!["08:00".to_owned()], vec!["14:00".to_owned()])
        );
        assert_eq!(
            (open(None, "2026-01-26"), open(Some("nyc"), "2026-01-26")),
            (vec![], vec!["15:00".to_owned()])
        );
        assert_eq!((open(None, "2026-02-02"), open(Some("nyc"), "2026-02-02")), (vec![], vec![]));
        assert_eq!(schedule.zone_at(Some("nyc")), Some(Tz::America__New_York));
        assert_eq!(
            (schedule.zone_at(None), schedule.zone_at(Some("moon"))),
            (Some(Tz::Europe__Berlin), None)
        );
        assert_eq!(schedule.visit("NEW").unwrap().buffers, Buffers { before: 5, after: 10 });
    }

    #[test]
    fn time_off_lasts_until_the_end_of_its_last_day_or_until_a_time() {
        let schedule = documented();
        let off = |from: &str, to: &str| away(&schedule, "toff_1", from, to);
        let covers = |schedule: &Schedule, time: &str| schedule.covers(at(schedule, "2026-01-19", time, 30));
        assert!(!covers(&off("2026-01-16", "2026-01-19"), "16:30"));
        assert!(covers(&off("2026-01-16", "2026-01-18"), "09:00"));
        let noon = off("2026-01-19T10:00", "2026-01-19T14:00");
        assert_eq!(
            ["09:30", "09:45", "11:30", "14:00"].map(|time| covers(&noon, time)),
            [true, false, false, true]
        );
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

        /// Whatever the clocks do on that date: a date off is from midnight to midnight at the place, and the hours of the date count for it alone.
        #[test]
        fn a_date_off_is_off_by_the_calendar_on_the_wall(zone in zones(), date in dates(), (days, time) in (-2i64..=2, times()), minutes in 5u32..=240) {
            let always = DAYS.map(|day| (day, &["00:00-24:00"][..]));
            let open = schedule(zone.name(), &always).unwrap();
            let off = away(&open, "toff_1", &date.to_string(), &date.to_string());
            let mut closed = profile(zone.name(), Vec::new());
            closed.overrides.push(contracts::schedules::DateOverride { date: date.to_string(), slots: vec!["00:00-24:00".to_owned()], location_id: None });
            let only = Schedule::of(&closed).unwrap();
            if let Ok(starts_at) = local::instant(zone, date + TimeDelta::days(days), time) {
                let span = Span::of_minutes(starts_at, minutes);
                let on = |at: DateTime<Utc>| at.with_timezone(&zone).date_naive();
                let touches = on(span.starts_at) <= date && on(span.ends_at - TimeDelta::seconds(1)) >= date;
                prop_assert_eq!(off.covers(span), !touches);
                let within = on(span.starts_at) == date && on(span.ends_at - TimeDelta::seconds(1)) == date;
                prop_assert_eq!(only.covers(span), within);
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
        let open = schedule.places[0].open(date, date);
        assert_eq!(open[0].ends_at - open[0].starts_at, TimeDelta::hours(9));
        assert!(local::instant(schedule.zone, date, NaiveTime::MIN).is_ok());
    }

    #[test]
    fn a_profile_that_makes_no_sense_is_not_understood() {
        assert_eq!(schedule("Mars/Olympus", &[]), Err(BadSchedule));
        assert_eq!(schedule("Europe/Berlin", &[(Day::Monday, &["9-12"])]), Err(BadSchedule));
    }
}
