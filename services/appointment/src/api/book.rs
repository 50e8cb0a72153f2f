//! `POST /api/appointments`

use contracts::appointments::{AppointmentBooked, BookAppointment};
use contracts::id::AppointmentId;
use contracts::problem::Faults;
use http_kit::{Answer, Call, Caller};

use super::{Api, SCHEDULE_ATTEMPTS_MAX, Wanted};
use crate::domain::appointment::{Appointment, Booking};
use crate::domain::notice;
use crate::domain::span::Span;
use crate::domain::week::Schedule;
use crate::error::Error;
use crate::store::appointment::{appointment_insert, appointment_lock};

/// Books an appointment. Whether the time is free, the database decides. The provider is asked before the transaction begins, so their schedule
/// may have changed meanwhile: then it is decided anew.
pub async fn book(api: Api, call: Call<BookAppointment>) -> Result<Answer<BookAppointment>, Error> {
    let booking = Booking::parse(&call.body)?;
    let id = booking.id.clone().unwrap_or_else(|| AppointmentId::generate(api.db.random()));
    for _ in 1..SCHEDULE_ATTEMPTS_MAX {
        match attempt(&api, &call, &booking, &id).await {
            Err(Error::Changed) => {}
            outcome => return outcome,
        }
    }
    attempt(&api, &call, &booking, &id).await
}

async fn attempt(
    api: &Api,
    call: &Call<BookAppointment>,
    booking: &Booking,
    id: &AppointmentId,
) -> Result<Answer<BookAppointment>, Error> {
    let (mut appointment, span, schedule) = placed(api, &call.caller, booking).await?;
    // Staff who book it know of it: it is not flagged again.
    appointment.kept = appointment.causes(&schedule, span);
    let wanted = Wanted { appointment: &appointment, id: None, span, schedule: &schedule };
    let warnings = api.judge(&call.caller, &wanted).await?;
    let what = notice::event(id, None, &appointment, !warnings.is_empty());
    let outcome = db::retrying(&api.db, async |mut tx| {
        appointment_lock(&mut tx, &appointment).await?;
        let mut warnings = warnings.clone();
        warnings.extend(api.judge_last(&mut tx, &call.caller, &wanted).await?.then(notice::buffer));
        appointment_insert(&mut tx, &api.db, id, &appointment, span, &call.caller.user).await?;
        api.publish(&mut tx, what.clone()).await?;
        let booked = AppointmentBooked { appointment_id: id.clone(), status: "Created".to_owned(), warnings };
        let answer = Answer::new(booked).located(id).version(1);
        call.receipt.commit(tx, &answer).await?;
        Ok::<_, Error>(answer)
    })
    .await;
    api.offering(outcome, &wanted).await
}

/// The appointment at its provider's place, if patient and provider are there. To a patient, other patients are not, and to a clinician those whom
/// they do not treat: a booking would let them see whomever they like.
async fn placed(
    api: &Api,
    caller: &Caller,
    booking: &Booking,
) -> Result<(Appointment, Span, Schedule), Error> {
    let reaches = api.may_book(caller, &booking.patient).await?;
    let (patient, schedule) =
        tokio::join!(api.peers.has_patient(&booking.patient), api.schedule(&booking.plan.provider));
    let mut faults = Faults::new();
    if !(patient? && reaches) {
        faults.add("patientId", "must be the id of a patient");
    }
    let schedule = faults.take("providerId", schedule?.ok_or("must be the id of a provider"));
    let placed = schedule.and_then(|schedule| {
        let appointment = booking.with(&schedule, &mut faults)?;
        let span = faults.take("timeSlot", appointment.plan.span(appointment.zone))?;
        Some((appointment, span, schedule))
    });
    Ok(faults.finish(placed)?)
}
