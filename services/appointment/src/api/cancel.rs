//! `DELETE /api/appointments/{appointmentId}`

use contracts::appointments::{AppointmentCancelled, CancelAppointment};
use contracts::problem::Faults;
use http_kit::{Answer, Call};

use super::{Api, calls_off};
use crate::domain::appointment::{Cancellation, reason};
use crate::domain::notice;
use crate::error::Error;
use crate::store::appointment::appointment_update;

/// Cancels an appointment, which frees its time. Cancelling it again does nothing, and answers the same.
pub async fn cancel(api: Api, call: Call<CancelAppointment>) -> Result<Answer<CancelAppointment>, Error> {
    let (id,) = &call.path;
    let mut faults = Faults::new();
    let why = faults.take("reason", reason(call.query.reason.as_deref()));
    let why = faults.finish_query(why)?;
    let version = db::retrying(&api.db, async |mut tx| {
        let kept = api.visible(&mut tx, &call.caller, id).await?;
        call.if_match.check(kept.version)?;
        let by = calls_off(&call.caller, kept.appointment.plan.provider.as_str());
        let why = Cancellation { by, reason: why.clone() };
        let Some(after) = kept.appointment.cancelled(why)? else { return Ok(kept.version) };
        api.check_may_change(&mut tx, &call.caller, &kept).await?;
        // No lock: time is given back, and none is taken.
        match appointment_update(&mut tx, &api.db, &kept, &after, &call.caller.user).await {
            Err(Error::Changed) => return Err(Error::Db(db::Error::LostRace)),
            outcome => outcome?,
        }
        let what = notice::event((id, kept.version + 1), Some(&kept.appointment), &after, false);
        api.publish(&mut tx, what).await?;
        tx.commit().await?;
        Ok::<_, Error>(kept.version + 1)
    })
    .await?;
    let cancelled = AppointmentCancelled { status: "Cancelled".to_owned(), appointment_id: id.clone() };
    Ok(Answer::new(cancelled).version(version))
}
