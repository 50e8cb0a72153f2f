//! `PUT /api/appointments/{appointmentId}`

use contracts::appointments::{AppointmentUpdated, UpdateAppointment, Warning};
use contracts::endpoint::Endpoint;
use contracts::id::AppointmentId;
use contracts::permission::Permission;
use http_kit::{Answer, Call, Caller, Reach, Receipt, View, json};

use super::{Api, Wanted, calls_off, sees};
use crate::domain::appointment::{Appointment, Change, fault};
use crate::domain::history::{CANCELLATION_REASON, REASON};
use crate::domain::notice;
use crate::domain::status::is_the_patients_to_say;
use crate::error::Error;
use crate::store::appointment::{Kept, appointment_lock, appointment_update};
use crate::store::hold::{hold_give_way, holder};

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
    let change = parse(call, &kept.appointment)?;
    carry(api, &call.caller, &call.receipt, &kept, &change, updated).await
}

/// Makes a change so, judged as a booking is if it is about when, where, how long or with whom.
pub(super) async fn carry<E: Endpoint>(
    api: &Api,
    caller: &Caller,
    receipt: &Receipt,
    kept: &Kept,
    change: &Change,
    answer: fn(&AppointmentId, i64, Vec<Warning>) -> Answer<E>,
) -> Result<Answer<E>, Error> {
    let (id, before) = (&kept.id, &kept.appointment);
    let Some(after) = before.changed(change)? else { return Ok(answer(id, kept.version, Vec::new())) };
    let save = Save { api, caller, receipt, kept };
    if !before.is_replanned_by(change) {
        return save.save(&after, None, Vec::new(), answer).await;
    }
    let schedule = api.schedule(&after.plan.provider).await?;
    let schedule = schedule.ok_or_else(|| fault("providerId", "must be the id of a provider"))?;
    let mut after = after.replanned(before, before.is_moved_by(change), &schedule)?;
    let span = after.span()?;
    // Staff who move it know of it: it is not flagged again.
    after.kept = after.causes(&schedule, span);
    let wanted = Wanted::of(&after, Some(id), span, &schedule);
    // What does not take place needs no good time.
    let is_active = after.is_active();
    let warnings = if is_active { api.judge(caller, &wanted).await? } else { Vec::new() };
    let outcome = save.save(&after, is_active.then_some(&wanted), warnings, answer).await;
    api.offering(outcome, &wanted).await
}

fn parse(call: &Call<UpdateAppointment>, before: &Appointment) -> Result<Change, Error> {
    for member in [REASON, CANCELLATION_REASON] {
        sees(&call.caller, before).may_change(&call.body, member, Permission::AppointmentsReason)?;
    }
    let current = before.view(&call.path.0, View::Whole);
    let merged = json::merge(&call.body, &current)?;
    let by = calls_off(&call.caller, before.plan.provider.as_str());
    let change = Change::parse(&current, &merged, call.body.names("status"), by)?;
    let is_patient = call.caller.reach() != Reach::Everyone;
    if is_patient && change.status() != before.status && !is_the_patients_to_say(change.status()) {
        return Err(Error::Forbidden("The clinic says who came and what took place."));
    }
    Ok(change)
}

/// What is written, and for whom.
struct Save<'a> {
    api: &'a Api,
    caller: &'a Caller,
    receipt: &'a Receipt,
    kept: &'a Kept,
}

impl Save<'_> {
    /// Writes it, if `wanted` can be had.
    async fn save<E: Endpoint>(
        &self,
        after: &Appointment,
        wanted: Option<&Wanted<'_>>,
        warnings: Vec<Warning>,
        answer: fn(&AppointmentId, i64, Vec<Warning>) -> Answer<E>,
    ) -> Result<Answer<E>, Error> {
        let Self { api, caller, receipt, kept } = self;
        let what =
            notice::event((&kept.id, kept.version + 1), Some(&kept.appointment), after, !warnings.is_empty());
        db::retrying(&api.db, async |mut tx| {
            appointment_lock(&mut tx, after).await?;
            if after.is_active() && after.plan != kept.appointment.plan {
                let holder = holder(&api.db, &caller.user)?;
                hold_give_way(&mut tx, &holder, after, after.span()?).await?;
            }
            let mut warnings = warnings.clone();
            if let Some(wanted) = wanted {
                warnings.extend(api.judge_last(&mut tx, caller, wanted).await?.then(notice::buffer));
            }
            appointment_update(&mut tx, &api.db, kept, after, &caller.user).await?;
            api.publish(&mut tx, what.clone()).await?;
            let answer = answer(&kept.id, kept.version + 1, warnings);
            receipt.commit(tx, &answer).await?;
            Ok::<_, Error>(answer)
        })
        .await
    }
}

fn updated(id: &AppointmentId, version: i64, warnings: Vec<Warning>) -> Answer<UpdateAppointment> {
    let updated = AppointmentUpdated { appointment_id: id.clone(), status: "Updated".to_owned(), warnings };
    Answer::new(updated).version(version)
}
