//! Counts of appointments, and how they are written: of nobody in particular.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, TimeDelta, Utc};
use chrono_tz::Tz;
use contracts::appointments::{AppointmentStatus, CancelledBy};
use contracts::field;
use contracts::problem::{Faults, Problem};
use contracts::statistics::{Counts, Group, STATISTICS_DAYS_MAX, Statistics, StatisticsBy, StatisticsFilter};

use super::local::instant_or_next;
use super::span::Span;

/// So many days are counted, if nothing is said.
const DAYS_DEFAULT: TimeDelta = TimeDelta::days(30);
/// What is called off later than that before its time is called off late.
const LATE: TimeDelta = TimeDelta::hours(24);

/// An appointment, as far as it is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// With whom.
    pub provider: String,
    /// When.
    pub span: Span,
    /// When it was booked.
    pub booked_at: DateTime<Utc>,
    /// When it was last changed: one that was called off, then.
    pub changed_at: DateTime<Utc>,
    /// Where it stands.
    pub status: AppointmentStatus,
    /// Who called it off.
    pub cancelled_by: Option<CancelledBy>,
    /// What kind of visit; empty: none was said.
    pub visit_type: String,
}

/// Which are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Search {
    from: NaiveDate,
    to: NaiveDate,
    by: StatisticsBy,
    zone: Tz,
}

impl Search {
    /// Reads a filter; its dates are meant where the clinic is.
    pub fn parse(filter: &StatisticsFilter, zone: Tz, now: DateTime<Utc>) -> Result<Self, Problem> {
        let mut faults = Faults::new();
        let today = now.with_timezone(&zone).date_naive();
        let date = |text: &Option<String>| text.as_deref().map(field::date).transpose();
        let from = faults.take("from", date(&filter.from));
        let to = faults.take("to", date(&filter.to)).map(|to| to.unwrap_or(today));
        let from = from.zip(to).map(|(from, to)| from.unwrap_or(to - DAYS_DEFAULT));
        if let (Some(from), Some(to)) = (from, to)
            && !(0..=i64::from(STATISTICS_DAYS_MAX)).contains(&(to - from).num_days())
        {
            faults.add("to", format_args!("must be from 0 to {STATISTICS_DAYS_MAX} days after from"));
        }
        faults.finish_query(from.zip(to).map(|(from, to)| Self { from, to, by: filter.by, zone }))
    }

    /// When those begin that are counted.
    pub fn span(&self) -> Span {
        let midnight = |date: NaiveDate| instant_or_next(self.zone, date.and_time(NaiveTime::MIN));
        Span { starts_at: midnight(self.from), ends_at: midnight(self.to + TimeDelta::days(1)) }
    }

    /// Whether more must be known of each than stands beside what is sealed.
    pub fn opens_all(&self) -> bool {
        self.by == StatisticsBy::VisitType
    }

    /// Whether the speciality of each provider must be known.
    pub fn needs_specializations(&self) -> bool {
        self.by == StatisticsBy::Specialization
    }

    /// The first and the last date.
    pub fn dates(&self) -> (NaiveDate, NaiveDate) {
        (self.from, self.to)
    }

    fn key(&self, counted: &Counted) -> String {
        let date = counted.span.starts_at.with_timezone(&self.zone).date_naive();
        match self.by {
            StatisticsBy::Day => date.to_string(),
            StatisticsBy::Week => {
                let week = date.iso_week();
                format!("{}-W{:02}", week.year(), week.week())
            }
            StatisticsBy::Month => date.format("%Y-%m").to_string(),
            StatisticsBy::Provider | StatisticsBy::Specialization => counted.provider.clone(),
            StatisticsBy::VisitType => counted.visit_type.clone(),
        }
    }
}

/// Counts under way.
#[derive(Clone, Debug, Default)]
struct Sum {
    counts: Counts,
    lead_minutes: i64,
}

impl Sum {
    fn add(&mut self, counted: &Counted) {
        let counts = &mut self.counts;
        counts.appointments += 1;
        self.lead_minutes += (counted.span.starts_at - counted.booked_at).num_minutes().max(0);
        let minutes = (counted.span.ends_at - counted.span.starts_at).num_minutes();
        match counted.status {
            AppointmentStatus::Cancelled => {
                counts.cancelled += 1;
                match counted.cancelled_by {
                    Some(CancelledBy::Patient) => counts.cancelled_by_patient += 1,
                    Some(CancelledBy::Provider) => counts.cancelled_by_provider += 1,
                    Some(CancelledBy::Clinic) => counts.cancelled_by_clinic += 1,
                    None => {}
                }
                if counted.span.starts_at - counted.changed_at < LATE {
                    counts.cancelled_late += 1;
                }
                return;
            }
            AppointmentStatus::NoShow => {
                counts.no_shows += 1;
                return;
            }
            AppointmentStatus::Completed => counts.completed += 1,
            AppointmentStatus::CheckedIn | AppointmentStatus::InProgress => counts.under_way += 1,
            AppointmentStatus::Scheduled | AppointmentStatus::Rescheduled | AppointmentStatus::Confirmed => {
                counts.open += 1;
            }
        }
        counts.booked_minutes += u64::try_from(minutes).unwrap_or_default();
    }

    fn done(self) -> Counts {
        let Self { mut counts, lead_minutes } = self;
        let over = counts.completed + counts.no_shows;
        counts.no_show_rate = share(counts.no_shows, over, 4);
        let lead = u64::try_from(lead_minutes).unwrap_or_default();
        counts.lead_hours = share(lead, counts.appointments * 60, 1);
        counts
    }
}

/// A quotient with so many places; none of nothing.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(super) fn share(of: u64, all: u64, places: i32) -> Option<f64> {
    let unit = 10_f64.powi(places);
    (all > 0).then(|| (of as f64 / all as f64 * unit).round() / unit)
}

/// A report under way: it holds counts and no appointments.
#[derive(Debug)]
pub struct Tally {
    search: Search,
    /// Of each provider, if that is what is counted by.
    specializations: HashMap<String, String>,
    total: Sum,
    groups: BTreeMap<String, Sum>,
}

impl Tally {
    /// Of nothing yet.
    pub fn new(search: Search) -> Self {
        Self { search, specializations: HashMap::new(), total: Sum::default(), groups: BTreeMap::new() }
    }

    /// With the speciality of each provider.
    #[must_use]
    pub fn with(self, specializations: HashMap<String, String>) -> Self {
        Self { specializations, ..self }
    }

    fn key(&self, counted: &Counted) -> String {
        let key = self.search.key(counted);
        match self.search.by {
            // Whoever is gone has none.
            StatisticsBy::Specialization => self.specializations.get(&key).cloned().unwrap_or_default(),
            _ => key,
        }
    }

    /// Counts one more.
    pub fn add(&mut self, counted: &Counted) {
        self.total.add(counted);
        self.groups.entry(self.key(counted)).or_default().add(counted);
    }

    /// The report.
    pub fn report(self) -> Statistics {
        let Self { search: Search { from, to, by, .. }, total, groups, .. } = self;
        let groups = groups.into_iter().map(|(key, sum)| Group { key, counts: sum.done() }).collect();
        Statistics { from: from.to_string(), to: to.to_string(), by, total: total.done(), groups }
    }
}

/// The report as CSV (RFC 4180): a line for each group.
pub fn csv(report: &Statistics) -> String {
    let mut out =
        "key,appointments,open,underWay,completed,noShows,cancelled,cancelledByPatient,cancelledByProvider,\
                   cancelledByClinic,cancelledLate,noShowRate,leadHours,bookedMinutes\r\n"
            .to_owned();
    for Group { key, counts } in &report.groups {
        let number = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
        let c = counts;
        let _ = write!(
            out,
            "{},{},{},{},{},{},{},{},{},{},{},{},{},{}\r\n",
            cell(key),
            c.appointments,
            c.open,
            c.under_way,
            c.completed,
            c.no_shows,
            c.cancelled,
            c.cancelled_by_patient,
            c.cancelled_by_provider,
            c.cancelled_by_clinic,
            c.cancelled_late,
            number(c.no_show_rate),
            number(c.lead_hours),
            c.booked_minutes
        );
    }
    out
}

/// A text that no spreadsheet takes for a formula, in quotes.
pub(super) fn cell(text: &str) -> String {
    let is_formula = text.trim_start().starts_with(['=', '+', '-', '@']) || text.starts_with(['\t', '\r']);
    format!("\"{}{}\"", if is_formula { "'" } else { "" }, text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::super::picture::svg;
    use super::*;

    fn counted(day: &str, status: AppointmentStatus) -> Counted {
        let starts_at: DateTime<Utc> = format!("{day}T09:00:00Z").parse().unwrap();
        Counted {
            provider: "prov001".to_owned(),
            span: Span::of_minutes(starts_at, 30),
            booked_at: starts_at - TimeDelta::hours(48),
            changed_at: starts_at - TimeDelta::hours(24),
            status,
            cancelled_by: (status == AppointmentStatus::Cancelled).then_some(CancelledBy::Patient),
            visit_type: "=1+1\"<b>".to_owned(),
        }
    }

    fn report(by: StatisticsBy) -> Statistics {
        use AppointmentStatus as S;
        let (from, to) = (Some("2026-01-01".to_owned()), Some("2026-12-31".to_owned()));
        let filter = StatisticsFilter { from, to, by, ..StatisticsFilter::default() };
        let mut tally = Tally::new(Search::parse(&filter, Tz::Europe__Berlin, DateTime::UNIX_EPOCH).unwrap());
        for status in [S::Completed, S::Completed, S::NoShow, S::Scheduled, S::InProgress] {
            tally.add(&counted("2026-01-19", status));
        }
        tally.add(&counted("2026-02-01", S::Cancelled));
        let late = counted("2026-02-01", S::Cancelled);
        tally.add(&Counted {
            changed_at: late.changed_at + TimeDelta::minutes(1),
            cancelled_by: None,
            ..late
        });
        tally.report()
    }

    #[test]
    fn appointments_are_counted_by_how_they_ended() {
        let report = report(StatisticsBy::Month);
        let keys: Vec<_> = report.groups.iter().map(|group| group.key.as_str()).collect();
        assert_eq!(keys, ["2026-01", "2026-02"]);
        let counts = &report.groups[0].counts;
        assert_eq!((counts.completed, counts.no_shows, counts.open, counts.under_way), (2, 1, 1, 1));
        assert_eq!(
            (counts.no_show_rate, counts.lead_hours, counts.booked_minutes),
            (Some(0.3333), Some(48.0), 120)
        );
        let counts = &report.groups[1].counts;
        assert_eq!(
            (counts.cancelled, counts.cancelled_by_patient, counts.cancelled_late, counts.no_show_rate),
            (2, 1, 1, None)
        );
        assert_eq!(report.total.appointments, 7);
    }

    #[test]
    fn weeks_are_those_of_the_calendar() {
        let keys: Vec<_> = report(StatisticsBy::Week).groups.into_iter().map(|group| group.key).collect();
        assert_eq!(keys, ["2026-W04", "2026-W05"]);
    }

    #[test]
    fn specialities_are_those_of_their_providers_and_whoever_is_gone_has_none() {
        let filter = StatisticsFilter { by: StatisticsBy::Specialization, ..StatisticsFilter::default() };
        let search = Search::parse(&filter, Tz::Europe__Berlin, DateTime::UNIX_EPOCH).unwrap();
        let of = [("prov001", "Cardiology"), ("prov002", "Cardiology"), ("prov003", "Neurology")];
        let of = of.map(|(id, specialization)| (id.to_owned(), specialization.to_owned()));
        let mut tally = Tally::new(search).with(of.into());
        for provider in ["prov001", "prov002", "prov003", "gone"] {
            let provider = provider.to_owned();
            tally.add(&Counted { provider, ..counted("1970-01-01", AppointmentStatus::Completed) });
        }
        let groups = tally.report().groups.into_iter();
        let counts: Vec<_> = groups.map(|group| (group.key, group.counts.completed)).collect();
        assert_eq!(
            counts,
            [("", 1), ("Cardiology", 2), ("Neurology", 1)].map(|(key, n)| (key.to_owned(), n))
        );
    }

    #[test]
    fn no_cell_is_a_formula_and_no_text_is_markup() {
        let report = report(StatisticsBy::VisitType);
        let table = csv(&report);
        assert!(table.lines().nth(1).unwrap().starts_with("\"'=1+1\"\"<b>\",7,"), "{table}");
        assert!(table.lines().all(|line| line.split(',').count() == 14), "{table}");
        let picture = svg(&report);
        assert!(picture.contains("=1+1&quot;&lt;b&gt;") && !picture.contains("<b>"), "{picture}");
        assert_eq!(picture.matches("<rect x=").count(), 4 + 4);
    }

    #[test]
    fn a_report_is_of_a_year_at_most() {
        let parse = |from: &str, to: &str| {
            let filter = StatisticsFilter {
                from: Some(from.to_owned()),
                to: Some(to.to_owned()),
                ..StatisticsFilter::default()
            };
            Search::parse(&filter, Tz::Europe__Berlin, DateTime::UNIX_EPOCH)
        };
        assert!(parse("2026-01-01", "2027-01-02").is_ok());
        for (from, to) in [("2026-01-01", "2027-01-03"), ("2026-01-02", "2026-01-01"), ("x", "2026-01-01")] {
            assert!(parse(from, to).is_err(), "{from} {to}");
        }
    }
}
