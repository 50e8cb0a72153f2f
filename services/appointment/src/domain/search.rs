//! Which appointments, changes and slots are asked for.

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use chrono_tz::Tz;
use contracts::appointments::{AppointmentFilter, AppointmentStatus, HistoryFilter, SlotFilter};
use contracts::availability::{ConflictFilter, NextSlotFilter};
use contracts::field;
use contracts::id::{PatientId, ProviderId};
use contracts::problem::{Faults, Problem, ProblemCode};
use http_kit::page::Window;

use super::appointment::{MINUTES_DEFAULT, NO_LOCATION, duration};
use super::local::instant_or_next;
use super::span::Span;
use super::visit::{Buffers, Sought};
use super::week::Schedule;
use crate::store::among::Want;

/// The sort key of the appointments' list: by time.
pub type Key = (DateTime<Utc>, String);

const SLOT_DAYS_MAX: i64 = 92;
const SLOT_DAYS_DEFAULT: i64 = 7;
const NEXT_MAX: u32 = 50;
const NEXT_DEFAULT: u32 = 20;

/// Which appointments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// Whose.
    pub patient: Option<PatientId>,
    /// With whom.
    pub provider: Option<ProviderId>,
    /// Where they stand.
    pub status: Option<AppointmentStatus>,
    /// Which begin at this time or later,
    pub from: DateTime<Utc>,
    /// and before this one.
    pub before: DateTime<Utc>,
    /// Whether it is those alone that somebody must resolve.
    pub in_conflict: bool,
    /// Whether one that cannot be opened is passed over.
    pub want: Want,
    /// The stretch of the list.
    pub window: Window<Key>,
}

impl Search {
    /// Reads a filter; its dates are meant where the clinic is.
    pub fn parse(filter: &AppointmentFilter, zone: Tz) -> Result<Self, Problem> {
        let mut faults = Faults::new();
        let patient = filter.patient_id.as_deref().map(PatientId::parse).transpose();
        let patient = faults.take("patientId", patient);
        let provider = filter.provider_id.as_deref().map(ProviderId::parse).transpose();
        let provider = faults.take("providerId", provider);
        let from = optional_date("from", filter.from.as_deref(), &mut faults);
        let to = optional_date("to", filter.to.as_deref(), &mut faults);
        if from.zip(to).is_some_and(|(from, to)| to < from) {
            faults.add("to", "must not be before from");
        }
        let window = Window::parse(filter.limit, filter.cursor.as_deref(), &mut faults);
        let midnight = |date: NaiveDate| instant_or_next(zone, date.and_time(NaiveTime::MIN));
        let search = patient.zip(provider).zip(window).map(|((patient, provider), window)| Self {
            patient,
            provider,
            status: filter.status,
            from: from.map_or(earliest(), midnight),
            before: to.map_or(latest(), |to| midnight(to + TimeDelta::days(1))),
            in_conflict: false,
            want: Want::Openable,
            window,
        });
        faults.finish_query(search)
    }

    /// Reads a filter of conflicts: of what is still to take place.
    pub fn of_conflicts(filter: &ConflictFilter, now: DateTime<Utc>) -> Result<Self, Problem> {
        let mut faults = Faults::new();
        let provider = filter.provider_id.as_deref().map(ProviderId::parse).transpose();
        let provider = faults.take("providerId", provider);
        let window = Window::parse(filter.limit, filter.cursor.as_deref(), &mut faults);
        let search = provider.zip(window).map(|(provider, window)| Self {
            patient: None,
            provider,
            status: None,
            from: now,
            before: latest(),
            in_conflict: true,
            want: Want::Openable,
            window,
        });
        faults.finish_query(search)
    }

    /// Where the list goes on: after this.
    pub fn after(&self) -> Key {
        // No row has an empty id, so that this stands before the first one.
        self.window.after.clone().unwrap_or_else(|| (self.from, String::new()))
    }
}

/// Which stretch of a history, by the version before it.
pub fn history(filter: &HistoryFilter) -> Result<Window<i64>, Problem> {
    let mut faults = Faults::new();
    let window = Window::parse(filter.limit, filter.cursor.as_deref(), &mut faults);
    faults.finish_query(window)
}

/// Which slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotSearch {
    from: Option<NaiveDate>,
    to: Option<NaiveDate>,
    /// How many days after the first, if the last is not given.
    days: i64,
    minutes: Option<u32>,
    visit_type: Option<String>,
    location: Option<String>,
    /// The stretch of the list.
    pub window: Window<DateTime<Utc>>,
}

/// Whose next free slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextSearch {
    /// What slots, in the week from its first date on.
    pub slots: SlotSearch,
    /// At most so many providers.
    pub limit: usize,
}

impl NextSearch {
    /// Reads a filter. What it says of providers is for their service to read.
    pub fn parse(filter: &NextSlotFilter) -> Result<Self, Problem> {
        let limit = filter.limit.unwrap_or(NEXT_DEFAULT);
        if !(1..=NEXT_MAX).contains(&limit) {
            let message = format!("must be between 1 and {NEXT_MAX}");
            return Err(Problem::new(ProblemCode::InvalidQuery).fault("limit", message));
        }
        let (from, visit_type) = (filter.from.clone(), filter.visit_type.clone());
        let slots = SlotSearch::parse(&SlotFilter { from, visit_type, ..SlotFilter::default() })?;
        Ok(Self { slots, limit: limit as usize })
    }
}

impl SlotSearch {
    /// The same, for as long as can be asked for.
    #[must_use]
    pub fn for_long(self) -> Self {
        Self { days: SLOT_DAYS_MAX, ..self }
    }

    /// Reads a filter.
    pub fn parse(filter: &SlotFilter) -> Result<Self, Problem> {
        let mut faults = Faults::new();
        let from = optional_date("from", filter.from.as_deref(), &mut faults);
        let to = optional_date("to", filter.to.as_deref(), &mut faults);
        let minutes = faults.take("durationMinutes", filter.duration_minutes.map(duration).transpose());
        let (visit_type, location) = (filter.visit_type.clone(), filter.location_id.clone());
        let window = Window::parse(filter.limit, filter.cursor.as_deref(), &mut faults);
        let search = minutes.zip(window).map(|(minutes, window)| Self {
            from,
            to,
            days: SLOT_DAYS_DEFAULT,
            minutes,
            visit_type,
            location,
            window,
        });
        faults.finish_query(search)
    }

    /// Whether the provider has such visits by name, if some are asked for.
    pub fn is_of(&self, schedule: &Schedule) -> bool {
        self.visit_type.as_deref().is_none_or(|name| schedule.visit(name).is_some())
    }

    /// What is looked for, if the provider can be booked for it and has such a location.
    pub fn sought(&self, schedule: &Schedule) -> Result<Sought, Problem> {
        let mut faults = Faults::new();
        let visit = faults.take("visitType", schedule.visit_of(self.visit_type.as_deref()));
        if schedule.zone_at(self.location.as_deref()).is_none() {
            faults.add("locationId", NO_LOCATION);
        }
        let sought = visit.map(|visit| Sought {
            minutes: self.minutes.or(visit.map(|visit| visit.minutes)).unwrap_or(MINUTES_DEFAULT),
            buffers: visit.map_or(Buffers::NONE, |visit| visit.buffers),
            location: self.location.clone(),
        });
        faults.finish_query(sought)
    }

    /// The time to look through: dates at the provider's place, or at the location, and nothing that is past.
    pub fn range(&self, schedule: &Schedule, now: DateTime<Utc>) -> Result<Span, Problem> {
        let zone = schedule.zone_at(self.location.as_deref()).unwrap_or(schedule.zone);
        let from = self.from.unwrap_or_else(|| now.with_timezone(&zone).date_naive());
        let to = self.to.unwrap_or(from + TimeDelta::days(self.days));
        if !(0..=SLOT_DAYS_MAX).contains(&(to - from).num_days()) {
            let message = format!("must be from 0 to {SLOT_DAYS_MAX} days after from");
            return Err(Problem::new(ProblemCode::InvalidQuery).fault("to", message));
        }
        let midnight = |date: NaiveDate| instant_or_next(zone, date.and_time(NaiveTime::MIN));
        let ends_at = midnight(to + TimeDelta::days(1));
        Ok(Span { starts_at: midnight(from).max(now).min(ends_at), ends_at })
    }
}

fn optional_date(name: &str, text: Option<&str>, faults: &mut Faults) -> Option<NaiveDate> {
    text.and_then(|text| faults.take(name, field::date(text)))
}

/// Dates begin in 1900 and end with 2199.
fn earliest() -> DateTime<Utc> {
    NaiveDate::from_ymd_opt(1899, 1, 1).unwrap_or_default().and_time(NaiveTime::MIN).and_utc()
}

fn latest() -> DateTime<Utc> {
    NaiveDate::from_ymd_opt(2201, 1, 1).unwrap_or_default().and_time(NaiveTime::MIN).and_utc()
}

#[cfg(test)]
mod tests {
    use super::super::week::tests::documented;
    use super::*;

    #[test]
    fn unknown_forms_are_faults_of_the_query() {
        let filter = AppointmentFilter {
            patient_id: Some("a b".to_owned()),
            provider_id: Some(String::new()),
            from: Some("2024-13-01".to_owned()),
            to: Some("soon".to_owned()),
            limit: Some(0),
            ..AppointmentFilter::default()
        };
        let problem = Search::parse(&filter, Tz::Europe__Berlin).unwrap_err();
        assert_eq!(problem.code, ProblemCode::InvalidQuery);
        let fields: Vec<_> = problem.errors.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(fields, ["patientId", "providerId", "from", "to", "limit"]);
    }

    #[test]
    fn a_day_ends_where_the_next_begins_at_the_clinic() {
        let day = Some("2026-03-29".to_owned());
        let filter = AppointmentFilter { from: day.clone(), to: day, ..AppointmentFilter::default() };
        let search = Search::parse(&filter, Tz::Europe__Berlin).unwrap();
        assert_eq!(search.before - search.from, TimeDelta::hours(23));
    }

    #[test]
    fn days_that_end_before_they_begin_are_a_fault() {
        let days = |from: &str, to: &str| {
            let (from, to) = (Some(from.to_owned()), Some(to.to_owned()));
            Search::parse(&AppointmentFilter { from, to, ..AppointmentFilter::default() }, Tz::Europe__Berlin)
        };
        assert_eq!(days("2026-01-20", "2026-01-19").unwrap_err().errors[0].field, "to");
        assert!(days("2026-01-20", "2026-01-20").is_ok());
    }

    #[test]
    fn slots_are_sought_from_now_on_and_for_three_months_at_most() {
        let now = DateTime::from_timestamp(1_768_467_600, 0).unwrap();
        let range = |from: &str, to: &str| {
            let filter =
                SlotFilter { from: Some(from.to_owned()), to: Some(to.to_owned()), ..SlotFilter::default() };
            SlotSearch::parse(&filter).unwrap().range(&documented(), now)
        };
        assert_eq!(range("2026-01-10", "2026-01-20").unwrap().starts_at, now);
        let past = range("2024-08-01", "2024-08-01").unwrap();
        assert_eq!(past.starts_at, past.ends_at);
        for (from, to) in [("2026-01-20", "2026-01-19"), ("2026-01-20", "2026-04-23")] {
            assert_eq!(range(from, to).unwrap_err().errors[0].field, "to");
        }
    }
}
