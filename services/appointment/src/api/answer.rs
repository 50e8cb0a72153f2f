//! `POST /internal/appointments/{appointmentId}/answer`: a patient's word on their appointment, by a link that the notification service sent them.
//!
//! It counts for the time that they were told of: once the appointment is at another or with somebody else, or has begun, it is over. What stands so already
//! stays as it is: whoever was not answered the first time says it again.

use contracts::appointment_answers::{AnswerTaken, PatientsWord};
use contracts::appointments::{CancelledBy, TakeAnswer};
use contracts::problem::{Problem, ProblemCode};
use http_kit::{Answer, Call};

use super::Api;
use crate::domain::appointment::{Appointment, Cancellation};
use crate::domain::notice;
use crate::error::Error;
use crate::store::appointment::{Kept, appointment_find, appointment_lock, appointment_update};

/// So many may change one appointment at once, and each have its turn.
const ATTEMPTS_MAX: u32 = 16;
const OVER: &str = "The appointment is at another time or with somebody else by now, or has begun.";

/// Takes it.
pub async fn take(api: Api, call: Call<TakeAnswer>) -> Result<Answer<TakeAnswer>, Error> {
    for _ in 1..ATTEMPTS_MAX {
        match attempt(&api, &call).await {
            Err(Error::Changed) => {}
            outcome => return outcome,
        }
    }
    attempt(&api, &call).await
}

async fn attempt(api: &Api, call: &Call<TakeAnswer>) -> Result<Answer<TakeAnswer>, Error> {
    let (id,) = &call.path;
    let mut tx = api.db.read().await?;
    let sealed = appointment_find(&mut tx, id).await?;
    let sealed = sealed.filter(|sealed| sealed.patient() == call.body.patient_id).ok_or(Error::NotFound)?;
    let kept: Kept = sealed.open(&api.db).await?.ok_or(Error::NotFound)?;
    drop(tx);
    let starts_at = kept.appointment.span()?.starts_at;
    let is_it = (starts_at, &kept.appointment.plan.provider) == (call.body.starts_at, &call.body.provider_id);
    if !is_it || starts_at <= api.now() {
        return Err(Problem::new(ProblemCode::InvalidTransition).detail(OVER).into());
    }
    let Some(after) = said(&kept.appointment, call.body.word)? else {
        return Ok(Answer::new(AnswerTaken { status: kept.appointment.status }));
    };
    let by = format!("patient:{}", call.body.patient_id);
    let what = notice::event((id, kept.version + 1), Some(&kept.appointment), &after, false);
    db::retrying(&api.db, async |mut tx| {
        appointment_lock(&mut tx, &after).await?;
        appointment_update(&mut tx, &api.db, &kept, &after, &by).await?;
        api.publish(&mut tx, what.clone()).await?;
        Ok::<_, Error>(tx.commit().await?)
    })
    .await?;
    Ok(Answer::new(AnswerTaken { status: after.status }))
}

/// The appointment, as the patient says; `None` if it stands so already.
fn said(appointment: &Appointment, word: PatientsWord) -> Result<Option<Appointment>, Error> {
    Ok(match word {
        PatientsWord::Confirm => appointment.confirmed()?,
        PatientsWord::Cancel => appointment.cancelled(Cancellation::by(CancelledBy::Patient))?,
    })
}
