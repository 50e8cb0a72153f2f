//! Offers what becomes free to who waits for it.
//!
//! What is to be looked at stands in the database, written with whatever freed it, until it was looked at: nothing is lost with a process. Each offer is
//! one transaction, with the slot held, the entry changed and the event written, under the provider's and the patient's locks; of two replicas that
//! make the same offer one finds the entry changed.

use std::time::Duration;

use contracts::event::What;
use contracts::id::{ProviderId, SlotHoldId};
use db::Tx;

use crate::api::{Api, check_heard};
use crate::domain::appointment::Plan;
use crate::domain::hold::{Hold, Kept as KeptHold};
use crate::domain::slots::{FreeSlot, free};
use crate::domain::span::Span;
use crate::domain::waitlist::{Kept, Offer, offer_until};
use crate::domain::week::Schedule;
use crate::error::Error;
use crate::peers::Profile;
use crate::store::hold::{hold_insert, hold_lock, offer_holder};
use crate::store::outside::calendars_tried;
use crate::store::state::heard;
use crate::store::taken::taken;
use crate::store::waitlist::{
    freed_done, freed_next, freed_note, offer_stands, waitlist_overdue, waitlist_update, waitlist_waiting,
};

const EVERY: Duration = Duration::from_secs(2);

/// Again and again.
pub async fn run(api: Api) {
    loop {
        match look(&api).await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "what has become free could not be offered"),
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Takes back what was not taken, and offers what is free with one provider. Whether there may be more to do.
pub async fn look(api: &Api) -> Result<bool, Error> {
    let was_overdue = take_back(api).await?;
    let mut tx = api.db.read().await?;
    let next = freed_next(&mut tx).await?;
    let Some((provider, upto)) = next else { return Ok(was_overdue) };
    if !are_calendars_known(api, &mut tx).await? {
        return Ok(was_overdue);
    }
    let heard = heard(&mut tx, &provider).await?;
    drop(tx);
    let profile = match api.peers.profile(&provider).await {
        // One whose hours are not understood must not be in the way of all others.
        Err(Error::Schedule(error)) => {
            tracing::warn!(%provider, %error, "nothing is offered with this provider");
            None
        }
        profile => profile?,
    };
    if let Some(Profile { specialization, schedule }) = profile {
        let profile = Profile { specialization, schedule: schedule.heard(heard) };
        offer_all(api, &provider, &profile).await?;
    }
    db::retrying(&api.db, async |mut tx| {
        freed_done(&mut tx, &provider, upto).await?;
        Ok::<_, Error>(tx.commit_unaudited().await?)
    })
    .await?;
    Ok(true)
}

/// Whether each calendar outside was looked at, or could not be. Until then nothing is offered: what stands in one that has just taken another one's place is in
/// the way of nobody yet.
async fn are_calendars_known(api: &Api, tx: &mut Tx) -> Result<bool, Error> {
    if api.calendars.is_empty() {
        return Ok(true);
    }
    let tried = calendars_tried(tx).await?;
    Ok(api.calendars.iter().all(|calendar| tried.contains(&calendar.name)))
}

/// What was offered and not taken in time passes to the next. Whether there was any.
async fn take_back(api: &Api) -> Result<bool, Error> {
    let (mut is_any, mut after) = (false, None);
    loop {
        let mut tx = api.db.read().await?;
        let (overdue, last) = waitlist_overdue(&mut tx, &api.db, after.as_ref()).await?;
        drop(tx);
        for kept in &overdue {
            passed_over(take_back_one(api, kept).await)?;
        }
        is_any |= !overdue.is_empty();
        if last.is_none() {
            return Ok(is_any);
        }
        after = last;
    }
}

async fn take_back_one(api: &Api, kept: &Kept) -> Result<(), Error> {
    let provider = kept.entry.offer.as_ref().map(|offer| offer.plan.provider.clone());
    db::retrying(&api.db, async |mut tx| {
        db::erasure_lock(&mut tx, kept.patient.as_str()).await?;
        waitlist_update(&mut tx, &api.db, &kept.declined()).await?;
        // The hold has expired with the offer: it may be gone, or is in nobody's way.
        if let Some(provider) = &provider {
            freed_note(&mut tx, provider).await?;
        }
        Ok::<_, Error>(tx.commit().await?)
    })
    .await
}

/// Another replica was faster, somebody took the time or the patient went: what is noted of that is looked at in its turn.
fn passed_over(outcome: Result<(), Error>) -> Result<(), Error> {
    match outcome {
        Err(Error::Changed | Error::Overlap(_) | Error::Invalid(_)) => Ok(()),
        outcome => outcome,
    }
}

/// Offers to each who waits, who has waited longest first, the first time that would do. However many wait for somebody else, all are looked at.
async fn offer_all(api: &Api, provider: &ProviderId, profile: &Profile) -> Result<(), Error> {
    let mut after = None;
    loop {
        let mut tx = api.db.read().await?;
        let (waiting, last) = waitlist_waiting(&mut tx, &api.db, provider, after.as_ref()).await?;
        drop(tx);
        for kept in waiting.iter().filter(|kept| kept.would_see(provider, &profile.specialization)) {
            if let Some(slot) = first_for(api, kept, provider, &profile.schedule).await? {
                passed_over(offer(api, kept, provider, &profile.schedule, slot).await)?;
            }
        }
        let Some(last) = last else { return Ok(()) };
        after = Some(last);
    }
}

async fn first_for(
    api: &Api,
    kept: &Kept,
    provider: &ProviderId,
    schedule: &Schedule,
) -> Result<Option<FreeSlot>, Error> {
    let now = api.db.clock().now();
    let Span { starts_at, ends_at } = kept.span;
    let range = Span { starts_at: starts_at.max(now), ends_at };
    if range.ends_at <= range.starts_at {
        return Ok(None);
    }
    let mut tx = api.db.read().await?;
    let taken = taken(&mut tx, provider, Some(&kept.patient), range, None).await?;
    drop(tx);
    let sought = schedule.sought(kept.entry.minutes, kept.entry.visit_type.as_deref(), None);
    let slots = free(schedule, taken, range, &sought);
    Ok(slots.into_iter().find(|slot| slot.starts_at > now && kept.would_take(slot)))
}

async fn offer(
    api: &Api,
    kept: &Kept,
    provider: &ProviderId,
    schedule: &Schedule,
    slot: FreeSlot,
) -> Result<(), Error> {
    let (starts_at, minutes) = (slot.starts_at, kept.entry.minutes);
    let visit_type = kept.entry.visit_type.clone();
    let (buffers, zone) = (schedule.buffers_of(visit_type.as_deref()), slot.zone());
    let location = slot.location().map(str::to_owned);
    let provider_id = provider.clone();
    let plan =
        Plan { provider: provider_id, date: slot.date(), time: slot.time(), minutes, visit_type, location };
    let seconds = api.holding.waitlist_offer_seconds;
    let until = offer_until(api.db.clock().now(), seconds, starts_at);
    let id = SlotHoldId::generate(api.db.random());
    let offer = Offer { plan: plan.clone(), zone, buffers, starts_at };
    let by = format!("waitlist:{}", kept.id);
    let hold = Hold { plan, zone, buffers, by };
    let patient = Some(kept.patient.clone());
    let held = KeptHold { id: id.clone(), patient, expires_at: until, hold };
    let holder = offer_holder(&api.db, &kept.id)?;
    let after = kept.offered(id, until, offer);
    let told = after.notice().map(What::WaitlistOffered);
    db::retrying(&api.db, async |mut tx| {
        hold_lock(&mut tx, &held).await?;
        // By a schedule that is another by now nothing is offered: it is looked at anew.
        match check_heard(&mut tx, provider, schedule).await {
            Err(Error::Changed) => {
                freed_note(&mut tx, provider).await?;
                return Ok(tx.commit_unaudited().await?);
            }
            is_same => is_same?,
        }
        // Who waits twice takes no two times from everybody else at once. What ends the offer has the next one looked at.
        if offer_stands(&mut tx, &kept.patient, provider).await? {
            return Err(Error::Changed);
        }
        waitlist_update(&mut tx, &api.db, &after).await?;
        hold_insert(&mut tx, &api.db, &held, &holder, Span::of_minutes(starts_at, minutes)).await?;
        api.publish(&mut tx, told.clone()).await?;
        Ok::<_, Error>(tx.commit().await?)
    })
    .await
}
