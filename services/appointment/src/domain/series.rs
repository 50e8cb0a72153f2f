//! A series of appointments: what is asked for, what its times are at the provider's place, and what a change makes of it.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDateTime, NaiveTime, TimeDelta, Utc};
use chrono_tz::Tz;
use contracts::appointments::{AppointmentStatus, CancelledBy};
use contracts::field;
use contracts::id::{AppointmentId, PatientId, ProviderId, SeriesId};
use contracts::problem::{Faults, Problem};
use contracts::series::{SeriesChange, SeriesRequest, SeriesScope};
use serde::{Deserialize, Serialize};

use super::appointment::{Appointment, Cancellation, MINUTES_DEFAULT, Plan, duration, plan, reason};
use super::conflict::Conflict;
use super::local::{instant_or_next, name};
use super::recurrence::Recurrence;
use super::span::Span;
use super::status;
use super::visit::Buffers;
use super::week::Schedule;

/// A series is moved by so many days at most.
const SHIFT_DAYS: std::ops::RangeInclusive<i32> = -31..=31;

/// A series' data: what is sealed as the row's body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Series {
    /// With whom it was made.
    pub provider: ProviderId,
    /// How it recurs, as it was made.
    pub rrule: String,
    /// The user who made it.
    pub by: String,
}

/// A series as kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The id.
    pub id: SeriesId,
    /// Whose.
    pub patient: PatientId,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// The data.
    pub series: Series,
}

/// A series that is asked for, as far as it can be judged without provider and patient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Whose.
    pub patient: PatientId,
    /// When the first may be, with whom and how long.
    pub plan: Plan,
    /// How it recurs.
    pub rule: Recurrence,
    /// Whether it says how long each is.
    pub says_minutes: bool,
    /// Why.
    pub reason: Option<String>,
    /// Whether some are better than none.
    pub allow_partial: bool,
}

/// A time of a series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// As it is to be booked.
    pub appointment: Appointment,
    /// The time it takes.
    pub span: Span,
    /// Whether clocks are set forward over the rule's own time, so that it begins when they go on.
    pub is_put_off: bool,
}

impl Asked {
    /// Reads a request.
    pub fn parse(request: &SeriesRequest) -> Result<Self, Problem> {
        let mut faults = Faults::new();
        let patient = faults.take("patientId", PatientId::parse(&request.patient_id));
        let minutes = request.duration_minutes.unwrap_or(MINUTES_DEFAULT);
        let plan = plan(
            (&request.provider_id, &request.appointment_date, &request.time_slot, minutes),
            (request.visit_type.as_deref(), request.location_id.as_deref()),
            &mut faults,
        );
        let rule = faults.take("rrule", Recurrence::parse(&request.rrule));
        let reason = faults.take("reason", reason(request.reason.as_deref()));
        let says_minutes = request.duration_minutes.is_some();
        let all = patient.zip(plan).zip(rule).zip(reason);
        faults.finish(all.map(|(((patient, plan), rule), reason)| Self {
            patient,
            plan,
            rule,
            says_minutes,
            reason,
            allow_partial: request.allow_partial,
        }))
    }

    /// Its times with the provider, in order. What they do not have, or a rule that ends too late, goes to `faults`.
    pub fn occurrences(
        &self,
        series: &SeriesId,
        schedule: &Schedule,
        faults: &mut Faults,
    ) -> Option<Vec<Occurrence>> {
        let (plan, zone, buffers) = self.plan.with(schedule, self.says_minutes, faults)?;
        let times = faults.take("rrule", self.rule.times(plan.date.and_time(plan.time), zone))?;
        let occurrence = |time| self.occurrence(series, time, (&plan, zone, buffers));
        Some(times.into_iter().map(occurrence).collect())
    }

    fn occurrence(
        &self,
        series: &SeriesId,
        time: NaiveDateTime,
        (plan, zone, buffers): (&Plan, Tz, Buffers),
    ) -> Occurrence {
        let (plan, span) = put(plan, time, zone);
        let is_put_off = plan.date.and_time(plan.time) != time;
        let appointment = Appointment {
            patient: self.patient.clone(),
            plan,
            zone,
            status: AppointmentStatus::Scheduled,
            reason: self.reason.clone(),
            conflict: None,
            buffers,
            kept: Vec::new(),
            cancellation: None,
            series: Some(series.clone()),
        };
        Occurrence { appointment, span, is_put_off }
    }
}

/// A plan at another time: where clocks are set forward over it, when they go on.
fn put(plan: &Plan, time: NaiveDateTime, zone: Tz) -> (Plan, Span) {
    let starts_at = instant_or_next(zone, time);
    let (date, at) = name(zone, starts_at).unwrap_or((time.date(), time.time()));
    (Plan { date, time: at, ..plan.clone() }, Span::of_minutes(starts_at, plan.minutes))
}

/// What a change of a series asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// From which appointment on; none: all.
    pub from: Option<AppointmentId>,
    /// With whom.
    pub provider: Option<ProviderId>,
    time: Option<NaiveTime>,
    shift: TimeDelta,
    minutes: Option<u32>,
    cancellation: Option<Cancellation>,
}

impl Change {
    /// Reads a change; `by` makes it.
    pub fn parse(change: &SeriesChange, by: CancelledBy) -> Result<Self, Problem> {
        let mut faults = Faults::new();
        let from = change.appointment_id.as_deref().map(AppointmentId::parse).transpose();
        let from = faults.take("appointmentId", from);
        if from.as_ref().is_some_and(|from| from.is_some() != (change.scope == SeriesScope::Following)) {
            faults.add("appointmentId", "must be given for the scope following, and for no other");
        }
        let provider = change.provider_id.as_deref().map(ProviderId::parse).transpose();
        let provider = faults.take("providerId", provider);
        let time = faults.take("timeSlot", change.time_slot.as_deref().map(field::time).transpose());
        let minutes = faults.take("durationMinutes", change.duration_minutes.map(duration).transpose());
        let shift = change.shift_days.unwrap_or(0);
        if !SHIFT_DAYS.contains(&shift) {
            faults.add("shiftDays", "must be between -31 and 31");
        }
        let cancellation = cancellation(change, by, &mut faults);
        let all = from.zip(provider).zip(time.zip(minutes));
        let read = all.map(|((from, provider), (time, minutes))| Self {
            from,
            provider,
            time,
            shift: TimeDelta::days(i64::from(shift)),
            minutes,
            cancellation,
        });
        if let Some(Self { provider, time, minutes, cancellation, .. }) = &read
            && faults.is_empty()
        {
            let is_moved = provider.is_some() || time.is_some() || minutes.is_some() || shift != 0;
            if is_moved == cancellation.is_some() {
                faults.add("status", "must be Cancelled, or something else be given to change");
            }
        }
        faults.finish(read)
    }

    /// Whether they are called off.
    pub fn cancels(&self) -> bool {
        self.cancellation.is_some()
    }

    /// To call off all that is still to come.
    pub fn cancellation(why: Cancellation) -> Self {
        let (from, provider, time, minutes) = (None, None, None, None);
        Self { from, provider, time, shift: TimeDelta::zero(), minutes, cancellation: Some(why) }
    }

    /// An appointment after it; `None`: it is as it is. `schedules`: each provider's who is to be seen.
    pub fn of(
        &self,
        appointment: &Appointment,
        schedules: &BTreeMap<ProviderId, Schedule>,
    ) -> Result<Option<Appointment>, status::InvalidTransition> {
        if let Some(why) = &self.cancellation {
            return appointment.cancelled(why.clone());
        }
        let before = &appointment.plan;
        let provider = self.provider.clone().unwrap_or_else(|| before.provider.clone());
        let wanted = Plan {
            // Another provider has other locations.
            location: before.location.clone().filter(|_| provider == before.provider),
            minutes: self.minutes.unwrap_or(before.minutes),
            provider,
            ..before.clone()
        };
        let schedule = schedules.get(&wanted.provider);
        let zone = schedule.and_then(|schedule| schedule.zone_at(wanted.location.as_deref()));
        let zone = zone.unwrap_or(appointment.zone);
        let buffers =
            schedule.map_or(Buffers::NONE, |schedule| schedule.buffers_of(wanted.visit_type.as_deref()));
        let time = (before.date + self.shift).and_time(self.time.unwrap_or(before.time));
        let (plan, _) = put(&wanted, time, zone);
        if plan == *before {
            return Ok(None);
        }
        let is_moved = plan != Plan { minutes: plan.minutes, ..before.clone() };
        let to = if is_moved { AppointmentStatus::Rescheduled } else { appointment.status };
        let stays = |conflict: &Conflict| conflict.outlasts_a_move() && plan.provider == before.provider;
        let conflict = appointment.conflict.filter(stays);
        let status = status::follow(appointment.status, to)?;
        Ok(Some(Appointment { plan, zone, status, conflict, buffers, ..appointment.clone() }))
    }

    /// Whether what it changes comes later than it was: then the last must give way first.
    pub fn is_later(&self, before: &Appointment) -> bool {
        let time = self.time.unwrap_or(before.plan.time) - before.plan.time;
        self.shift + time > TimeDelta::zero()
    }
}

/// By whom and why what is to come is called off; `None`: it is moved. What is said that cannot be goes to `faults`.
fn cancellation(change: &SeriesChange, by: CancelledBy, faults: &mut Faults) -> Option<Cancellation> {
    let why = faults.take("cancellationReason", reason(change.cancellation_reason.as_deref())).flatten();
    let told = change.cancelled_by;
    match change.status {
        None if why.is_some() || told.is_some() => {
            faults.add("status", "must be Cancelled, where it is said why or by whom");
            None
        }
        None => None,
        Some(AppointmentStatus::Cancelled) => {
            if by == CancelledBy::Patient && told.is_some_and(|told| told != by) {
                faults.add("cancelledBy", "must be patient, or be left out");
            }
            Some(Cancellation { by: told.unwrap_or(by), reason: why })
        }
        Some(_) => {
            faults.add("status", "must be Cancelled, or be left out");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::appointment::tests::appointment;
    use super::super::week::tests::documented;
    use super::*;

    fn series() -> SeriesId {
        SeriesId::trusted("ser_1".to_owned())
    }

    fn asked(time: &str, rrule: &str) -> Asked {
        Asked::parse(&SeriesRequest {
            patient_id: "12345".to_owned(),
            provider_id: "prov001".to_owned(),
            appointment_date: "2026-03-28".to_owned(),
            time_slot: time.to_owned(),
            rrule: rrule.to_owned(),
            ..SeriesRequest::default()
        })
        .unwrap()
    }

    #[test]
    fn a_series_keeps_its_time_on_the_wall_and_is_put_off_where_there_is_none() {
        let times: Vec<_> = asked("02:30", "FREQ=DAILY;COUNT=3")
            .occurrences(&series(), &documented(), &mut Faults::new())
            .unwrap()
            .iter()
            .map(|at| (at.appointment.plan.time.to_string(), at.span.starts_at.to_rfc3339(), at.is_put_off))
            .collect();
        let expected = [
            ("02:30:00", "2026-03-28T01:30:00+00:00", false),
            ("03:00:00", "2026-03-29T01:00:00+00:00", true),
            ("02:30:00", "2026-03-30T00:30:00+00:00", false),
        ];
        assert_eq!(times, expected.map(|(time, at, off)| (time.to_owned(), at.to_owned(), off)));
    }

    #[test]
    fn a_change_moves_or_calls_off_and_never_both_or_neither() {
        let parse = |change: SeriesChange| {
            let read = Change::parse(&change, CancelledBy::Clinic);
            read.map_err(|problem| problem.errors.into_iter().map(|fault| fault.field).collect::<Vec<_>>())
        };
        let cancelled = Some(AppointmentStatus::Cancelled);
        let refused = [
            (SeriesChange::default(), "status"),
            (SeriesChange { status: cancelled, shift_days: Some(1), ..SeriesChange::default() }, "status"),
            (SeriesChange { status: Some(AppointmentStatus::NoShow), ..SeriesChange::default() }, "status"),
            (SeriesChange { shift_days: Some(32), ..SeriesChange::default() }, "shiftDays"),
            (
                SeriesChange {
                    scope: SeriesScope::Following,
                    shift_days: Some(1),
                    ..SeriesChange::default()
                },
                "appointmentId",
            ),
            (
                SeriesChange {
                    appointment_id: Some("a".to_owned()),
                    shift_days: Some(1),
                    ..SeriesChange::default()
                },
                "appointmentId",
            ),
        ];
        for (change, field) in refused {
            assert_eq!(parse(change.clone()), Err(vec![field.to_owned()]), "{change:?}");
        }
        let later = parse(SeriesChange {
            shift_days: Some(1),
            time_slot: Some("09:00".to_owned()),
            ..SeriesChange::default()
        })
        .unwrap();
        let zones = BTreeMap::new();
        let moved = later.of(&appointment(), &zones).unwrap().unwrap();
        assert_eq!(
            (moved.plan.date.to_string(), moved.plan.time.to_string()),
            ("2024-08-02".to_owned(), "09:00:00".to_owned())
        );
        assert_eq!(moved.status, AppointmentStatus::Rescheduled);
        assert!(later.is_later(&appointment()));
        let off = parse(SeriesChange { status: cancelled, ..SeriesChange::default() }).unwrap();
        assert_eq!(
            off.of(&appointment(), &zones).unwrap().unwrap().cancellation,
            Some(Cancellation::by(CancelledBy::Clinic))
        );
    }
}
