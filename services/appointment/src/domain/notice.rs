//! What staff are warned of, and what the others are told by event.

use chrono::{DateTime, Utc};
use contracts::appointments::{AppointmentStatus, Warning};
use contracts::event::{AppointmentNotice, What};
use contracts::id::AppointmentId;

use super::appointment::Appointment;
use super::span::Span;
use super::week::Schedule;

/// What is unusual about a time: a patient is refused it, staff are warned.
pub fn warnings(schedule: &Schedule, span: Span, now: DateTime<Utc>) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let mut warn = |code: &str, message: &str| {
        warnings.push(Warning { code: code.to_owned(), message: message.to_owned() });
    };
    if !schedule.covers(span) {
        warn("outside-hours", "The time is outside the provider's stated hours.");
    }
    if span.starts_at < now {
        warn("in-the-past", "The time is past.");
    }
    warnings
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
    use super::super::appointment::Cancellation;
    use super::super::appointment::tests::{appointment, id};
    use super::super::week::tests::documented;
    use super::*;
    use contracts::appointments::CancelledBy;

    #[test]
    fn the_documents_appointment_is_outside_hours_and_past() {
        let now = DateTime::from_timestamp(1_768_467_600, 0).unwrap();
        let warnings = warnings(&documented(), appointment().span().unwrap(), now);
        let codes: Vec<_> = warnings.iter().map(|warning| warning.code.as_str()).collect();
        assert_eq!(codes, ["outside-hours", "in-the-past"]);
    }

    #[test]
    fn the_others_are_told_what_matters_to_them() {
        let before = appointment();
        let name = |after: &Appointment| event(&id(), Some(&before), after, false).map(|what| what.name());
        assert_eq!(event(&id(), None, &before, true).unwrap().name(), "appointment.booked.v1");
        assert_eq!(
            name(&before.cancelled(Cancellation::by(CancelledBy::Clinic)).unwrap().unwrap()),
            Some("appointment.cancelled.v1")
        );
        let confirmed = Appointment { status: AppointmentStatus::Confirmed, ..before.clone() };
        assert_eq!(name(&confirmed), None);
        let mut longer = before.clone();
        longer.plan.minutes = 60;
        assert_eq!(name(&longer), Some("appointment.rescheduled.v1"));
    }
}
