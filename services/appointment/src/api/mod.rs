//! The handlers, a file each: authorise, load, decide, save, commit.

pub mod book;
pub mod cancel;
pub mod events;
pub mod export;
pub mod feed_calendar;
pub mod feeds;
pub mod history;
pub mod list;
pub mod read;
pub mod referrals;
pub mod slots;
pub mod update;

use chrono::{DateTime, Utc};
use contracts::appointments::{Slot, Warning};
use contracts::consents::DataClass;
use contracts::event::{Event, What};
use contracts::id::{AppointmentId, EventId, PatientId};
use contracts::permission::Permission;
use contracts::trail;
use db::{Db, Tx};
use http_kit::kit::BuildError;
use http_kit::{Caller, Kit, Retention, View, access, relay};

use crate::domain::appointment::Appointment;
use crate::domain::notice;
use crate::domain::slots::{free, nearby, nearest};
use crate::domain::span::Span;
use crate::domain::week::Schedule;
use crate::error::Error;
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

/// What every handler has.
#[derive(Clone)]
pub struct Api {
    db: Db,
    zone: chrono_tz::Tz,
    peers: Peers,
    /// For how many years appointments of erased patients are kept.
    years: u32,
    pub(crate) retention: Retention,
}

/// A time that is wanted for an appointment.
struct Wanted<'a> {
    /// The appointment as it is to be.
    appointment: &'a Appointment,
    /// Its own id, if it stands already: it is not in its own way.
    id: Option<&'a AppointmentId>,
    /// The time that it takes.
    span: Span,
    /// The provider's hours.
    schedule: &'a Schedule,
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

    /// Judges a booking by whether the provider takes any, and by the clock and their hours: outside these staff are warned, everybody else is
    /// refused.
    async fn judge(&self, caller: &Caller, wanted: &Wanted<'_>) -> Result<Vec<Warning>, Error> {
        if let Some(why) = self.peers.not_bookable(&wanted.appointment.plan.provider).await? {
            return Err(Error::NotBookable(why, caller.is_staff()));
        }
        let warnings = notice::warnings(wanted.schedule, wanted.span, self.now());
        if warnings.is_empty() || caller.is_staff() {
            return Ok(warnings);
        }
        Err(Error::OutsideHours(self.offers(wanted).await?))
    }

    /// The free slots nearest to a time that cannot be had: free for the provider and for the patient.
    async fn offers(&self, wanted: &Wanted<'_>) -> Result<Vec<Slot>, Error> {
        let Wanted { appointment, id, span, schedule } = wanted;
        let range = nearby(span.starts_at, self.now());
        let mut tx = self.db.read().await?;
        let (provider, patient) = (&appointment.plan.provider, &appointment.patient);
        let taken = taken(&mut tx, provider, Some(patient), range, *id).await?;
        Ok(nearest(free(schedule, taken, range, appointment.plan.minutes), span.starts_at))
    }

    /// A write's outcome; if the time was taken, with what is free instead.
    async fn offering<T>(&self, outcome: Result<T, Error>, wanted: &Wanted<'_>) -> Result<T, Error> {
        match outcome {
            Err(Error::Overlap(_)) => Err(Error::Overlap(self.offers(wanted).await?)),
            outcome => outcome,
        }
    }

    /// Tells the others, in the transaction of what they are told.
    async fn publish(&self, tx: &mut Tx, what: Option<What>) -> Result<(), db::Error> {
        let Some(what) = what else { return Ok(()) };
        let event = Event { id: EventId::generate(self.db.random()), occurred_at: tx.now(), what };
        relay::publish(tx, &self.db, &event).await
    }
}
