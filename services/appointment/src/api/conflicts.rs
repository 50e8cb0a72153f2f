//! `GET /api/appointments/conflicts`, `POST /api/appointments/{appointmentId}/conflict`

use std::collections::HashMap;

use contracts::appointments::{CancelledBy, ListConflicts, ResolveConflict, Slot, Warning};
use contracts::availability::{AppointmentConflict, ConflictResolved, Resolution, ResolutionRequest};
use contracts::consents::DataClass;
use contracts::id::{AppointmentId, ProviderId};
use contracts::page::Page;
use contracts::problem::{Problem, ProblemCode};
use http_kit::{Answer, Call, Caller, Seeker, View};

use super::{Api, SCHEDULE_ATTEMPTS_MAX, Wanted, calls_off, check_heard, sees, update};
use crate::domain::appointment::{Appointment, Cancellation, Change, fault};
use crate::domain::notice;
use crate::domain::search::Search;
use crate::domain::week::Schedule;
use crate::error::Error;
use crate::store::appointment::{Kept, appointment_lock, appointment_update};
use crate::store::search::appointment_search;

/// Refuses who books for themselves alone.
fn check_staff(caller: &Caller) -> Result<(), Error> {
    if caller.is_staff() { Ok(()) } else { Err(Error::Forbidden("Conflicts are for staff to resolve.")) }
}

/// What is to take place and does not fit any more, by time, each with what is free instead. To a clinician, what is with them and with whom they
/// treat.
pub async fn list(api: Api, call: Call<ListConflicts>) -> Result<Answer<ListConflicts>, Error> {
    check_staff(&call.caller)?;
    let search = Search::of_conflicts(&call.query, api.now())?;
    let seeker = Seeker::of(&api.db, &call.caller, DataClass::Appointments)?;
    let mut tx = api.db.read().await?;
    let rows = appointment_search(&mut tx, &api.db, &search, seeker.as_ref()).await?;
    drop(tx);
    let page = search.window.page(rows);
    if let Some(seeker) = &seeker {
        seeker.tell_passed(page.items.iter().map(|kept| &kept.denied));
    }
    let (mut schedules, mut items) = (HashMap::new(), Vec::with_capacity(page.items.len()));
    // What was resolved by a version that does not know of the mark has it still.
    for Kept { id, appointment, .. } in page.items.iter().filter(|kept| kept.appointment.conflict.is_some()) {
        items.push(AppointmentConflict {
            appointment: appointment.view(id, sees(&call.caller, appointment)),
            offers: offers(&api, &mut schedules, id, appointment).await?,
        });
    }
    Ok(Answer::new(Page { items, next_cursor: page.next_cursor }))
}

/// The free slots nearest to it; each provider is asked for once.
async fn offers(
    api: &Api,
    schedules: &mut HashMap<ProviderId, Option<Schedule>>,
    id: &AppointmentId,
    appointment: &Appointment,
) -> Result<Vec<Slot>, Error> {
    let provider = &appointment.plan.provider;
    if !schedules.contains_key(provider) {
        schedules.insert(provider.clone(), api.schedule(provider).await?);
    }
    let Some(schedule) = schedules.get(provider).and_then(Option::as_ref) else { return Ok(Vec::new()) };
    api.offers(&Wanted::of(appointment, Some(id), appointment.span()?, schedule)).await
}

/// Moves, keeps or cancels what is in conflict. What it was decided on may have been overtaken by another change: then it is decided anew.
pub async fn resolve(api: Api, call: Call<ResolveConflict>) -> Result<Answer<ResolveConflict>, Error> {
    check_staff(&call.caller)?;
    for _ in 1..SCHEDULE_ATTEMPTS_MAX {
        match attempt(&api, &call).await {
            Err(Error::Changed) => {}
            outcome => return outcome,
        }
    }
    attempt(&api, &call).await
}

async fn attempt(api: &Api, call: &Call<ResolveConflict>) -> Result<Answer<ResolveConflict>, Error> {
    let (id,) = &call.path;
    let mut tx = api.db.read().await?;
    let kept = api.visible(&mut tx, &call.caller, id).await?;
    api.check_may_change(&mut tx, &call.caller, &kept).await?;
    drop(tx);
    call.if_match.check(kept.version)?;
    if kept.appointment.conflict.is_none() {
        return Err(nothing("The appointment is not in conflict."));
    }
    match call.body.resolution {
        Resolution::Move => {
            let by = calls_off(&call.caller, kept.appointment.plan.provider.as_str());
            let change = moved(&kept, &call.body, by)?;
            update::carry(api, &call.caller, &call.receipt, &kept, &change, |id, version, warnings| {
                resolved(id, version, warnings, "Moved")
            })
            .await
        }
        Resolution::Keep => {
            refuse_members(&call.body)?;
            let schedule = api.schedule(&kept.appointment.plan.provider).await?;
            let span = kept.appointment.span()?;
            let causes = schedule.as_ref().map(|schedule| kept.appointment.causes(schedule, span));
            let after = causes.and_then(|causes| kept.appointment.kept_for(causes));
            let after =
                after.ok_or_else(|| nothing("The provider's profile is gone: move it or cancel it."))?;
            save(api, call, (&kept, schedule.as_ref()), &after, "Kept").await
        }
        Resolution::Cancel => {
            refuse_members(&call.body)?;
            let by = calls_off(&call.caller, kept.appointment.plan.provider.as_str());
            let after = kept.appointment.cancelled(Cancellation::by(by))?;
            let after = after.ok_or_else(|| nothing("The appointment is cancelled."))?;
            save(api, call, (&kept, None), &after, "Cancelled").await
        }
    }
}

/// What a move makes of it: to a date and a time, which must be there.
fn moved(kept: &Kept, request: &ResolutionRequest, by: CancelledBy) -> Result<Change, Error> {
    let current = kept.appointment.view(&kept.id, View::Whole);
    let mut changed = current.clone();
    let (Some(date), Some(time)) = (&request.appointment_date, &request.time_slot) else {
        let field = if request.appointment_date.is_none() { "appointmentDate" } else { "timeSlot" };
        return Err(fault(field, "must be there to move it").into());
    };
    changed.appointment_date.clone_from(date);
    changed.time_slot.clone_from(time);
    if let Some(provider) = &request.provider_id {
        changed.provider_id.clone_from(provider);
    }
    let change = Change::parse(&current, &changed, false, by)?;
    if !kept.appointment.is_replanned_by(&change) {
        return Err(
            fault("timeSlot", "must be another time than it has: to have it as it is, keep it").into()
        );
    }
    Ok(change)
}

fn refuse_members(request: &ResolutionRequest) -> Result<(), Problem> {
    for (field, member) in [
        ("appointmentDate", &request.appointment_date),
        ("timeSlot", &request.time_slot),
        ("providerId", &request.provider_id),
    ] {
        if member.is_some() {
            return Err(fault(field, "is there to move it alone"));
        }
    }
    Ok(())
}

/// Writes it, if the schedule that it was decided on is still the provider's.
async fn save(
    api: &Api,
    call: &Call<ResolveConflict>,
    (kept, schedule): (&Kept, Option<&Schedule>),
    after: &Appointment,
    status: &str,
) -> Result<Answer<ResolveConflict>, Error> {
    let what = notice::event((&kept.id, kept.version + 1), Some(&kept.appointment), after, false);
    let answer = resolved(&kept.id, kept.version + 1, Vec::new(), status);
    db::retrying(&api.db, async |mut tx| {
        appointment_lock(&mut tx, after).await?;
        if let Some(schedule) = schedule {
            check_heard(&mut tx, &after.plan.provider, schedule).await?;
        }
        appointment_update(&mut tx, &api.db, kept, after, &call.caller.user).await?;
        api.publish(&mut tx, what.clone()).await?;
        Ok::<_, Error>(call.receipt.commit(tx, &answer).await?)
    })
    .await?;
    Ok(answer)
}

fn resolved(
    id: &AppointmentId,
    version: i64,
    warnings: Vec<Warning>,
    status: &str,
) -> Answer<ResolveConflict> {
    let resolved = ConflictResolved { appointment_id: id.clone(), status: status.to_owned(), warnings };
    Answer::new(resolved).version(version)
}

fn nothing(detail: &str) -> Error {
    Problem::new(ProblemCode::InvalidTransition).detail(detail).into()
}
