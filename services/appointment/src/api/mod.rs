//! The handlers, a file each: authorise, load, decide, save, commit.

pub mod book;
pub mod cancel;
pub mod events;
pub mod export;
pub mod feed_calendar;
pub mod feeds;
pub mod history;
pub mod holds;
pub mod list;
pub mod read;
pub mod reschedule;
pub mod series;
pub mod series_change;
pub mod slots;
pub mod statistics;
pub mod update;
pub mod waitlist;

use chrono::{DateTime, Utc};
use contracts::appointments::{Busy, CancelledBy, Slot, Warning};
use contracts::consents::DataClass;
use contracts::event::{Event, What};
use contracts::field::time_text;
use contracts::id::{AppointmentId, EventId, PatientId, ProviderId};
use contracts::permission::Permission;
use contracts::trail;
use db::{Db, Tx};
use http_kit::kit::BuildError;
use http_kit::{Caller, Kit, Reach, Retention, View, access, relay};

use crate::domain::appointment::Appointment;
use crate::domain::feed::time;
use crate::domain::notice;
use crate::domain::slots::{free, nearby, nearest};
use crate::domain::span::Span;
use crate::domain::week::Schedule;
use crate::error::{Error, Taken};
use crate::peers::Peers;
use crate::store::appointment::{Kept, Sealed, appointment_find};
use crate::store::taken::taken;

/// How much of an appointment a caller is shown: whoever neither books nor treats nor is the patient, not why they come.
fn sees(caller: &Caller, appointment: &Appointment) -> View {
    caller.view(Permission::AppointmentsReason, &appointment.patient)
}

/// Whether an appointment is with the caller, who treats patients.
fn is_with(caller: &Caller, provider: &str) -> bool {
    caller.is_carer() && caller.provider_id.as_ref().is_some_and(|own| own.as_str() == provider)
}

/// Who calls an appointment off, if it is this caller: the patient, whom it is with, or somebody else here.
fn calls_off(caller: &Caller, provider: &str) -> CancelledBy {
    if caller.reach() != Reach::Everyone {
        CancelledBy::Patient
    } else if is_with(caller, provider) {
        CancelledBy::Provider
    } else {
        CancelledBy::Clinic
    }
}

/// What every handler has.
#[derive(Clone)]
pub struct Api {
    pub(crate) db: Db,
    zone: chrono_tz::Tz,
    pub(crate) peers: Peers,
    /// For how many years appointments of erased patients are kept.
    years: u32,
    pub(crate) retention: Retention,
}

/// A time that is wanted.
struct Wanted<'a> {
    /// With whom.
    provider: &'a ProviderId,
    /// Whose time it takes too, if that is known.
    patient: Option<&'a PatientId>,
    /// The id of the appointment that stands already: it is not in its own way.
    id: Option<&'a AppointmentId>,
    /// How long, minutes.
    minutes: u32,
    /// The time that it takes.
    span: Span,
    /// The provider's hours.
    schedule: &'a Schedule,
}

impl<'a> Wanted<'a> {
    /// For an appointment, as it is to be.
    fn of(
        appointment: &'a Appointment,
        id: Option<&'a AppointmentId>,
        span: Span,
        schedule: &'a Schedule,
    ) -> Self {
        let Appointment { patient, plan, .. } = appointment;
        Self { provider: &plan.provider, patient: Some(patient), id, minutes: plan.minutes, span, schedule }
    }
}

impl Api {
    /// From the kit.
    pub fn new(kit: &Kit) -> Result<Self, BuildError> {
        let years = kit.settings.retention.appointments;
        let retention = Retention::new(&kit.db, years);
        let (zone, peers) = (kit.settings.time_zone.parse()?, Peers::new(kit)?);
        Ok(Self { db: kit.db.clone(), zone, peers, years, retention })
    }

    fn now(&self) -> DateTime<Utc> {
        self.db.clock().now()
    }

    /// The appointment, if there is one and the caller may know of it: a clinician of those with them, whatever the patient shares, and of whom they
    /// treat. Whether there is none, or one of somebody else's, the database is asked the same.
    async fn visible(&self, tx: &mut Tx, caller: &Caller, id: &AppointmentId) -> Result<Kept, Error> {
        let sealed = appointment_find(tx, id).await?;
        if let Some(sealed) = &sealed {
            trail::concerns(sealed.patient().as_str());
        }
        let patient = sealed.as_ref().map_or_else(|| PatientId::trusted(String::new()), Sealed::patient);
        let shows = access::shows(tx, &self.db, caller, DataClass::Appointments, &patient).await?;
        match sealed.filter(|sealed| shows || is_with(caller, sealed.provider())) {
            Some(sealed) => sealed.open(&self.db).await?.ok_or(Error::NotFound),
            None => Err(Error::NotFound),
        }
    }

    /// Refuses whoever sees the appointment and may not change it: since it was with them once, or since they broke the glass, and do not treat
    /// the patient. What makes care or ends it would outlast the emergency.
    async fn check_may_change(&self, tx: &mut Tx, caller: &Caller, kept: &Kept) -> Result<(), Error> {
        let Appointment { patient, plan, .. } = &kept.appointment;
        let may = if is_with(caller, plan.provider.as_str()) {
            access::treats(tx, caller, patient).await?
        } else {
            access::shows_unbroken(tx, &self.db, caller, DataClass::Appointments, patient).await?
        };
        if may { Ok(()) } else { Err(Error::Forbidden(access::TREATING_NEEDED)) }
    }

    /// Whether the caller may book for this patient, if there is such a one: not if they may not see when the patient comes already, since what is
    /// refused as taken would tell them. Who sees it by breaking the glass alone is told that this is not enough.
    async fn may_book(&self, caller: &Caller, patient: &PatientId) -> Result<bool, Error> {
        let mut tx = self.db.read().await?;
        let class = DataClass::Appointments;
        if access::shows_unbroken(&mut tx, &self.db, caller, class, patient).await? {
            return Ok(true);
        }
        if access::shows(&mut tx, &self.db, caller, class, patient).await? {
            return Err(Error::Forbidden(access::TREATING_NEEDED));
        }
        Ok(false)
    }

    /// Judges a time by the clock and the provider's hours: staff are warned, everybody else is refused.
    async fn judge(&self, caller: &Caller, wanted: &Wanted<'_>) -> Result<Vec<Warning>, Error> {
        let warnings = notice::warnings(wanted.schedule, wanted.span, self.now());
        if warnings.is_empty() || caller.is_staff() {
            return Ok(warnings);
        }
        Err(Error::OutsideHours(self.offers(wanted).await?))
    }

    /// The free slots nearest to a time that cannot be had: free for the provider and for the patient.
    async fn offers(&self, wanted: &Wanted<'_>) -> Result<Vec<Slot>, Error> {
        let Wanted { provider, patient, id, minutes, span, schedule } = wanted;
        let range = nearby(span.starts_at, self.now());
        let mut tx = self.db.read().await?;
        let taken = taken(&mut tx, provider, *patient, range, *id).await?;
        Ok(nearest(free(schedule, taken, range, *minutes), span.starts_at))
    }

    /// What is in the way of a time: when it is, and no more. It may be over by now.
    async fn conflict(&self, wanted: &Wanted<'_>) -> Result<Option<Busy>, Error> {
        let Wanted { provider, patient, id, span, schedule, .. } = wanted;
        let mut tx = self.db.read().await?;
        let taken = taken(&mut tx, provider, *patient, *span, *id).await?;
        let first = taken.into_iter().filter(|busy| busy.overlaps(*span)).min_by_key(|busy| busy.starts_at);
        Ok(first.map(|busy| shown_busy(busy, schedule)))
    }

    /// A write's outcome; if the time was taken, with what is free instead.
    async fn offering<T>(&self, outcome: Result<T, Error>, wanted: &Wanted<'_>) -> Result<T, Error> {
        match outcome {
            Err(Error::Overlap(_)) => {
                let (conflict, slots) = (self.conflict(wanted).await?, self.offers(wanted).await?);
                Err(Error::Overlap(Box::new(Taken { conflict, slots })))
            }
            outcome => outcome,
        }
    }

    /// Tells the others, in the transaction of what they are told.
    pub(crate) async fn publish(&self, tx: &mut Tx, what: Option<What>) -> Result<(), db::Error> {
        let Some(what) = what else { return Ok(()) };
        let event = Event { id: EventId::generate(self.db.random()), occurred_at: tx.now(), what };
        relay::publish(tx, &self.db, &event).await
    }
}

fn shown_busy(busy: Span, schedule: &Schedule) -> Busy {
    let local = busy.starts_at.with_timezone(&schedule.zone).naive_local();
    Busy {
        date: local.date().to_string(),
        time_slot: time_text(local.time()),
        duration_minutes: u32::try_from((busy.ends_at - busy.starts_at).num_minutes()).unwrap_or_default(),
        starts_at: time(busy.starts_at),
        ends_at: time(busy.ends_at),
    }
}
