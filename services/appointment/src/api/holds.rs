//! `POST` and `GET /api/appointments/holds`, and `DELETE` of one.

use contracts::appointments::{HoldSlot, ListSlotHolds, ReleaseSlot};
use contracts::id::SlotHoldId;
use contracts::page::Page;
use contracts::problem::{Faults, Problem, ProblemCode};
use contracts::slot_holds::{SLOT_HOLDS_MAX, SlotHeld, SlotHold, SlotHoldReleased};
use contracts::trail;
use http_kit::export::Wanted as Exported;
use http_kit::{Answer, Call, Caller, Reach};

use super::{Api, SCHEDULE_ATTEMPTS_MAX, Wanted};
use crate::domain::feed::time;
use crate::domain::hold::{Asked, Hold, Kept};
use crate::domain::span::Span;
use crate::domain::week::Schedule;
use crate::error::Error;
use crate::store::hold::{
    hold_count, hold_insert, hold_list, hold_lock, hold_release, holder, holds_of_patient,
};

/// Holds a slot for a few minutes. Whether it is free, the database decides, as it does for a booking.
pub async fn hold(api: Api, call: Call<HoldSlot>) -> Result<Answer<HoldSlot>, Error> {
    let asked = Asked::parse(&call.body, &api.holding)?;
    for _ in 1..SCHEDULE_ATTEMPTS_MAX {
        match attempt(&api, &call, &asked).await {
            Err(Error::Changed) => {}
            outcome => return outcome,
        }
    }
    attempt(&api, &call, &asked).await
}

async fn attempt(api: &Api, call: &Call<HoldSlot>, asked: &Asked) -> Result<Answer<HoldSlot>, Error> {
    let (kept, span, schedule) = placed(api, &call.caller, asked).await?;
    let (id, expires_at) = (kept.id.clone(), kept.expires_at);
    let Hold { plan, buffers, .. } = &kept.hold;
    let wanted = Wanted::planned((plan, *buffers), kept.patient.as_ref(), span, &schedule);
    api.judge(&call.caller, &wanted).await?;
    let holder = holder(&api.db, &call.caller.user)?;
    let held = SlotHeld { hold_id: id.clone(), expires_at: time(expires_at) };
    let answer = Answer::new(held).located(&id);
    let outcome = db::retrying(&api.db, async |mut tx| {
        hold_lock(&mut tx, &kept).await?;
        // Two at once may both be let in: there is one more then, for a few minutes.
        if hold_count(&mut tx, &holder).await? >= i64::from(SLOT_HOLDS_MAX) {
            return Err(too_many().into());
        }
        api.judge_last(&mut tx, &call.caller, &wanted).await?;
        hold_insert(&mut tx, &api.db, &kept, &holder, span).await?;
        Ok::<_, Error>(call.receipt.commit(tx, &answer).await?)
    })
    .await;
    api.offering(outcome, &wanted).await?;
    Ok(answer)
}

/// What is to be held, when, and the provider's schedule. A patient holds for themselves, and for nobody else.
async fn placed(api: &Api, caller: &Caller, asked: &Asked) -> Result<(Kept, Span, Schedule), Error> {
    let mut faults = Faults::new();
    let patient = asked.patient.clone().or(match caller.reach() {
        Reach::Only(own) => Some(own),
        Reach::Everyone | Reach::Nobody => None,
    });
    if let Some(patient) = &patient {
        trail::concerns(patient.as_str());
        let reaches = api.may_book(caller, patient).await?;
        if !(api.peers.has_patient(patient).await? && reaches) {
            faults.add("patientId", "must be the id of a patient");
        }
    }
    let schedule = api.schedule(&asked.plan.provider).await?;
    let schedule = faults.take("providerId", schedule.ok_or("must be the id of a provider"));
    let placed = schedule.and_then(|schedule| {
        let (plan, zone, buffers) = asked.plan.with(&schedule, asked.says_minutes, &mut faults)?;
        let span = faults.take("timeSlot", plan.span(zone))?;
        let (id, expires_at) = (SlotHoldId::generate(api.db.random()), api.now() + asked.lasts);
        let hold = Hold { plan, zone, buffers, by: caller.user.clone() };
        Some((Kept { id, patient, expires_at, hold }, span, schedule))
    });
    Ok(faults.finish(placed)?)
}

fn too_many() -> Problem {
    Problem::new(ProblemCode::InvalidTransition)
        .detail(format!("Somebody holds {SLOT_HOLDS_MAX} slots at once at most. Give one back first."))
}

/// Lists what the caller holds.
pub async fn list(api: Api, call: Call<ListSlotHolds>) -> Result<Answer<ListSlotHolds>, Error> {
    let mut tx = api.db.read().await?;
    let holder = holder(&api.db, &call.caller.user)?;
    let items = hold_list(&mut tx, &api.db, &holder).await?.iter().map(Kept::view).collect();
    Ok(Answer::new(Page { items, next_cursor: None }))
}

/// Gives a slot back. What another holds is not there.
pub async fn release(api: Api, call: Call<ReleaseSlot>) -> Result<Answer<ReleaseSlot>, Error> {
    let (id,) = &call.path;
    let holder = holder(&api.db, &call.caller.user)?;
    db::retrying(&api.db, async |mut tx| {
        if !hold_release(&mut tx, id, &holder).await? {
            return Err(Error::NotFound);
        }
        Ok::<_, Error>(tx.commit().await?)
    })
    .await?;
    Ok(Answer::new(SlotHoldReleased { hold_id: id.clone(), status: "Released".to_owned() }))
}

/// What is held for a patient, for the export of all that is held of them: all are on the first page.
pub(super) async fn of_patient(api: Api, wanted: Exported) -> Result<Page<SlotHold>, Error> {
    let mut tx = api.db.read().await?;
    let holds = holds_of_patient(&mut tx, &api.db, &wanted.patient).await?;
    Ok(Page { items: holds.iter().map(Kept::view).collect(), next_cursor: None })
}
