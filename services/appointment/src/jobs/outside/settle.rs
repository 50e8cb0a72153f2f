//! The calendars that the settings have, and no others: with one that goes, go its events and what they made of appointments.

use std::time::Duration;

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
use crate::store::search::appointments_ahead_some;

/// The calendars as a whole: one process at a time settles which there are.
const LOCK: &str = "outside";
/// So many appointments are opened at once.
const BATCH: i64 = 100;

/// A calendar, by name and by what it is.
pub type Named = (String, Vec<u8>);

/// Makes it so that there are the calendars that the settings have, by name and by what each is, and no others. What was known of one that has another
/// address now, or is none any more, goes, and so do the conflicts that its events made. Gives those that could not be
/// forgotten: [`settle_on`] goes on with them.
///
/// # Errors
/// If it cannot be read which there are, or if those of the settings cannot be added.
pub async fn calendars_settle(db: &Db, calendars: &[Named]) -> Result<Vec<Named>, Error> {
    let mut tx = db.read().await?;
    let kept = calendars_kept(&mut tx).await?;
    drop(tx);
    let gone = kept.into_iter().filter(|kept| !calendars.contains(kept)).collect();
    let left = forget_all(db, gone).await;
    add(db, calendars).await?;
    Ok(left)
}

/// Goes on with calendars that could not be forgotten, after a pause each time, until all are; then what has the name of one now takes its place.
pub async fn settle_on(db: Db, calendars: Vec<Named>, mut left: Vec<Named>, pause: Duration) {
    let has_place_taken = |calendar: &Named| left.iter().any(|(name, _)| *name == calendar.0);
    let heirs: Vec<_> = calendars.into_iter().filter(has_place_taken).collect();
    let mut is_added = left.is_empty();
    while !left.is_empty() || !is_added {
        tokio::time::sleep(pause).await;
        left = forget_all(&db, left).await;
        is_added = match add(&db, &heirs).await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(%error, "calendars could not be added");
                false
            }
        };
    }
}

/// Adds those that are not there, but for one whose name another still has.
async fn add(db: &Db, calendars: &[Named]) -> Result<(), Error> {
    db::retrying(db, async |mut tx| {
        tx.lock(&[LOCK]).await?;
        for (name, target) in calendars {
            calendar_add(&mut tx, name, target).await?;
        }
        Ok::<_, Error>(tx.commit_unaudited().await?)
    })
    .await
}

/// Forgets calendars, each by itself. Gives those that could not be: they keep nobody from starting.
async fn forget_all(db: &Db, calendars: Vec<Named>) -> Vec<Named> {
    let mut left = Vec::new();
    for gone in calendars {
        let actor = format!("calendar:{}", gone.0);
        let trail = Trail::of(OPERATION);
        trail.tell(|told| told.who.clone_from(&actor));
        if let Err(error) = Box::pin(trail::within(Some(trail), forget(db, &gone, &actor))).await {
            tracing::warn!(calendar = gone.0, %error, "a calendar could not be forgotten");
            left.push(gone);
        }
    }
    left
}

/// Forgets a calendar, unless it is another by now.
async fn forget(db: &Db, calendar: &Named, actor: &str) -> Result<(), Error> {
    let (name, _) = calendar;
    db::retrying(db, async |mut tx| {
        // Whose time it takes is to be known for the locks, and is certain with them alone.
        let providers = busy_providers(&mut tx, name).await?;
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

/// Holds what is booked with a provider, and was in the way of something outside, against what is outside now. Whether anything came of it. What
/// cannot be opened stays as it is.
async fn look_anew(tx: &mut Tx, db: &Db, provider: &ProviderId, actor: &str) -> Result<bool, Error> {
    let (now, mut is_any_changed) = (tx.now(), false);
    let longest = TimeDelta::minutes(i64::from(*MINUTES.end()));
    let mut after = None;
    loop {
        let (last, some) =
            appointments_ahead_some(tx, db, provider, now - longest, after.as_ref(), BATCH).await?;
        for kept in some {
            if kept.appointment.resolved(Conflict::OutsideEvent).is_some() {
                is_any_changed |= heed(tx, db, provider, &kept, actor).await?;
            }
        }
        if last.is_none() {
            return Ok(is_any_changed);
        }
        after = last;
    }
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
