//! `POST /api/appointments`

use contracts::appointments::{AppointmentBooked, BookAppointment};
use contracts::id::AppointmentId;
use contracts::problem::Faults;
use http_kit::{Answer, Call, Caller};

use super::{Api, Wanted};
use crate::domain::appointment::{Appointment, Booking};
use crate::domain::notice;
use crate::domain::span::Span;
use crate::domain::week::Schedule;
use crate::error::Error;
use crate::store::appointment::{appointment_insert, appointment_lock};

/// Books an appointment. Whether the time is free, the database decides.
pub async fn book(api: Api, call: Call<BookAppointment>) -> Result<Answer<BookAppointment>, Error> {
    let booking = Booking::parse(&call.body)?;
    let (appointment, span, schedule) = placed(&api, &call.caller, &booking).await?;
    let wanted = Wanted { appointment: &appointment, id: None, span, schedule: &schedule };
    let warnings = api.judge(&call.caller, &wanted).await?;
    let id = booking.id.unwrap_or_else(|| AppointmentId::generate(api.db.random()));
    let what = notice::event((&id, 1), None, &appointment, !warnings.is_empty());
    let booked = AppointmentBooked { appointment_id: id.clone(), status: "Created".to_owned(), warnings };
    let answer = Answer::new(booked).located(&id).version(1);
    let outcome = db::retrying(&api.db, async |mut tx| {
        appointment_lock(&mut tx, &appointment).await?;
        appointment_insert(&mut tx, &api.db, &id, &appointment, span, &call.caller.user).await?;
        api.publish(&mut tx, what.clone()).await?;
        Ok::<_, Error>(call.receipt.commit(tx, &answer).await?)
    })
    .await;
    api.offering(outcome, &wanted).await?;
    Ok(answer)
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
        tokio::join!(api.peers.has_patient(&booking.patient), api.peers.schedule(&booking.plan.provider));
    let mut faults = Faults::new();
    if !(patient? && reaches) {
        faults.add("patientId", "must be the id of a patient");
    }
    let schedule = faults.take("providerId", schedule?.ok_or("must be the id of a provider"));
    let placed = schedule.and_then(|schedule| {
        let span = faults.take("timeSlot", booking.plan.span(schedule.zone))?;
        Some((booking.at(schedule.zone), span, schedule))
    });
    Ok(faults.finish(placed)?)
}
