//! `PUT` and `DELETE /api/appointments/series/{seriesId}`: what is still to come of a series is moved or called off, all of it or nothing.

use std::collections::{BTreeMap, BTreeSet};

use contracts::appointments::{CancelSeries, UpdateSeries};
use contracts::id::{AppointmentId, ProviderId, SeriesId};
use contracts::problem::Faults;
use contracts::series::{OccurrenceRefused, SeriesAppointment, SeriesUpdated};
use db::Tx;
use http_kit::etag::IfMatch;
use http_kit::{Answer, Call, Caller, access};

use super::series::{Warnings, around, offers_near, refusal, shown, version, visible, why_not};
use super::{Api, calls_off, check_bookable, check_heard};
use crate::domain::appointment::{Appointment, Cancellation, fault, reason};
use crate::domain::notice;
use crate::domain::series::{Change, Kept};
use crate::domain::span::Span;
use crate::domain::status::is_open;
use crate::domain::taken::Room;
use crate::domain::week::Schedule;
use crate::error::Error;
use crate::store::among::Want;
use crate::store::appointment::{Kept as KeptAppointment, appointment_update};
use crate::store::taken::taken_by;

/// So many may change one series at once, and each have its turn.
const ATTEMPTS_MAX: u32 = 8;

/// An appointment before and after, and the time that it is to take.
struct Step {
    before: KeptAppointment,
    after: Appointment,
    span: Span,
}

impl Step {
    /// When and where it is to be.
    fn at(&self) -> (Span, Option<&str>) {
        (self.span, self.after.plan.location.as_deref())
    }
}

/// Moves or calls off what is still to come.
pub async fn update(api: Api, call: Call<UpdateSeries>) -> Result<Answer<UpdateSeries>, Error> {
    let (id,) = &call.path;
    let (kept, appointments) = series(&api, &call.caller, id).await?;
    call.if_match.check(version(&appointments))?;
    let change = Change::parse(&call.body, calls_off(&call.caller, kept.series.provider.as_str()))?;
    let updated = apply(&api, (&call.caller, &call.if_match), id, &change).await?;
    Ok(Answer::new(updated))
}

/// Calls off what is still to come. Doing so again does nothing.
pub async fn cancel(api: Api, call: Call<CancelSeries>) -> Result<Answer<CancelSeries>, Error> {
    let (id,) = &call.path;
    let mut faults = Faults::new();
    let why = faults.take("reason", reason(call.query.reason.as_deref()));
    let why = faults.finish_query(why)?;
    let (kept, appointments) = series(&api, &call.caller, id).await?;
    call.if_match.check(version(&appointments))?;
    let by = calls_off(&call.caller, kept.series.provider.as_str());
    let change = Change::cancellation(Cancellation { by, reason: why });
    let updated = apply(&api, (&call.caller, &call.if_match), id, &change).await?;
    Ok(Answer::new(updated))
}

/// The series, if the caller may change it as well as see it.
async fn series(api: &Api, caller: &Caller, id: &SeriesId) -> Result<(Kept, Vec<KeptAppointment>), Error> {
    let mut tx = api.db.read().await?;
    let (kept, appointments) = visible(api, &mut tx, caller, (id, Want::Whole)).await?;
    for of in &appointments {
        api.check_may_change(&mut tx, caller, of).await?;
    }
    if appointments.is_empty() && !access::treats(&mut tx, caller, &kept.patient).await? {
        return Err(Error::Forbidden(access::TREATING_NEEDED));
    }
    Ok((kept, appointments))
}

async fn apply(
    api: &Api,
    by: (&Caller, &IfMatch),
    id: &SeriesId,
    change: &Change,
) -> Result<SeriesUpdated, Error> {
    for _ in 1..ATTEMPTS_MAX {
        match attempt(api, by, id, change).await {
            Err(Error::Changed) => {}
            outcome => return outcome,
        }
    }
    attempt(api, by, id, change).await
}

async fn attempt(
    api: &Api,
    (caller, if_match): (&Caller, &IfMatch),
    id: &SeriesId,
    change: &Change,
) -> Result<SeriesUpdated, Error> {
    let (kept, appointments) = series(api, caller, id).await?;
    // Of these, and of none that others have changed meanwhile.
    if_match.check(version(&appointments))?;
    let ahead = ahead(api, appointments, change)?;
    let schedules = schedules(api, caller, &ahead, change).await?;
    let steps = steps(ahead, change, &schedules)?;
    let outcome = db::retrying(&api.db, async |mut tx| {
        lock(&mut tx, &kept, &steps).await?;
        let mut warnings = Warnings::default();
        if !change.cancels() {
            warnings.note_room(check(api, &mut tx, caller, &kept, &steps, &schedules).await?);
        }
        let mut done = Vec::with_capacity(steps.len());
        for step in &steps {
            let schedule = schedules.get(&step.after.plan.provider);
            let is_unusual = !change.cancels()
                && schedule.is_some_and(|schedule| warnings.judge(api, schedule, step.at()));
            done.push(one(api, &mut tx, caller, step, is_unusual).await?);
        }
        tx.commit().await?;
        done.sort_by_key(|of| (of.appointment_date.clone(), of.time_slot.clone()));
        Ok::<_, Error>((done, warnings.shown()))
    })
    .await;
    let (appointments, warnings) = offering(api, outcome, &steps, &schedules).await?;
    let status = if change.cancels() { "Cancelled" } else { "Updated" }.to_owned();
    Ok(SeriesUpdated { series_id: id.clone(), status, appointments, warnings })
}

/// What is still to come, from the one on that the change begins with.
fn ahead(
    api: &Api,
    appointments: Vec<KeptAppointment>,
    change: &Change,
) -> Result<Vec<KeptAppointment>, Error> {
    let from = match &change.from {
        None => api.now(),
        Some(first) => {
            let first = appointments.iter().find(|of| of.id == *first);
            let first = first.ok_or_else(|| fault("appointmentId", "must be of this series"))?;
            first.starts_at.max(api.now())
        }
    };
    let is_ahead = |of: &KeptAppointment| is_open(of.appointment.status) && of.starts_at >= from;
    Ok(appointments.into_iter().filter(is_ahead).collect())
}

/// The hours of each provider who is to be seen.
async fn schedules(
    api: &Api,
    caller: &Caller,
    ahead: &[KeptAppointment],
    change: &Change,
) -> Result<BTreeMap<ProviderId, Schedule>, Error> {
    let mut schedules = BTreeMap::new();
    if change.cancels() {
        return Ok(schedules);
    }
    let providers: BTreeSet<_> = match &change.provider {
        Some(provider) => [provider].into_iter().collect(),
        None => ahead.iter().map(|of| &of.appointment.plan.provider).collect(),
    };
    for provider in providers {
        let schedule = api.schedule(provider).await?;
        let schedule = schedule.ok_or_else(|| fault("providerId", "must be the id of a provider"))?;
        check_bookable(caller, &schedule)?;
        schedules.insert(provider.clone(), schedule);
    }
    Ok(schedules)
}

/// What becomes of each, in an order in which none has to wait for another of the series to give way.
fn steps(
    ahead: Vec<KeptAppointment>,
    change: &Change,
    schedules: &BTreeMap<ProviderId, Schedule>,
) -> Result<Vec<Step>, Error> {
    let mut steps = Vec::with_capacity(ahead.len());
    for before in ahead {
        let Some(mut after) = change.of(&before.appointment, schedules)? else { continue };
        let span = after.span()?;
        // Staff who move it know of it: it is not flagged again.
        let schedule = schedules.get(&after.plan.provider);
        after.kept = schedule.map(|schedule| after.causes(schedule, span)).unwrap_or_default();
        steps.push(Step { before, after, span });
    }
    if steps.first().is_some_and(|first| change.is_later(&first.before.appointment)) {
        steps.reverse();
    }
    Ok(steps)
}

async fn lock(tx: &mut Tx, kept: &Kept, steps: &[Step]) -> Result<(), Error> {
    let mut names: Vec<_> =
        steps.iter().map(|step| format!("provider:{}", step.after.plan.provider)).collect();
    names.push(db::erasure_lock_name(kept.patient.as_str()));
    Ok(tx.lock(&names.iter().map(String::as_str).collect::<Vec<_>>()).await?)
}

/// Refuses what cannot be had, all of it at once: what is taken, but by the series itself, and for a patient what is outside the hours or too close to what
/// is beside it. How much room there is where there is least.
async fn check(
    api: &Api,
    tx: &mut Tx,
    caller: &Caller,
    kept: &Kept,
    steps: &[Step],
    schedules: &BTreeMap<ProviderId, Schedule>,
) -> Result<Room, Error> {
    let own: BTreeSet<&str> = steps.iter().map(|step| step.before.id.as_str()).collect();
    let (mut refused, mut least) = (Vec::new(), Room::Enough);
    for (provider, schedule) in schedules {
        let of_theirs = || steps.iter().filter(|step| step.after.plan.provider == *provider);
        let spans: Vec<_> = of_theirs().map(|step| step.span).collect();
        let Some(range) = around(&spans) else { continue };
        check_heard(tx, provider, schedule).await?;
        let mut taken = taken_by(tx, provider, Some(&kept.patient), range).await?;
        taken.retain(|taken| !own.contains(taken.id.as_str()));
        for step in of_theirs() {
            let room = Room::among(&taken, step.span, step.after.buffers);
            let is_unusual = !notice::warnings(schedule, step.at(), api.now()).is_empty();
            match why_not(caller, room, is_unusual) {
                Some(code) => refused.push(refusal(&step.after, code)),
                None if room == Room::Close => least = room,
                None => {}
            }
        }
    }
    refused.sort_by_key(|refusal| (refusal.date.clone(), refusal.time_slot.clone()));
    if refused.is_empty() { Ok(least) } else { Err(Error::SeriesOverlap(refused)) }
}

async fn one(
    api: &Api,
    tx: &mut Tx,
    caller: &Caller,
    step: &Step,
    is_unusual: bool,
) -> Result<SeriesAppointment, Error> {
    let Step { before, after, .. } = step;
    appointment_update(tx, &api.db, before, after, &caller.user).await?;
    let version = (&before.id, before.version + 1);
    api.publish(tx, notice::event(version, Some(&before.appointment), after, is_unusual)).await?;
    Ok(shown(before.id.clone(), after))
}

/// An outcome; if times were taken, with what is free near each.
async fn offering<T>(
    api: &Api,
    outcome: Result<T, Error>,
    steps: &[Step],
    schedules: &BTreeMap<ProviderId, Schedule>,
) -> Result<T, Error> {
    let mut refused = match outcome {
        Err(Error::SeriesOverlap(refused)) => refused,
        outcome => return outcome,
    };
    for refusal in &mut refused {
        if let Some((id, after, schedule)) = step_of(steps, schedules, refusal) {
            refusal.slots = offers_near(api, after, id, schedule).await?;
        }
    }
    Err(Error::SeriesOverlap(refused))
}

fn step_of<'a>(
    steps: &'a [Step],
    schedules: &'a BTreeMap<ProviderId, Schedule>,
    refused: &OccurrenceRefused,
) -> Option<(&'a AppointmentId, &'a Appointment, &'a Schedule)> {
    let is_it = |step: &&Step| {
        let shown = shown(step.before.id.clone(), &step.after);
        (shown.appointment_date, shown.time_slot) == (refused.date.clone(), refused.time_slot.clone())
    };
    let Step { before, after, .. } = steps.iter().find(is_it)?;
    Some((&before.id, after, schedules.get(&after.plan.provider)?))
}
