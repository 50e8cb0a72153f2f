//! Of `appointment.rs`.

use super::super::week::tests::schedule;
use super::*;
use contracts::problem::ProblemCode;

pub(crate) fn request() -> AppointmentRequest {
    serde_json::from_str(
        r#"{"patientId":"12345","providerId":"prov001","appointmentDate":"2024-08-01","timeSlot":"10:00","status":"Scheduled"}"#,
    )
    .unwrap()
}

pub(crate) fn appointment() -> Appointment {
    Booking::parse(&request()).unwrap().at(Tz::Europe__Berlin)
}

fn by_clinic() -> Cancellation {
    Cancellation::by(CancelledBy::Clinic)
}

pub(crate) fn id() -> AppointmentId {
    AppointmentId::parse("apt001").unwrap()
}

fn fields(problem: Problem) -> Vec<String> {
    assert_eq!(problem.code, ProblemCode::InvalidFields);
    problem.errors.into_iter().map(|fault| fault.field).collect()
}

fn change(patch: impl Fn(&mut wire::Appointment), status_is_given: bool) -> Result<Change, Problem> {
    let current = appointment().view(&id(), View::Whole);
    let mut changed = current.clone();
    patch(&mut changed);
    Change::parse(&current, &changed, status_is_given, CancelledBy::Clinic)
}

#[test]
fn the_documents_appointment_reads_back_as_it_was_given() {
    let view = serde_json::to_value(appointment().view(&id(), View::Whole)).unwrap();
    let request = serde_json::to_value(request()).unwrap();
    for (member, value) in request.as_object().unwrap() {
        assert_eq!(view.get(member), Some(value), "{member}");
    }
    assert_eq!((&view["durationMinutes"], &view["timeZone"]), (&30.into(), &"Europe/Berlin".into()));
}

#[test]
fn every_fault_is_told_at_once() {
    let bad = AppointmentRequest {
        appointment_id: Some("slots".to_owned()),
        patient_id: String::new(),
        provider_id: "a/b".to_owned(),
        appointment_date: "2024-02-30".to_owned(),
        time_slot: "25:00".to_owned(),
        duration_minutes: Some(481),
        status: Some(AppointmentStatus::Completed),
        reason: Some("a\0".to_owned()),
        visit_type: Some("a\nb".to_owned()),
        referral_id: None,
        location_id: Some("a/b".to_owned()),
        hold_id: Some("a b".to_owned()),
    };
    assert_eq!(
        fields(Booking::parse(&bad).unwrap_err()),
        [
            "appointmentId",
            "patientId",
            "providerId",
            "appointmentDate",
            "timeSlot",
            "durationMinutes",
            "visitType",
            "locationId",
            "status",
            "reason",
            "holdId"
        ]
    );
}

#[test]
fn a_time_that_clocks_are_set_forward_over_is_a_fault_of_the_slot() {
    let booking = AppointmentRequest {
        appointment_date: "2026-03-29".to_owned(),
        time_slot: "02:30".to_owned(),
        ..request()
    };
    let appointment = Booking::parse(&booking).unwrap().at(Tz::Europe__Berlin);
    assert_eq!(fields(appointment.span().unwrap_err()), ["timeSlot"]);
}

#[test]
fn what_cannot_be_changed_is_named() {
    let refused = change(
        |changed| {
            changed.appointment_id = "apt002".to_owned();
            changed.patient_id = "other".to_owned();
            changed.time_zone = "Europe/Paris".to_owned();
            changed.conflict = Some("ProviderRemoved".to_owned());
        },
        false,
    );
    assert_eq!(fields(refused.unwrap_err()), ["appointmentId", "patientId", "timeZone", "conflict"]);
}

#[test]
fn moved_without_a_status_it_is_rescheduled_and_with_one_it_is_that() {
    let move_it = |changed: &mut wire::Appointment| changed.time_slot = "11:00".to_owned();
    assert_eq!(change(move_it, false).unwrap().status(), AppointmentStatus::Rescheduled);
    assert_eq!(change(move_it, true).unwrap().status(), AppointmentStatus::Scheduled);
    let lengthen = |changed: &mut wire::Appointment| changed.duration_minutes = 60;
    assert_eq!(change(lengthen, false).unwrap().status(), AppointmentStatus::Scheduled);
}

#[test]
fn a_change_that_changes_nothing_is_none_even_when_all_is_over() {
    let none = change(|_| (), false).unwrap();
    assert_eq!(appointment().changed(&none), Ok(None));
    let over = appointment().cancelled(by_clinic()).unwrap().unwrap();
    let cancellation = over.cancellation.clone();
    let none = Change { status: AppointmentStatus::Cancelled, cancellation, ..none };
    assert_eq!(over.changed(&none), Ok(None));
    let other = Change { reason: Some("knee".to_owned()), ..none };
    assert!(over.changed(&other).is_err());
    assert_eq!(over.cancelled(by_clinic()), Ok(None));
}

#[test]
fn longer_is_not_moved_and_another_day_is() {
    let lengthen = change(|changed| changed.duration_minutes = 60, false).unwrap();
    assert!(appointment().is_replanned_by(&lengthen) && !appointment().is_moved_by(&lengthen));
    let another_day = change(|changed| changed.appointment_date = "2024-08-02".to_owned(), false).unwrap();
    assert!(appointment().is_replanned_by(&another_day) && appointment().is_moved_by(&another_day));
    let tokyo = schedule("Asia/Tokyo", &[]).unwrap();
    let replanned = |change: &Change| {
        let before = appointment();
        let after = before.changed(change).unwrap().unwrap();
        after.replanned(&before, before.is_moved_by(change), &tokyo).unwrap()
    };
    let moved = replanned(&another_day);
    assert_eq!((moved.zone, moved.status), (Tz::Asia__Tokyo, AppointmentStatus::Rescheduled));
    assert_eq!(replanned(&lengthen).zone, Tz::Europe__Berlin);
}

#[test]
fn a_conflict_is_resolved_by_another_provider_or_by_cancelling() {
    let conflicted = appointment().without_provider().unwrap();
    assert_eq!(conflicted.view(&id(), View::Whole).conflict.as_deref(), Some("ProviderRemoved"));
    assert_eq!(conflicted.without_provider(), None);
    assert_eq!(conflicted.cancelled(by_clinic()).unwrap().unwrap().conflict, None);
    let current = conflicted.view(&id(), View::Whole);
    let elsewhere = wire::Appointment { provider_id: "prov002".to_owned(), ..current.clone() };
    let change = Change::parse(&current, &elsewhere, false, CancelledBy::Clinic).unwrap();
    assert_eq!(conflicted.changed(&change).unwrap().unwrap().conflict, None);
    assert_eq!(appointment().cancelled(by_clinic()).unwrap().unwrap().without_provider(), None);
}

#[test]
fn what_is_sealed_reads_back() {
    let whole = Appointment {
        reason: Some("knee".to_owned()),
        conflict: Some(Conflict::ProviderRemoved),
        ..appointment()
    };
    let text = serde_json::to_string(&whole).unwrap();
    assert_eq!(serde_json::from_str::<Appointment>(&text).unwrap(), whole);
}
