//! The calendars that the settings have, and no others: with one that goes, go its events and what they made of appointments.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::TimeDelta;
use contracts::id::ProviderId;
use contracts::trail::{self, Trail};
use db::{Db, Tx};

use super::pull::OPERATION;
use crate::api::publish;
use crate::domain::appointment::{Appointment, MINUTES};
use crate::domain::conflict::Conflict;
use crate::domain::history::Entry;
use crate::domain::notice;
use crate::domain::span::Span;
use crate::error::Error;
use crate::store::appointment::{Kept, appointment_write, provider_lock};
use crate::store::change::conflict_raised_by;
use crate::store::outside::{calendar_add, calendar_forget, calendars_kept};
use crate::store::outside_busy::{busy_providers, conflict_providers, is_busy_outside};
use crate::store::search::appointments_ahead_some;
use crate::store::state::{availability_changed, schedule_heard};
use crate::store::waitlist::freed_note;

/// The calendars as a whole: one process at a time settles which there are.
const LOCK: &str = "outside";
/// So many appointments are opened at once.
const BATCH: i64 = 100;

/// A calendar, by name and by what it is.
pub type Named = (String, Vec<u8>);

/// Settles which calendars there are, as [`calendars_settle`] and [`settle_on`] do, with a pause after what could not be done. Beside what is asked of the
/// service, which waits for none of it.
pub async fn settle(db: Db, calendars: Vec<Named>, pause: Duration) {
    let left = loop {
        match calendars_settle(&db, &calendars).await {
            Ok(left) => break left,
            Err(error) => tracing::warn!(%error, "which calendars there are could not be settled"),
        }
        tokio::time::sleep(pause).await;
    };
    settle_on(db, calendars, left, pause).await;
}

/// Makes it so that there are the calendars that the settings have, by name and by what each is, and no others. What was known of one that has another
/// address now, or is none any more, goes, and so do the conflicts that what stood in it made. Gives those that could not be
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
        // Whom it concerns is to be known for the locks, and is certain with them alone.
        let concerned = providers(&mut tx, name).await?;
        let locks: Vec<_> = concerned.iter().map(provider_lock).collect();
        let locks = locks.iter().map(String::as_str).chain([LOCK]);
        tx.lock(&locks.collect::<Vec<_>>()).await?;
        if !calendars_kept(&mut tx).await?.contains(calendar) {
            return Ok(());
        }
        if providers(&mut tx, name).await? != concerned {
            return Err(Error::Db(db::Error::LostRace));
        }
        let busy = busy_providers(&mut tx, name).await?;
        calendar_forget(&mut tx, name).await?;
        let mut marks = Vec::with_capacity(concerned.len());
        for provider in &concerned {
            marks.push((provider, look_anew(&mut tx, db, provider, (name, actor)).await?));
        }
        let is_any_changed = marks.iter().any(|(_, mark)| *mark > Mark::Same);
        for (provider, mark) in marks {
            let time = if busy.contains(provider) { Time::Freed } else { Time::Same };
            tell(&mut tx, provider, mark, time).await?;
        }
        let commit = if is_any_changed { tx.commit().await } else { tx.commit_unaudited().await };
        Ok::<_, Error>(commit?)
    })
    .await
}

/// Whom a calendar concerns: whose time its events take, and of whose appointments something was done in it that somebody is to look at.
async fn providers(tx: &mut Tx, calendar: &str) -> Result<BTreeSet<ProviderId>, db::Error> {
    let mut providers = BTreeSet::from_iter(busy_providers(tx, calendar).await?);
    providers.extend(conflict_providers(tx, calendar).await?);
    Ok(providers)
}

/// Tells of what has become of a provider's time, after the rows of the appointments: who waits may be offered it. Where something is to be resolved no more,
/// something else may be, that stood behind it: all that is booked ahead is looked at once more.
pub(super) async fn tell(
    tx: &mut Tx,
    provider: &ProviderId,
    mark: Mark,
    time: Time,
) -> Result<(), db::Error> {
    if time == Time::Freed {
        freed_note(tx, provider).await?;
    }
    match (mark, time) {
        (Mark::Ended, _) => schedule_heard(tx, provider).await,
        (_, Time::Same) => Ok(()),
        _ => availability_changed(tx, provider).await,
    }
}

/// Holds what is booked with a provider, and was in the way of something outside, against what is outside now that a calendar is gone, and ends what was
/// to be resolved of what was done in it. What came of it. What cannot be opened stays as it is.
async fn look_anew(
    tx: &mut Tx,
    db: &Db,
    provider: &ProviderId,
    (calendar, actor): (&str, &str),
) -> Result<Mark, Error> {
    let (now, mut mark) = (tx.now(), Mark::Same);
    let longest = TimeDelta::minutes(i64::from(*MINUTES.end()));
    let mut after = None;
    loop {
        let (last, some) =
            appointments_ahead_some(tx, db, provider, now - longest, after.as_ref(), BATCH).await?;
        for kept in some {
            let Some(without) = without(tx, db, provider, &kept, actor).await? else { continue };
            let entry = Entry::of(actor, &kept.id, Some(&kept.appointment), &without).calendar_gone(calendar);
            mark = mark.max(write(tx, db, &kept, &without, &entry).await?);
        }
        if last.is_none() {
            return Ok(mark);
        }
        after = last;
    }
}

/// What an appointment becomes as a calendar goes, if anything.
async fn without(
    tx: &mut Tx,
    db: &Db,
    provider: &ProviderId,
    kept: &Kept,
    actor: &str,
) -> Result<Option<Appointment>, Error> {
    let before = &kept.appointment;
    let ended = match before.conflict {
        // Nobody can say any more what is to become of it there; another calendar's is not theirs to end.
        Some(conflict @ (Conflict::OutsideMove | Conflict::OutsideDeletion))
            if conflict_raised_by(tx, db, kept, conflict).await?.as_deref() == Some(actor) =>
        {
            before.resolved(conflict)
        }
        _ => None,
    };
    let stands = ended.as_ref().unwrap_or(before);
    if ended.is_none() && stands.resolved(Conflict::OutsideEvent).is_none() {
        return Ok(None);
    }
    Ok(held_against(tx, provider, stands).await?.or(ended))
}

/// What an appointment becomes by what takes the provider's time outside now, if anything.
async fn held_against(
    tx: &mut Tx,
    provider: &ProviderId,
    appointment: &Appointment,
) -> Result<Option<Appointment>, Error> {
    Ok(if is_busy_outside(tx, provider, appointment.span()?).await? {
        appointment.conflicted(Conflict::OutsideEvent)
    } else {
        appointment.resolved(Conflict::OutsideEvent)
    })
}

/// What became of what is to be resolved of an appointment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mark {
    /// It is as it was.
    Same,
    /// Something else is to be resolved, or what it was kept for is gone.
    Anew,
    /// Nothing is to be resolved any more.
    Ended,
}

/// What became of a provider's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Time {
    /// It is as it was.
    Same,
    /// More of it is taken.
    Taken,
    /// Some of it is free, and more may be taken.
    Freed,
}

impl Time {
    /// By the stretches that have changed, and those that are taken now.
    pub(super) fn of(changed: &[Span], taken: &[Span]) -> Self {
        if changed.iter().any(|span| !taken.contains(span)) {
            Self::Freed
        } else if changed.is_empty() {
            Self::Same
        } else {
            Self::Taken
        }
    }
}

/// What an appointment that is not over becomes by what takes the provider's time outside now. Under the provider's lock.
pub(super) async fn heed(
    tx: &mut Tx,
    db: &Db,
    provider: &ProviderId,
    kept: &Kept,
    actor: &str,
) -> Result<Mark, Error> {
    let Some(after) = held_against(tx, provider, &kept.appointment).await? else { return Ok(Mark::Same) };
    let entry = Entry::of(actor, &kept.id, Some(&kept.appointment), &after);
    write(tx, db, kept, &after, &entry).await
}

async fn write(tx: &mut Tx, db: &Db, kept: &Kept, after: &Appointment, entry: &Entry) -> Result<Mark, Error> {
    if kept.appointment.span()?.ends_at <= tx.now() {
        return Ok(Mark::Same);
    }
    let is_ended = kept.appointment.conflict.is_some() && after.conflict.is_none();
    let mark = if is_ended { Mark::Ended } else { Mark::Anew };
    trail::concerns(after.patient.as_str());
    match appointment_write(tx, db, kept, after, entry).await {
        Err(Error::Changed) => return Err(Error::Db(db::Error::LostRace)),
        // The patient is being erased: there is nothing left to resolve.
        Err(Error::NotFound) => return Ok(mark),
        outcome => outcome?,
    }
    let version = (&kept.id, kept.version + 1);
    publish(db, tx, notice::event(version, Some(&kept.appointment), after, false)).await?;
    Ok(mark)
}
