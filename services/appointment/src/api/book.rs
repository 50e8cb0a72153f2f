//! `POST /api/appointments`

use contracts::appointments::{AppointmentBooked, AppointmentRequest, BookAppointment};
use contracts::id::{AppointmentId, ReferralId};
use contracts::problem::{Faults, Problem};
use db::Tx;
use http_kit::{Answer, Call, Caller};

use super::{Api, SCHEDULE_ATTEMPTS_MAX, Wanted};
use crate::domain::appointment::{Appointment, Booking, fault};
use crate::domain::notice;
use crate::domain::referral::{Entry, NotPossible, Step};
use crate::domain::span::Span;
use crate::domain::week::Schedule;
use crate::error::Error;
use crate::store::appointment::{appointment_insert, appointment_lock};
use crate::store::hold::{hold_consume, holder};
use crate::store::referral::referral_update;

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
    let referral = referral_of(&call.body)?;
    let (mut appointment, span, schedule) = placed(api, &call.caller, booking).await?;
    // Staff who book it know of it: it is not flagged again.
    appointment.kept = appointment.causes(&schedule, span);
    let wanted = Wanted::of(&appointment, None, span, &schedule);
    let warnings = api.judge(&call.caller, &wanted).await?;
    let what = notice::event((id, 1), None, &appointment, !warnings.is_empty());
    let outcome = db::retrying(&api.db, async |mut tx| {
        appointment_lock(&mut tx, &appointment).await?;
        if let Some(hold) = &booking.hold {
            let holder = holder(&api.db, &call.caller.user)?;
            hold_consume(&mut tx, hold, &holder, &appointment, span).await?;
        }
        let mut warnings = warnings.clone();
        warnings.extend(api.judge_last(&mut tx, &call.caller, &wanted).await?.then(notice::buffer));
        appointment_insert(&mut tx, &api.db, id, &appointment, span, &call.caller.user).await?;
        if let Some(referral) = &referral {
            from_referral(api, &mut tx, &call.caller, (referral, id, &appointment)).await?;
        }
        api.publish(&mut tx, what.clone()).await?;
        let booked = AppointmentBooked { appointment_id: id.clone(), status: "Created".to_owned(), warnings };
        let answer = Answer::new(booked).located(id).version(1);
        call.receipt.commit(tx, &answer).await?;
        Ok::<_, Error>(answer)
    })
    .await;
    api.offering(outcome, &wanted).await
}

/// The referral that an appointment is booked from, if it is from one.
fn referral_of(request: &AppointmentRequest) -> Result<Option<ReferralId>, Problem> {
    let referral = request.referral_id.as_deref().map(ReferralId::parse).transpose();
    referral.map_err(|error| fault("referralId", error))
}

/// Ties the appointment to its referral, of the same patient and to this provider.
async fn from_referral(
    api: &Api,
    tx: &mut Tx,
    caller: &Caller,
    (referral, id, appointment): (&ReferralId, &AppointmentId, &Appointment),
) -> Result<(), Error> {
    let unknown = || fault("referralId", "must be the id of a referral of this patient to this provider");
    let kept = match api.visible_referral(tx, caller, referral).await {
        Ok(kept) if kept.referral.patient == appointment.patient => kept,
        Ok(_) | Err(Error::NotFound) => return Err(unknown().into()),
        Err(error) => return Err(error),
    };
    let step = Step::Book(id.clone(), appointment.plan.provider.clone());
    let after = match kept.referral.after(step, api.today()) {
        Err(NotPossible::Other) => return Err(unknown().into()),
        after => after?,
    };
    let entry = Entry { by: caller.user.clone(), status: after.status, reason: None };
    referral_update(tx, &api.db, (&kept, &after), &entry).await
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
