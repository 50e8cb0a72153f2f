//! What staff are warned of, and what the others are told by event.

use chrono::{DateTime, Utc};
use contracts::appointments::{AppointmentStatus, Warning};
use contracts::event::{AppointmentNotice, PlannedAppointment, What};
use contracts::id::AppointmentId;

use super::appointment::{Appointment, Plan};
use super::conflict::{Cause, causes};
use super::span::Span;
use super::status::is_open;
use super::week::Schedule;

/// What is unusual about a time: a patient is refused it, staff are warned.
pub fn warnings(
    schedule: &Schedule,
    (span, location): (Span, Option<&str>),
    now: DateTime<Utc>,
) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let causes = causes(schedule, span, location);
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

/// What the others are told of a booking (`before` is none) or of a change, if it matters to them. `version` is the appointment's after it.
pub fn event(
    (id, version): (&AppointmentId, i64),
    before: Option<&Appointment>,
    after: &Appointment,
    outside_hours: bool,
) -> Option<What> {
    let notice = AppointmentNotice {
        appointment_id: id.clone(),
        patient_id: after.patient.clone(),
        provider_id: after.plan.provider.clone(),
        outside_hours,
        planned: planned(version, before, after),
    };
    let Some(before) = before else { return Some(What::AppointmentBooked(notice)) };
    if before.status != after.status && after.status == AppointmentStatus::Cancelled {
        return Some(What::AppointmentCancelled(notice));
    }
    // What kind of visit it is, nobody has to be told.
    let visit_type = before.plan.visit_type.clone();
    if before.plan != (Plan { visit_type, ..after.plan.clone() }) {
        return Some(What::AppointmentRescheduled(notice));
    }
    let stands_otherwise = before.status != after.status || before.conflict != after.conflict;
    stands_otherwise.then_some(What::AppointmentChanged(notice))
}

/// `None` of what has no time that exists: nobody is reminded of that.
fn planned(version: i64, before: Option<&Appointment>, after: &Appointment) -> Option<PlannedAppointment> {
    let former = before.map(|before| &before.plan.provider).filter(|former| **former != after.plan.provider);
    Some(PlannedAppointment {
        version,
        starts_at: after.span().ok()?.starts_at,
        duration_minutes: after.plan.minutes,
        time_zone: after.zone.name().to_owned(),
        status: format!("{:?}", after.status),
        is_open: is_open(after.status),
        has_conflict: after.conflict.is_some(),
        former_provider_id: former.cloned(),
        // Made with this service's key, which is not known here: whoever publishes it says it.
        calendar_uid: None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::appointment::Cancellation;
    use super::super::appointment::tests::{appointment, id};
    use super::super::week::tests::documented;
    use super::*;
    use contracts::appointments::CancelledBy;
    use contracts::id::ProviderId;

    #[test]
    fn the_documents_appointment_is_outside_hours_and_past() {
        let now = DateTime::from_timestamp(1_768_467_600, 0).unwrap();
        let appointment = appointment();
        let warnings = warnings(&documented(), (appointment.span().unwrap(), None), now);
        let codes: Vec<_> = warnings.iter().map(|warning| warning.code.as_str()).collect();
        assert_eq!(codes, ["outside-hours", "in-the-past"]);
    }

    #[test]
    fn the_others_are_told_what_matters_to_them() {
        let before = appointment();
        let name =
            |after: &Appointment| event((&id(), 2), Some(&before), after, false).map(|what| what.name());
        assert_eq!(event((&id(), 1), None, &before, true).unwrap().name(), "appointment.booked.v1");
        assert_eq!(
            name(&before.cancelled(Cancellation::by(CancelledBy::Clinic)).unwrap().unwrap()),
            Some("appointment.cancelled.v1")
        );
        let confirmed = Appointment { status: AppointmentStatus::Confirmed, ..before.clone() };
        assert_eq!(name(&confirmed), Some("appointment.changed.v1"));
        assert_eq!(name(&before.without_provider().unwrap()), Some("appointment.changed.v1"));
        let reason = Appointment { reason: Some("Something else".to_owned()), ..before.clone() };
        assert_eq!(name(&reason), None);
        let mut longer = before.clone();
        longer.plan.minutes = 60;
        assert_eq!(name(&longer), Some("appointment.rescheduled.v1"));
    }

    #[test]
    fn what_is_told_says_when_and_not_why() {
        let before = appointment();
        let mut after = Appointment { reason: Some("Chest pain".to_owned()), ..before.clone() };
        after.plan.provider = ProviderId::parse("prov002").unwrap();
        let told = event((&id(), 7), Some(&before), &after, false).unwrap();
        let planned = told.appointment().unwrap().planned.clone().unwrap();
        assert_eq!((planned.version, planned.starts_at), (7, after.span().unwrap().starts_at));
        assert_eq!(planned.former_provider_id, Some(before.plan.provider));
        assert!(planned.is_open && !planned.has_conflict);
        let text = serde_json::to_string(&told).unwrap();
        assert!(!text.contains("Chest pain"), "{text}");
    }
}
