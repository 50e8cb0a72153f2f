//! `PUT /api/appointments/{appointmentId}`

use contracts::appointments::{AppointmentUpdated, UpdateAppointment, Warning};
use http_kit::{Answer, Call, Reach, json};

use super::{Api, Wanted};
use crate::domain::appointment::{Appointment, Change, fault};
use crate::domain::status::is_the_patients_to_say;
use crate::domain::week::Schedule;
use crate::domain::{notice, span::Span};
use crate::error::Error;
use crate::store::appointment::{Kept, appointment_lock, appointment_update};

/// So many may change one appointment at once, and each have its turn.
const ATTEMPTS_MAX: u32 = 16;

/// Changes what the body names (RFC 7396). The provider is asked before the transaction, so that what was decided may have been
/// overtaken: then it is decided anew.
pub async fn update(api: Api, call: Call<UpdateAppointment>) -> Result<Answer<UpdateAppointment>, Error> {
    for _ in 1..ATTEMPTS_MAX {
        match attempt(&api, &call).await {
            Err(Error::Changed) => {}
            outcome => return outcome,
        }
    }
    attempt(&api, &call).await
}

async fn attempt(api: &Api, call: &Call<UpdateAppointment>) -> Result<Answer<UpdateAppointment>, Error> {
    let (id,) = &call.path;
    let mut tx = api.db.read().await?;
    let kept = api.visible(&mut tx, &call.caller, id).await?;
    drop(tx);
    call.if_match.check(kept.version)?;
    let change = parse(call, &kept)?;
    let Some(after) = kept.appointment.changed(&change)? else {
        return Ok(updated(&kept, kept.version, Vec::new()));
    };
    let replanned = replanned(api, &kept, &change, after).await?;
    let (after, warnings) = match &replanned {
        Replanned { after, plan: Some((schedule, span)) } if after.is_active() => {
            let wanted = Wanted { appointment: after, id: Some(id), span: *span, schedule };
            let warnings = api.judge(&call.caller, &wanted).await?;
            let outcome = save(api, call, &kept, after, !warnings.is_empty()).await;
            return api.offering(outcome, &wanted).await.map(|()| updated(&kept, kept.version + 1, warnings));
        }
        Replanned { after, .. } => (after, Vec::new()),
    };
    save(api, call, &kept, after, false).await?;
    Ok(updated(&kept, kept.version + 1, warnings))
}
