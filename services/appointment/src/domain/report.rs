//! The figures of a provider or a speciality, and how they are written.

use std::fmt::Write as _;

use chrono::TimeDelta;
use contracts::appointments::AppointmentStatus as Status;
use contracts::availability::NextSlot;
use contracts::reports::{Figures, ReportLine, StatusCounts};

use super::span::{Span, merged, without};
use super::statistics::{Counted, cell, share};
use super::week::Schedule;

/// Figures under way, of one provider or of several.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    statuses: StatusCounts,
    /// Of each appointment, minutes.
    leads: Vec<u64>,
    booked_minutes: u64,
    offered_minutes: u64,
}

impl Tally {
    /// Counts one more.
    pub fn add(&mut self, counted: &Counted) {
        let lead = counted.span.starts_at - counted.booked_at;
        self.leads.push(minutes(lead));
        let statuses = &mut self.statuses;
        let count = match counted.status {
            Status::Scheduled => &mut statuses.scheduled,
            Status::Rescheduled => &mut statuses.rescheduled,
            Status::Confirmed => &mut statuses.confirmed,
            Status::CheckedIn => &mut statuses.checked_in,
            Status::InProgress => &mut statuses.in_progress,
            Status::Completed => &mut statuses.completed,
            Status::NoShow => &mut statuses.no_show,
            Status::Cancelled => &mut statuses.cancelled,
        };
        *count += 1;
        if !matches!(counted.status, Status::NoShow | Status::Cancelled) {
            self.booked_minutes += minutes(counted.span.ends_at - counted.span.starts_at);
        }
    }

    /// Counts what a provider offers.
    pub fn offer(&mut self, minutes: u64) {
        self.offered_minutes += minutes;
    }

    /// Counts all that another has counted.
    pub fn join(&mut self, other: &Self) {
        let (all, more) = (&mut self.statuses, &other.statuses);
        all.scheduled += more.scheduled;
        all.rescheduled += more.rescheduled;
        all.confirmed += more.confirmed;
        all.checked_in += more.checked_in;
        all.in_progress += more.in_progress;
        all.completed += more.completed;
        all.no_show += more.no_show;
        all.cancelled += more.cancelled;
        self.leads.extend(&other.leads);
        self.booked_minutes += other.booked_minutes;
        self.offered_minutes += other.offered_minutes;
    }

    /// The figures.
    pub fn figures(self, next_free_slot: Option<NextSlot>) -> Figures {
        let Self { statuses, mut leads, booked_minutes, offered_minutes } = self;
        let appointments = leads.len() as u64;
        leads.sort_unstable();
        Figures {
            appointments,
            visits: statuses.completed,
            statuses,
            no_show_rate: share(statuses.no_show, statuses.completed + statuses.no_show, 4),
            lead_hours: share(leads.iter().sum(), appointments * 60, 1),
            lead_hours_median: median_twice(&leads).and_then(|twice| share(twice, 120, 1)),
            booked_minutes,
            offered_minutes,
            utilisation: share(booked_minutes, offered_minutes, 4),
            next_free_slot,
        }
    }
}

/// Twice the middle one, or both middle ones together.
fn median_twice(sorted: &[u64]) -> Option<u64> {
    let below = sorted.len().checked_sub(1)? / 2;
    Some(sorted.get(below)? + sorted.get(sorted.len() / 2)?)
}

fn minutes(delta: TimeDelta) -> u64 {
    u64::try_from(delta.num_minutes()).unwrap_or_default()
}

/// The minutes of a time that a provider offers, by what their schedule says now: wherever they are, less time off.
pub fn offered_minutes(schedule: &Schedule, range: Span) -> u64 {
    let open = schedule.places(None).flat_map(|place| place.open_around(range));
    let within = open.map(|open| Span {
        starts_at: open.starts_at.max(range.starts_at),
        ends_at: open.ends_at.min(range.ends_at),
    });
    let offered = without(&merged(within.collect()), &merged(schedule.away().collect()));
    offered.into_iter().map(|span| minutes(span.ends_at - span.starts_at)).sum()
}

/// Lines as CSV (RFC 4180).
pub fn csv(lines: &[ReportLine]) -> String {
    let mut out = "providerId,name,specialization,providers,appointments,visits,scheduled,rescheduled,confirmed,checkedIn,inProgress,\
                   noShows,cancelled,noShowRate,leadHours,leadHoursMedian,bookedMinutes,offeredMinutes,utilisation,nextFreeSlot,timeZone\r\n"
        .to_owned();
    for ReportLine { provider_id, name, specialization, providers, figures } in lines {
        let text = |text: Option<&str>| text.map_or(String::new(), cell);
        let number = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
        let next = figures.next_free_slot.as_ref();
        let at = next.map(|next| format!("{}T{}", next.slot.date, next.slot.time_slot));
        let StatusCounts { scheduled, rescheduled, confirmed, checked_in, in_progress, .. } =
            figures.statuses;
        let StatusCounts { no_show, cancelled, .. } = figures.statuses;
        let _ = write!(
            out,
            "{},{},{},{providers},{},{},{scheduled},{rescheduled},{confirmed},{checked_in},{in_progress},{no_show},{cancelled},{},{},{},{},{},{},{},{}\r\n",
            text(provider_id.as_deref()),
            text(name.as_deref()),
            cell(specialization),
            figures.appointments,
            figures.visits,
            number(figures.no_show_rate),
            number(figures.lead_hours),
            number(figures.lead_hours_median),
            figures.booked_minutes,
            figures.offered_minutes,
            number(figures.utilisation),
            text(at.as_deref()),
            text(next.map(|next| next.time_zone.as_str())),
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::week::tests::*;
    use super::*;
    use chrono::{DateTime, Utc};

    fn instant(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn counted(status: Status, lead_hours: i64) -> Counted {
        let starts_at = instant("2026-01-19T09:00:00Z");
        Counted {
            provider: "prov001".to_owned(),
            span: Span::of_minutes(starts_at, 30),
            booked_at: starts_at - TimeDelta::hours(lead_hours),
            changed_at: starts_at,
            status,
            cancelled_by: None,
            visit_type: String::new(),
        }
    }

    fn tally(counted: &[Counted], offered: u64) -> Tally {
        let mut tally = Tally::default();
        for each in counted {
            tally.add(each);
        }
        tally.offer(offered);
        tally
    }

    #[test]
    fn of_nothing_there_is_no_quotient() {
        assert_eq!(Tally::default().figures(None), Figures::default());
        // Booked without being offered, and called off alone.
        let figures = tally(&[counted(Status::Completed, 1)], 0).figures(None);
        assert_eq!((figures.booked_minutes, figures.utilisation), (30, None));
        let figures = tally(&[counted(Status::Cancelled, 1)], 60).figures(None);
        assert_eq!((figures.no_show_rate, figures.utilisation), (None, Some(0.0)));
    }

    #[test]
    fn two_count_together_as_one_would() {
        let of_one =
            [counted(Status::Completed, 1), counted(Status::NoShow, 2), counted(Status::Confirmed, 30)];
        let of_other =
            [counted(Status::Cancelled, 4), counted(Status::Completed, -1), counted(Status::Completed, 100)];
        let mut both = tally(&of_one, 90);
        both.join(&tally(&of_other, 60));
        let together = tally(&[of_one, of_other].concat(), 150).figures(None);
        assert_eq!(both.figures(None), together);
        assert_eq!((together.appointments, together.visits, together.statuses.no_show), (6, 3, 1));
        assert_eq!((together.no_show_rate, together.utilisation), (Some(0.25), Some(0.8)));
        // 0, 1, 2, 4, 30 and 100 hours: what was entered afterwards was not waited for.
        assert_eq!((together.lead_hours, together.lead_hours_median), (Some(22.8), Some(3.0)));
    }

    #[test]
    fn offered_are_the_hours_of_all_places_within_the_time_less_time_off() {
        let day = |date: &str| {
            let starts_at = instant(&format!("{date}T00:00:00Z"));
            Span { starts_at, ends_at: starts_at + TimeDelta::days(1) }
        };
        // Two hours in Berlin and two in New York; another date's hours; closed.
        for (date, hours) in [("2026-01-19", 4), ("2026-01-26", 1), ("2026-02-02", 0), ("2026-01-20", 0)] {
            assert_eq!(offered_minutes(&travelling(), day(date)), hours * 60, "{date}");
        }
        let away = away(&travelling(), "toff_1", "2026-01-19T08:00", "2026-01-19T10:00");
        assert_eq!(offered_minutes(&away, day("2026-01-19")), 180);
        // From nine in UTC on the second hour in Berlin is left.
        let late = Span { starts_at: instant("2026-01-19T09:00:00Z"), ..day("2026-01-19") };
        assert_eq!(offered_minutes(&travelling(), late), 180);
    }

    #[test]
    fn no_cell_is_a_formula() {
        let line = ReportLine {
            provider_id: Some("prov001".to_owned()),
            name: Some("=cmd".to_owned()),
            specialization: "a,\"b\"".to_owned(),
            providers: 1,
            figures: Figures::default(),
        };
        let table = csv(&[line]);
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(lines[1], "\"prov001\",\"'=cmd\",\"a,\"\"b\"\"\",1,0,0,0,0,0,0,0,0,0,,,,0,0,,,");
        assert_eq!(lines[0].split(',').count(), lines[1].split(',').count() - 1);
    }
}
