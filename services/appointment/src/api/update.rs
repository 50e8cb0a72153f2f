//! `PUT /api/appointments/{appointmentId}`

use contracts::appointments::{AppointmentUpdated, UpdateAppointment, Warning};
use contracts::id::AppointmentId;
use contracts::permission::Permission;
use http_kit::{Answer, Call, Reach, View, json};

use super::{Api, Wanted, sees};
use crate::domain::appointment::{Appointment, Change, fault};
use crate::domain::history::REASON;
use crate::domain::notice;
use crate::domain::status::is_the_patients_to_say;
use crate::error::Error;
use crate::store::appointment::{Kept, appointment_lock, appointment_update};

/// So many may change one appointment at once, and each have its turn.
const ATTEMPTS_MAX: u32 = 16;

/// Changes what the body names (RFC 7396). The provider is asked before the transaction begins, so what was decided may have been
/// overtaken by another change: then it is decided anew.
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
    api.check_may_change(&mut tx, &call.caller, &kept).await?;
    drop(tx);
    call.if_match.check(kept.version)?;
    let before = &kept.appointment;
    let change = parse(call, before)?;
    let Some(after) = before.changed(&change)? else {
        return Ok(updated(id, kept.version, Vec::new()));
    };
    if !before.is_replanned_by(&change) {
        save(api, call, &kept, &after, false).await?;
        return Ok(updated(id, kept.version + 1, Vec::new()));
    }
    let schedule = api.peers.schedule(&after.plan.provider).await?;
    let schedule = schedule.ok_or_else(|| fault("providerId", "must be the id of a provider"))?;
    let after = if before.is_moved_by(&change) { after.in_zone(schedule.zone) } else { after };
    let wanted = Wanted { appointment: &after, id: Some(id), span: after.span()?, schedule: &schedule };
    // What does not take place needs no good time.
    let warnings = if after.is_active() { api.judge(&call.caller, &wanted).await? } else { Vec::new() };
    let outcome = save(api, call, &kept, &after, !warnings.is_empty()).await;
    api.offering(outcome, &wanted).await?;
    Ok(updated(id, kept.version + 1, warnings))
}

fn parse(call: &Call<UpdateAppointment>, before: &Appointment) -> Result<Change, Error> {
    sees(&call.caller, before).may_change(&call.body, REASON, Permission::AppointmentsReason)?;
    let current = before.view(&call.path.0, View::Whole);
    let change = Change::parse(&current, &json::merge(&call.body, &current)?, call.body.names("status"))?;
    let is_patient = call.caller.reach() != Reach::Everyone;
    if is_patient && change.status() != before.status && !is_the_patients_to_say(change.status()) {
        return Err(Error::Forbidden("The clinic says who came and what took place."));
    }
    Ok(change)
}

async fn save(
    api: &Api,
    call: &Call<UpdateAppointment>,
    kept: &Kept,
    after: &Appointment,
    outside_hours: bool,
) -> Result<(), Error> {
    let what = notice::event((&kept.id, kept.version + 1), Some(&kept.appointment), after, outside_hours);
    db::retrying(&api.db, async |mut tx| {
        appointment_lock(&mut tx, after).await?;
        appointment_update(&mut tx, &api.db, kept, after, &call.caller.user).await?;
        api.publish(&mut tx, what.clone()).await?;
        Ok::<_, Error>(tx.commit().await?)
    })
    .await
}

fn updated(id: &AppointmentId, version: i64, warnings: Vec<Warning>) -> Answer<UpdateAppointment> {
    let updated = AppointmentUpdated { appointment_id: id.clone(), status: "Updated".to_owned(), warnings };
    Answer::new(updated).version(version)
}
