//! What was changed there is taken in: our events that were moved or deleted, and the events of others, as far as they take a provider's time.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};

use contracts::trail::{self, Trail};

use super::settle::{Mark, Time, heed, tell};
use super::turn::Report;
use calendar::read::Reading;
use chrono::{DateTime, Utc};

use super::{Error, Fault, Progress, Stop, Worker, push, reading};
use crate::api::check_heard;
use crate::domain::appointment::Appointment;
use crate::domain::conflict::Conflict;
use crate::domain::notice;
use crate::domain::span::Span;
use crate::domain::week::Schedule;
use crate::outside::{Changes, Event, Found};
use crate::store::appointment::{
    Kept, appointment_find, appointment_lock, appointment_update, provider_lock,
};
use crate::store::feed::uid_of;
use crate::store::outside::lease_hold;
use crate::store::outside_busy::{
    appointment_ids_within, appointments_within, busy_purge, busy_replace, busy_room, object_hash,
    objects_busy,
};
use crate::store::outside_event::{OutsideEvent, event_forget, event_keep, events_known};

/// Objects whose contents are looked at, at once.
const BATCH: usize = 200;
/// So many changes may come in between, and be decided on anew.
const ATTEMPTS_MAX: u32 = 5;

/// What the audit calls it.
pub(super) const OPERATION: &str = "follow_calendar";

/// What became of one of our events there.
#[derive(Clone, Copy, Debug)]
enum Became {
    /// It is at another time.
    Moved(Span),
    /// It is nothing that an appointment can be: it recurs, or has no time.
    Strange,
    /// It is gone, or called off.
    Gone,
}

/// What there is of a calendar to work with.
struct Look {
    reading: Reading,
    schedule: Option<Schedule>,
    known: HashMap<String, OutsideEvent>,
    /// How many more stretches of busy time are kept.
    room: AtomicUsize,
}

impl Worker {
    /// Takes in what has changed there.
    pub(super) async fn pull(&self, progress: &Progress) -> Result<Report, Stop> {
        let mut look = self.look().await?;
        let changes = match self.outside.changes(self.token(progress), &look.reading).await {
            Err(Fault::TokenRefused) => self.outside.changes(None, &look.reading).await?,
            changes => changes?,
        };
        let report = Report { token: changes.token.clone(), is_whole: changes.is_whole, ..Report::default() };
        if changes.is_whole {
            self.adopt(&mut look).await?;
        }
        self.take_in(&look, changes).await?;
        Ok(report)
    }

    async fn look(&self) -> Result<Look, Stop> {
        let schedule = self.schedule().await?;
        let zone = schedule.as_ref().map_or(self.api.zone, |schedule| schedule.zone);
        let reading = reading(zone, self.api.now());
        let mut tx = self.db().read().await?;
        let known = events_known(&mut tx, self.name()).await?;
        let room = busy_room(&mut tx, self.name()).await?;
        Ok(Look { reading, schedule, known, room: AtomicUsize::new(room) })
    }

    /// The hours of whose calendar it is, if it is somebody's.
    async fn schedule(&self) -> Result<Option<Schedule>, Error> {
        match &self.provider {
            Some(provider) => self.api.schedule(provider).await,
            None => Ok(None),
        }
    }

    /// What is there from before it was known here is ours, too, be it with whom it may: a calendar may have been taken out of the settings, and put
    /// back for another provider.
    async fn adopt(&self, look: &mut Look) -> Result<(), Stop> {
        let mut tx = self.db().read().await?;
        let ids = appointment_ids_within(&mut tx, push::to_come(self.api.now())).await?;
        drop(tx);
        let noted: BTreeSet<String> = look.known.values().map(|event| event.appointment_id.clone()).collect();
        for id in ids.into_iter().filter(|id| !noted.contains(id.as_str())) {
            let href = self.outside.href(&uid_of(self.db(), id.as_str())?);
            let (appointment_id, long_ago) = (id.to_string(), DateTime::UNIX_EPOCH);
            let event = OutsideEvent {
                appointment_id,
                href: href.clone(),
                etag: None,
                version: 0,
                starts_at: long_ago,
                ends_at: long_ago,
            };
            look.known.insert(href, event);
        }
        Ok(())
    }

    async fn take_in(&self, look: &Look, changes: Changes) -> Result<(), Stop> {
        let mut gone = self.gone(look, &changes).await?;
        // Whatever was told last of one is so.
        let told: BTreeMap<String, Found> =
            changes.objects.into_iter().map(|found| (found.href.clone(), found)).collect();
        let (mut wanted, mut read) = (Vec::new(), Vec::new());
        for (href, found) in told {
            match (&found.etag, look.known.get(&href)) {
                (None, _) => drop(gone.insert(href)),
                // As we wrote it.
                (etag, Some(known)) if *etag == known.etag => {}
                _ if found.event.is_some() => read.push(found),
                _ => wanted.push(href),
            }
        }
        for href in gone {
            match look.known.get(&href) {
                Some(known) => self.ours(look, known, None, Became::Gone).await?,
                None => self.theirs(look, &object_hash(self.db(), self.name(), &href)?, &[]).await?,
            }
        }
        for found in read {
            self.found(look, found).await?;
        }
        for hrefs in wanted.chunks(BATCH) {
            // What is gone meanwhile is told of next time.
            for found in self.outside.fetch(hrefs, &look.reading).await? {
                self.found(look, found).await?;
            }
        }
        self.purge(look).await
    }

    /// Where something was that is known here and is not among all that there is.
    async fn gone(&self, look: &Look, changes: &Changes) -> Result<BTreeSet<String>, Stop> {
        if !changes.is_whole {
            return Ok(BTreeSet::new());
        }
        let listed: BTreeSet<&str> = changes.objects.iter().map(|found| found.href.as_str()).collect();
        let mut tx = self.db().read().await?;
        let mut busy = objects_busy(&mut tx, self.name()).await?;
        drop(tx);
        for href in &listed {
            busy.remove(&object_hash(self.db(), self.name(), href)?);
        }
        for object in busy {
            self.theirs(look, &object, &[]).await?;
        }
        let were_there = look.known.values().filter(|event| event.etag.is_some());
        let hrefs = were_there.map(|event| event.href.clone());
        Ok(hrefs.filter(|href| !listed.contains(href.as_str())).collect())
    }

    async fn found(&self, look: &Look, found: Found) -> Result<(), Stop> {
        let (Some(etag), Some(event)) = (found.etag, found.event) else { return Ok(()) };
        let Some(known) = look.known.get(&found.href) else {
            let object = object_hash(self.db(), self.name(), &found.href)?;
            return self.theirs(look, &object, &event.busy).await;
        };
        let became = match event.single {
            Some((starts_at, ends_at)) => Became::Moved(Span { starts_at, ends_at }),
            // One that was called off says when it was to be, and keeps nobody busy.
            None if is_called_off(&event) => Became::Gone,
            None => Became::Strange,
        };
        self.ours(look, known, Some(&etag), became).await
    }

    /// One of our events, as it is there now: the appointment follows it, or it is to be written again as the appointment is.
    async fn ours(
        &self,
        look: &Look,
        known: &OutsideEvent,
        etag: Option<&str>,
        became: Became,
    ) -> Result<(), Stop> {
        let (mut attempt, mut newer) = (1, None);
        loop {
            // That there are no hours any more is something newer, too.
            let schedule = newer.as_ref().unwrap_or(&look.schedule).as_ref();
            let follow = self.follow(schedule, known, etag, became);
            match Box::pin(trail::within(Some(self.trail()), follow)).await {
                // It was changed here, too, or the provider's hours were: decided anew, on what is so now.
                Err(Stop::Ours(Error::Changed)) if attempt < ATTEMPTS_MAX => {
                    (attempt, newer) = (attempt + 1, Some(self.schedule().await?));
                }
                outcome => return outcome,
            }
        }
    }

    async fn follow(
        &self,
        schedule: Option<&Schedule>,
        known: &OutsideEvent,
        etag: Option<&str>,
        became: Became,
    ) -> Result<(), Stop> {
        let etag = etag.map(str::to_owned);
        let mut tx = self.db().read().await?;
        let sealed = appointment_find(&mut tx, &known.id()).await?;
        drop(tx);
        let kept = match sealed {
            Some(sealed) => sealed.open_among(self.db()).await?,
            None => None,
        };
        // Of one that was erased nothing is left to decide: it is taken away there. One that cannot be opened stands as it did, and is written anew, if it is not over.
        let Some(kept) = kept else {
            if matches!(became, Became::Gone) && known.ends_at <= self.api.now() {
                return self.forget(known).await;
            }
            return self.keep(&OutsideEvent { etag, version: 0, ..known.clone() }).await;
        };
        let stands = kept.appointment.span()?;
        trail::concerns(kept.appointment.patient.as_str());
        match became {
            // It is there from before that was known here: nobody can say who has changed what. It is written anew.
            Became::Moved(_) if known.etag.is_none() && known.version == 0 => {
                self.keep(&OutsideEvent { etag, ..known.clone() }).await
            }
            Became::Moved(to) if to == known.span() || to == stands => {
                let version = if to == stands { known.version } else { 0 };
                let (starts_at, ends_at) = (to.starts_at, to.ends_at);
                self.keep(&OutsideEvent { etag, version, starts_at, ends_at, ..known.clone() }).await
            }
            Became::Moved(to) => match self.moved(schedule, &kept, known, to) {
                Some(after) => {
                    match self.save(&kept, &after, known, (etag.clone(), kept.version), schedule).await {
                        Err(Stop::Ours(Error::Overlap(_) | Error::Invalid(_))) => {
                            self.put_back(&kept, known, etag, Conflict::OutsideMove).await
                        }
                        outcome => outcome,
                    }
                }
                None => self.put_back(&kept, known, etag, Conflict::OutsideMove).await,
            },
            Became::Strange => self.put_back(&kept, known, etag, Conflict::OutsideMove).await,
            Became::Gone if stands.ends_at <= self.api.now() => self.forget(known).await,
            Became::Gone => self.put_back(&kept, known, etag, Conflict::OutsideDeletion).await,
        }
    }

    /// The appointment as it was moved there; `None` if it cannot be so: it was changed here since it was written there, nobody knows the provider's
    /// place, or it is to be in the past or at no time that there is.
    fn moved(
        &self,
        schedule: Option<&Schedule>,
        kept: &Kept,
        known: &OutsideEvent,
        to: Span,
    ) -> Option<Appointment> {
        let is_ours_newer = kept.version != known.version;
        let zone = schedule.and_then(|schedule| schedule.zone_at(kept.appointment.plan.location.as_deref()));
        let zone = if self.provider.is_none() { Some(kept.appointment.zone) } else { zone };
        let zone = zone.filter(|_| !is_ours_newer && to.starts_at >= self.api.now())?;
        // What has been, or does not take place any more, is not moved.
        kept.appointment.moved(to, zone).unwrap_or_default()
    }

    /// Moves the appointment, as its provider would by PUT.
    async fn save(
        &self,
        kept: &Kept,
        after: &Appointment,
        known: &OutsideEvent,
        (etag, version): (Option<String>, i64),
        schedule: Option<&Schedule>,
    ) -> Result<(), Stop> {
        let span = after.span()?;
        let outside_hours = schedule.is_some_and(|schedule| !schedule.covers(span));
        let what = notice::event((&kept.id, kept.version + 1), Some(&kept.appointment), after, outside_hours);
        let (starts_at, ends_at) = (span.starts_at, span.ends_at);
        // The version that it has from now on is not written there yet: it is, with a sequence that has risen.
        let event = OutsideEvent { etag, version, starts_at, ends_at, ..known.clone() };
        db::retrying(self.db(), async |mut tx| {
            appointment_lock(&mut tx, after).await?;
            lease_hold(&mut tx, &self.lease).await?;
            if let (Some(provider), Some(schedule)) = (&self.provider, schedule) {
                check_heard(&mut tx, provider, schedule).await?;
            }
            appointment_update(&mut tx, self.db(), kept, after, &self.actor()).await?;
            self.api.publish(&mut tx, what.clone()).await?;
            event_keep(&mut tx, self.name(), &event).await?;
            Ok::<_, Stop>(tx.commit().await?)
        })
        .await
    }

    /// The appointment stands as it did, and is to be written there again; somebody is to look why.
    async fn put_back(
        &self,
        kept: &Kept,
        known: &OutsideEvent,
        etag: Option<String>,
        conflict: Conflict,
    ) -> Result<(), Stop> {
        let event = OutsideEvent { etag, version: 0, ..known.clone() };
        let after = kept.appointment.conflicted(conflict);
        db::retrying(self.db(), async |mut tx| {
            lease_hold(&mut tx, &self.lease).await?;
            if let Some(after) = &after {
                appointment_update(&mut tx, self.db(), kept, after, &self.actor()).await?;
                let version = (&kept.id, kept.version + 1);
                let what = notice::event(version, Some(&kept.appointment), after, false);
                self.api.publish(&mut tx, what).await?;
            }
            event_keep(&mut tx, self.name(), &event).await?;
            Ok::<_, Stop>(tx.commit().await?)
        })
        .await
    }

    async fn forget(&self, known: &OutsideEvent) -> Result<(), Stop> {
        db::retrying(self.db(), async |mut tx| {
            lease_hold(&mut tx, &self.lease).await?;
            event_forget(&mut tx, self.name(), &known.appointment_id).await?;
            Ok::<_, Stop>(tx.commit_unaudited().await?)
        })
        .await
    }

    /// An event of somebody else's: when it keeps the provider busy, nobody is booked, and what is booked already is a conflict.
    async fn theirs(
        &self,
        look: &Look,
        object: &[u8],
        busy: &[(DateTime<Utc>, DateTime<Utc>)],
    ) -> Result<(), Stop> {
        let Some(provider) = &self.provider else { return Ok(()) };
        // Whoever's profile is gone has no time that could be taken.
        let busy = if look.schedule.is_some() { busy } else { &[] };
        let room = look.room.load(Ordering::Relaxed);
        let spans = busy.iter().map(|(starts_at, ends_at)| Span { starts_at: *starts_at, ends_at: *ends_at });
        let busy: Vec<Span> = spans.collect();
        let take = db::retrying(self.db(), async |mut tx| {
            tx.lock(&[&provider_lock(provider)]).await?;
            lease_hold(&mut tx, &self.lease).await?;
            let mut mark = Mark::Same;
            let object = (self.name(), object);
            let (changed, left) = busy_replace(&mut tx, object, provider, &busy, room).await?;
            for span in &changed {
                for kept in appointments_within(&mut tx, self.db(), provider, *span).await? {
                    mark = mark.max(heed(&mut tx, self.db(), provider, &kept, &self.actor()).await?);
                }
            }
            tell(&mut tx, provider, mark, Time::of(&changed, &busy)).await?;
            // What somebody does outside is of no concern to the audit, but for what becomes of an appointment by it.
            let is_any_changed = mark > Mark::Same;
            let commit = if is_any_changed { tx.commit().await } else { tx.commit_unaudited().await };
            commit?;
            Ok::<_, Stop>(left)
        });
        let left = Box::pin(trail::within(Some(self.trail()), take)).await?;
        look.room.store(left, Ordering::Relaxed);
        Ok(())
    }

    /// What an appointment becomes by what was done outside stands in the audit.
    fn trail(&self) -> Trail {
        let trail = Trail::of(OPERATION);
        trail.tell(|told| told.who = self.actor());
        trail
    }

    async fn purge(&self, look: &Look) -> Result<(), Stop> {
        db::retrying(self.db(), async |mut tx| {
            lease_hold(&mut tx, &self.lease).await?;
            busy_purge(&mut tx, self.name(), look.reading.from).await?;
            Ok::<_, Stop>(tx.commit_unaudited().await?)
        })
        .await
    }
}

/// Whether an event that can be read does not take place.
fn is_called_off(event: &Event) -> bool {
    event.uid.is_some() && event.busy.is_empty()
}
