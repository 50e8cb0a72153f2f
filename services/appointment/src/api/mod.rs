//! The handlers, a file each: authorise, load, decide, save, commit.

pub mod answer;
pub mod availability_events;
pub mod book;
pub mod calendars;
pub mod cancel;
pub mod conflicts;
pub mod events;
pub mod export;
pub mod feed_calendar;
pub mod feeds;
pub mod history;
pub mod holds;
pub mod list;
pub mod next_slots;
pub mod provider_report;
pub mod read;
pub mod referrals;
pub mod reschedule;
pub mod series;
pub mod series_change;
pub mod slots;
pub mod statistics;
pub mod update;
pub mod waitlist;
pub mod webhooks;

use std::sync::Arc;

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
use http_kit::{Caller, Kit, Phase, Reach, Retention, View, access, relay};
use settings::{AppointmentSettings, CalendarSettings, WebhookSettings};
use tokio::sync::watch;

use self::availability_events::Watchers;
use crate::domain::appointment::{Appointment, Plan};
use crate::domain::feed::time;
use crate::domain::notice;
use crate::domain::slots::{free, nearby, nearest};
use crate::domain::span::Span;
use crate::domain::visit::{Buffers, Sought};
use crate::domain::week::Schedule;
use crate::error::{Error, Taken};
use crate::jobs::review;
use crate::peers::Peers;
use crate::store::appointment::{Kept, Sealed, appointment_find};
use crate::store::feed::uid_of;
use crate::store::state::heard;
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
    /// The stack's.
    pub(crate) zone: chrono_tz::Tz,
    pub(crate) peers: Peers,
    /// Calendars outside.
    pub(crate) calendars: Arc<[CalendarSettings]>,
    /// Whether webhooks are taken, and where they may be.
    pub(crate) webhooks: Option<WebhookSettings>,
    /// For how long slots are held.
    pub(crate) holding: AppointmentSettings,
    /// For how many years appointments of erased patients are kept.
    years: u32,
    pub(crate) retention: Retention,
    /// Who is told of changes at present.
    watchers: Watchers,
    phase: watch::Receiver<Phase>,
}

/// A schedule that changes between being asked for and being booked by is asked for so often.
const SCHEDULE_ATTEMPTS_MAX: u32 = 4;

/// A time that is wanted.
struct Wanted<'a> {
    /// With whom.
    provider: &'a ProviderId,
    /// At which of their locations.
    location: Option<&'a str>,
    /// Whose time it takes too, if that is known.
    patient: Option<&'a PatientId>,
    /// The id of the appointment that stands already: it is not in its own way.
    id: Option<&'a AppointmentId>,
    /// How long, minutes.
    minutes: u32,
    /// What stays free around it.
    buffers: Buffers,
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
        let Appointment { patient, plan, buffers, .. } = appointment;
        Self { id, ..Self::planned((plan, *buffers), Some(patient), span, schedule) }
    }

    /// For what is planned.
    fn planned(
        (plan, buffers): (&'a Plan, Buffers),
        patient: Option<&'a PatientId>,
        span: Span,
        schedule: &'a Schedule,
    ) -> Self {
        let location = plan.location.as_deref();
        Self {
            provider: &plan.provider,
            location,
            patient,
            id: None,
            minutes: plan.minutes,
            buffers,
            span,
            schedule,
        }
    }

    /// The slots that would do as well.
    fn sought(&self) -> Sought {
        Sought { minutes: self.minutes, buffers: self.buffers, location: self.location.map(str::to_owned) }
    }
}

impl Api {
    /// From the kit.
    pub fn new(kit: &Kit) -> Result<Self, BuildError> {
        let years = kit.settings.retention.appointments;
        let retention = Retention::new(&kit.db, years);
        let (zone, peers) = (kit.settings.time_zone.parse()?, Peers::new(kit)?);
        let outside = &kit.settings.integrations;
        let (calendars, webhooks) = (outside.calendars.clone().into(), outside.webhooks.clone());
        let (watchers, phase) = (Watchers::default(), kit.phase.clone());
        let (db, holding) = (kit.db.clone(), kit.settings.appointments);
        Ok(Self { db, zone, peers, calendars, webhooks, holding, years, retention, watchers, phase })
    }

    /// The job that holds what is booked ahead against schedules that have changed.
    pub(crate) fn review(&self) -> impl Future<Output = ()> + Send + 'static {
        review::run(self.db.clone(), self.peers.clone())
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
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

    /// A provider's schedule, and how often this service had heard before that it changed.
    pub(crate) async fn schedule(&self, provider: &ProviderId) -> Result<Option<Schedule>, Error> {
        let mut tx = self.db.read().await?;
        let heard = heard(&mut tx, provider).await?;
        drop(tx);
        Ok(self.peers.schedule(provider).await?.map(|schedule| schedule.heard(heard)))
    }

    /// Judges a time once more, under its locks: nobody has told meanwhile that the provider's schedule is another ([`Error::Changed`]: then it is
    /// asked for anew). Where too little time is left around it, staff are warned, and everybody else is refused.
    async fn judge_last(&self, tx: &mut Tx, caller: &Caller, wanted: &Wanted<'_>) -> Result<bool, Error> {
        let Wanted { provider, id, buffers, span, schedule, .. } = wanted;
        check_heard(tx, provider, schedule).await?;
        let around = buffers.around(*span);
        let taken = taken(tx, provider, None, around, *id).await?;
        if !taken.into_iter().any(|taken| taken.overlaps(around)) {
            return Ok(false);
        }
        if caller.is_staff() { Ok(true) } else { Err(Error::Overlap(Box::default())) }
    }

    /// Judges a booking by whether the provider takes any, and by the clock and their schedule: outside these staff are warned, everybody else is
    /// refused.
    async fn judge(&self, caller: &Caller, wanted: &Wanted<'_>) -> Result<Vec<Warning>, Error> {
        check_bookable(caller, wanted.schedule)?;
        let warnings = notice::warnings(wanted.schedule, (wanted.span, wanted.location), self.now());
        if warnings.is_empty() || caller.is_staff() {
            return Ok(warnings);
        }
        Err(Error::OutsideHours(self.offers(wanted).await?))
    }

    /// The free slots nearest to a time that cannot be had: free for the provider and for the patient.
    async fn offers(&self, wanted: &Wanted<'_>) -> Result<Vec<Slot>, Error> {
        let Wanted { provider, patient, id, span, schedule, .. } = wanted;
        let range = nearby(span.starts_at, self.now());
        let mut tx = self.db.read().await?;
        let taken = taken(&mut tx, provider, *patient, range, *id).await?;
        Ok(nearest(free(schedule, taken, range, &wanted.sought()), span.starts_at))
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
        publish(&self.db, tx, what).await
    }
}

/// Tells the others, in the transaction of what they are told.
pub(crate) async fn publish(db: &Db, tx: &mut Tx, what: Option<What>) -> Result<(), db::Error> {
    let Some(mut what) = what else { return Ok(()) };
    if let Some(notice) = what.appointment_mut()
        && let Some(planned) = &mut notice.planned
    {
        planned.calendar_uid = Some(uid_of(db, notice.appointment_id.as_str())?);
    }
    let event = Event { id: EventId::generate(db.random()), occurred_at: tx.now(), what };
    relay::publish(tx, db, &event).await
}

/// Refuses a provider who takes no new bookings.
fn check_bookable(caller: &Caller, schedule: &Schedule) -> Result<(), Error> {
    schedule.not_bookable.map_or(Ok(()), |why| Err(Error::NotBookable(why, caller.is_staff())))
}

/// Refuses what was judged by a schedule that is another by now, as far as this service has heard: it is to be judged anew.
pub(crate) async fn check_heard(
    tx: &mut Tx,
    provider: &ProviderId,
    schedule: &Schedule,
) -> Result<(), Error> {
    if heard(tx, provider).await? == schedule.heard { Ok(()) } else { Err(Error::Changed) }
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
