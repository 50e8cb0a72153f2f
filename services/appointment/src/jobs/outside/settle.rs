//! The calendars that the settings have, and no others: with one that goes, go its events and what they made of appointments.

use chrono::TimeDelta;
use contracts::id::ProviderId;
use contracts::trail::{self, Trail};
use db::{Db, Tx};

use super::pull::OPERATION;
use crate::api::publish;
use crate::domain::appointment::MINUTES;
use crate::domain::conflict::Conflict;
use crate::domain::notice;
use crate::error::Error;
use crate::store::appointment::{Kept, appointment_update, provider_lock};
use crate::store::outside::{calendar_add, calendar_forget, calendars_kept};
use crate::store::outside_busy::{busy_providers, is_busy_outside};
use crate::store::search::appointments_ahead;

/// The calendars as a whole: one process at a time settles which there are.
const LOCK: &str = "outside";

/// Makes it so that there are the calendars that the settings have, by name and by what each is, and no others. What was known of one that has another
/// address now, or is none any more, goes, and so do the conflicts that its events made.
pub async fn calendars_settle(db: &Db, calendars: &[(String, Vec<u8>)]) -> Result<(), Error> {
    let mut tx = db.read().await?;
    let kept = calendars_kept(&mut tx).await?;
    drop(tx);
    for gone in kept.iter().filter(|kept| !calendars.contains(kept)) {
        let actor = format!("calendar:{}", gone.0);
        let trail = Trail::of(OPERATION);
        trail.tell(|told| told.who.clone_from(&actor));
        Box::pin(trail::within(Some(trail), forget(db, gone, &actor))).await?;
    }
    db::retrying(db, async |mut tx| {
        tx.lock(&[LOCK]).await?;
        for (name, target) in calendars {
            calendar_add(&mut tx, name, target).await?;
        }
        Ok::<_, Error>(tx.commit_unaudited().await?)
    })
    .await
}

/// Forgets a calendar, unless it is another by now.
async fn forget(db: &Db, calendar: &(String, Vec<u8>), actor: &str) -> Result<(), Error> {
    let (name, _) = calendar;
    db::retrying(db, async |mut tx| {
        // Whose time it takes is to be known for the locks, and is certain with them alone.
        let mut before = db.read().await?;
        let providers = busy_providers(&mut before, name).await?;
        drop(before);
        let locks: Vec<_> = providers.iter().map(provider_lock).collect();
        let locks = locks.iter().map(String::as_str).chain([LOCK]);
        tx.lock(&locks.collect::<Vec<_>>()).await?;
        if !calendars_kept(&mut tx).await?.contains(calendar) {
            return Ok(());
        }
        if busy_providers(&mut tx, name).await? != providers {
            return Err(Error::Db(db::Error::LostRace));
        }
        calendar_forget(&mut tx, name).await?;
        let mut is_any_changed = false;
        for provider in &providers {
            is_any_changed |= look_anew(&mut tx, db, provider, actor).await?;
        }
        let commit = if is_any_changed { tx.commit().await } else { tx.commit_unaudited().await };
        Ok::<_, Error>(commit?)
    })
    .await
}

/// Holds what is booked with a provider, and was in the way of something outside, against what is outside now. Whether anything came of it.
async fn look_anew(tx: &mut Tx, db: &Db, provider: &ProviderId, actor: &str) -> Result<bool, Error> {
    let (now, mut is_any_changed) = (tx.now(), false);
    let longest = TimeDelta::minutes(i64::from(*MINUTES.end()));
    for kept in appointments_ahead(tx, db, provider, now - longest).await? {
        if kept.appointment.resolved(Conflict::OutsideEvent).is_some() {
            is_any_changed |= heed(tx, db, provider, &kept, actor).await?;
        }
    }
    Ok(is_any_changed)
}

/// What an appointment that is not over becomes by what takes the provider's time outside now. Whether it becomes anything. Under the provider's lock.
pub(super) async fn heed(
    tx: &mut Tx,
    db: &Db,
    provider: &ProviderId,
    kept: &Kept,
    actor: &str,
) -> Result<bool, Error> {
    let stands = kept.appointment.span()?;
    let after = if is_busy_outside(tx, provider, stands).await? {
        kept.appointment.conflicted(Conflict::OutsideEvent)
    } else {
        kept.appointment.resolved(Conflict::OutsideEvent)
    };
    let Some(after) = after.filter(|_| stands.ends_at > tx.now()) else { return Ok(false) };
    trail::concerns(after.patient.as_str());
    match appointment_update(tx, db, kept, &after, actor).await {
        Err(Error::Changed) => return Err(Error::Db(db::Error::LostRace)),
        // The patient is being erased: there is nothing left to resolve.
        Err(Error::NotFound) => return Ok(true),
        outcome => outcome?,
    }
    let version = (&kept.id, kept.version + 1);
    publish(db, tx, notice::event(version, Some(&kept.appointment), &after, false)).await?;
    Ok(true)
}
