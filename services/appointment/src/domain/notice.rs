//! What staff are warned of, and what the others are told by event.

use chrono::{DateTime, Utc};
use contracts::appointments::{AppointmentStatus, Warning};
use contracts::event::{AppointmentNotice, What};
use contracts::id::AppointmentId;

use super::appointment::Appointment;
use super::conflict::Cause;
use super::span::Span;
use super::week::Schedule;

/// What is unusual about a time: a patient is refused it, staff are warned.
pub fn warnings(
    appointment: &Appointment,
    schedule: &Schedule,
    span: Span,
    now: DateTime<Utc>,
) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let causes = appointment.causes(schedule, span);
    if causes.contains(&Cause::OutsideHours) {
        warnings.push(warning("outside-hours", "The time is outside the provider's stated hours."));
    }
    if causes.iter().any(|cause| matches!(cause, Cause::TimeOff(_))) {
        warnings.push(warning("time-off", "The provider is away."));
    }
    if span.starts_at < now {
        warnings.push(warning("in-the-past", "The time is past."));
    }
    warnings
}

/// That less time is left around a visit than it or one beside it asks for.
pub fn buffer() -> Warning {
    warning("buffer", "Less time is left before or after it than the visit types ask for.")
}

fn warning(code: &str, message: &str) -> Warning {
    Warning { code: code.to_owned(), message: message.to_owned() }
}

/// What the others are told of a booking (`before` is none) or a change, if it matters to them.
pub fn event(
    id: &AppointmentId,
    before: Option<&Appointment>,
    after: &Appointment,
    outside_hours: bool,
) -> Option<What> {
    let notice = AppointmentNotice {
        appointment_id: id.clone(),
        patient_id: after.patient.clone(),
        provider_id: after.plan.provider.clone(),
        outside_hours,
    };
    let Some(before) = before else { return Some(What::AppointmentBooked(notice)) };
    if before.status != after.status && after.status == AppointmentStatus::Cancelled {
        return Some(What::AppointmentCancelled(notice));
    }
    (before.plan != after.plan).then_some(What::AppointmentRescheduled(notice))
}

#[cfg(test)]
mod tests {
    use super::super::appointment::tests::{appointment, id};
    use super::super::week::tests::documented;
    use super::*;

    #[test]
    fn the_documents_appointment_is_outside_hours_and_past() {
        let now = DateTime::from_timestamp(1_768_467_600, 0).unwrap();
        let appointment = appointment();
        let warnings = warnings(&appointment, &documented(), appointment.span().unwrap(), now);
        let codes: Vec<_> = warnings.iter().map(|warning| warning.code.as_str()).collect();
        assert_eq!(codes, ["outside-hours", "in-the-past"]);
    }

    #[test]
    fn the_others_are_told_what_matters_to_them() {
        let before = appointment();
        let name = |after: &Appointment| event(&id(), Some(&before), after, false).map(|what| what.name());
        assert_eq!(event(&id(), None, &before, true).unwrap().name(), "appointment.booked.v1");
        assert_eq!(name(&before.cancelled().unwrap().unwrap()), Some("appointment.cancelled.v1"));
        let confirmed = Appointment { status: AppointmentStatus::Confirmed, ..before.clone() };
        assert_eq!(name(&confirmed), None);
        let mut longer = before.clone();
        longer.plan.minutes = 60;
        assert_eq!(name(&longer), Some("appointment.rescheduled.v1"));
    }
}
