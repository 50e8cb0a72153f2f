//! [`Planner`]: what is to be sent of an appointment, to whom and when; and what it says when its time has come.
//!
//! Where somebody is reached is asked when a notification is planned, so that it can be listed, and again when it is sent, so that an address that was changed
//! meanwhile counts. If nobody answers then, it goes where it was to go.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use contracts::event::{OfferNotice, What};
use contracts::id::{NotificationId, PatientId};
use contracts::notifications::{Channel, NotificationType as Kind};
use db::{Db, Tx};
use http_kit::Kit;
use http_kit::kit::BuildError;
use tokio::sync::Notify;

use crate::domain::preference::Preference;
use crate::domain::timing;
use crate::domain::visit::{Person, Visit, told_at_once};
use crate::error::Error;
use crate::jobs::deliver::Delivery;
use crate::known::{Address, Known};
use crate::peers::{Answers, Peers, Reached};
use crate::store::device::devices_of;
use crate::store::due::{Due, Ready};
use crate::store::offer::offers_withdraw;
use crate::store::preference::{known_address_put, preferences_of};
use crate::store::scheduled::{Planned, planned_insert, scheduled_withdraw};
use crate::store::suppression::suppressed_of;
use crate::store::template::template_list;
use crate::store::told::{Noted, told_take};

/// Plans, and makes ready.
#[derive(Clone)]
pub struct Planner {
    pub(crate) db: Db,
    pub(crate) delivery: Delivery,
    pub(crate) peers: Peers,
    due: Arc<Notify>,
}

/// What is to be done of what happened to an appointment.
#[derive(Default)]
pub struct Plan {
    planned: Vec<Planned>,
    /// A patient who has preferences, and where they are reached now.
    reached: Option<(PatientId, Vec<String>)>,
}

impl Plan {
    /// Whether nothing is to be sent.
    pub fn is_empty(&self) -> bool {
        self.planned.is_empty()
    }
}

impl Planner {
    /// From the kit.
    pub fn new(kit: &Kit, delivery: Delivery) -> Result<Self, BuildError> {
        Ok(Self { db: kit.db.clone(), delivery, peers: Peers::new(kit)?, due: Arc::default() })
    }

    /// Lets both jobs look at once.
    pub fn wake(&self) {
        self.due.notify_one();
        self.delivery.wake();
    }

    /// Until something is planned anew.
    pub async fn woken(&self) {
        self.due.notified().await;
    }

    /// What is to be sent of what happened to an appointment. While it is not known where somebody is reached, the event is to come again.
    pub async fn plan(&self, what: &What) -> Result<Plan, Error> {
        if let What::WaitlistOffered(notice) = what {
            return self.plan_offer(notice).await;
        }
        let now = self.db.clock().now();
        let visit = what.appointment().and_then(Visit::of).filter(|visit| now < visit.starts_at);
        let Some(visit) = visit else { return Ok(Plan::default()) };
        let at_once = told_at_once(what, &visit);
        if at_once.is_empty() && !visit.stands {
            return Ok(Plan::default());
        }
        let told = at_once.iter().map(|(_, person)| person.clone());
        let known = self.known(told.chain(visit.people()).collect()).await?;
        let mut planned = Vec::new();
        for (kind, person) in &at_once {
            let quiet = known.preference(person).quiet(visit.place());
            let Some(slot) = timing::at_once(visit.starts_at, quiet, now) else { continue };
            planned.extend(known.planned(*kind, person, &visit, 0, (slot, now))?);
        }
        for person in visit.people() {
            planned.extend(known.reminders(&person, &visit, now)?);
        }
        let patient = Person::Patient(visit.patient.clone());
        let has_wishes = known.preferences.contains_key(&patient);
        let reached = known.reached(&patient).filter(|_| has_wishes).map(Reached::addresses);
        Ok(Plan { planned, reached: reached.map(|reached| (visit.patient, reached)) })
    }

    /// What is to be written to whom something is offered: the patient alone, out of their quiet hours, and not after its end.
    async fn plan_offer(&self, notice: &OfferNotice) -> Result<Plan, Error> {
        let now = self.db.clock().now();
        let Some(visit) = Visit::offered(notice) else { return Ok(Plan::default()) };
        let Some(until) = visit.held_until.filter(|until| now < *until) else { return Ok(Plan::default()) };
        let known = self.known(visit.people().into()).await?;
        let patient = Person::Patient(visit.patient.clone());
        let slot = timing::offer(until, known.preference(&patient).quiet(visit.place()), now);
        let planned = known.planned(Kind::Waitlist, &patient, &visit, 0, (slot, now))?;
        Ok(Plan { planned, reached: None })
    }

    /// The reminders of somebody's appointments, as they wish from now on.
    pub async fn plan_anew(
        &self,
        person: &Person,
        preference: &Preference,
        visits: &[Visit],
    ) -> Result<Vec<Planned>, Error> {
        let providers = visits.iter().map(|visit| Person::Provider(visit.provider.clone()));
        let mut known = self.known(providers.chain([person.clone()]).collect()).await?;
        known.preferences.insert(person.clone(), preference.clone());
        let now = self.db.clock().now();
        let mut planned = Vec::new();
        for visit in visits {
            planned.extend(known.reminders(person, visit, now)?);
        }
        Ok(planned)
    }

    /// Takes in what happened to an appointment, in the transaction that accepts the event, under the patient's lock: what was to be told of it before is
    /// withdrawn, and what is to be told now is planned.
    pub async fn take_in(&self, tx: &mut Tx, what: &What, plan: &Plan) -> Result<(), Error> {
        if let What::WaitlistOffered(offer) | What::WaitlistOfferEnded(offer) = what {
            return self.take_in_offer(tx, offer, matches!(what, What::WaitlistOffered(_)), plan).await;
        }
        let Some(notice) = what.appointment() else { return Ok(()) };
        let is_about_status = matches!(what, What::AppointmentChanged(_));
        let Some(visit) = Visit::of(notice) else {
            // From a version that does not say when: nobody is to be reminded of what may be wrong.
            if !matches!(what, What::AppointmentBooked(_)) {
                scheduled_withdraw(tx, &notice.appointment_id).await?;
            }
            return Ok(());
        };
        if !told_take(tx, &self.db, Noted::Appointment, &visit).await? {
            return Ok(());
        }
        if matches!(what, What::AppointmentBooked(_)) {
            offers_withdraw(tx, &self.db, (&visit, None), "The offer was taken.").await?;
        }
        // Confirmed, it takes place as was told.
        if !(is_about_status && visit.stands) {
            scheduled_withdraw(tx, &visit.id).await?;
        }
        if let Some((patient, addresses)) = &plan.reached {
            known_address_put(tx, &self.db, patient, addresses).await?;
        }
        self.insert(tx, &plan.planned).await
    }

    /// The same of an offer: what is told of it is told while it is open. That it is not may be heard of first.
    async fn take_in_offer(
        &self,
        tx: &mut Tx,
        offer: &OfferNotice,
        is_open: bool,
        plan: &Plan,
    ) -> Result<(), Error> {
        if db::erasure_is_requested(tx, offer.patient_id.as_str()).await? {
            return Ok(());
        }
        let visit = Visit::offered(offer);
        let is_news = match &visit {
            // From a version that does not count them.
            _ if offer.version == 0 => true,
            Some(visit) => told_take(tx, &self.db, Noted::Offer, &visit.at_version(offer.version)).await?,
            None => true,
        };
        match visit {
            Some(visit) if !is_open => {
                let of = (&visit, Some(&visit.id));
                Ok(offers_withdraw(tx, &self.db, of, "The offer is not open any more.").await?)
            }
            _ if is_open && is_news => self.insert(tx, &plan.planned).await,
            _ => Ok(()),
        }
    }

    /// Plans all of these.
    pub async fn insert(&self, tx: &mut Tx, planned: &[Planned]) -> Result<(), Error> {
        for planned in planned {
            let new = || NotificationId::generate(self.db.random());
            let id = planned.id.clone().unwrap_or_else(new);
            planned_insert(tx, &self.db, &id, planned, self.delivery.has_way(planned.channel)).await?;
        }
        Ok(())
    }

    /// What those say whose time has come, and where they go now: each to where it was to go, and to the person's further devices.
    pub async fn ready(&self, due: &[Due]) -> Result<Vec<(Ready, Vec<Planned>)>, Error> {
        let people = due.iter().flat_map(|due| {
            let provider = Person::Provider(due.waiting.visit.provider.clone());
            [due.waiting.person.clone(), provider]
        });
        let planned = due.iter().map(|due| (due.channel, due.waiting.content.to.clone())).collect();
        let known = self.known_as_far_as_possible(people.collect(), planned).await?;
        due.iter().map(|due| known.ready(due)).collect()
    }

    async fn known(&self, people: HashSet<Person>) -> Result<Known, Error> {
        let mut known = self.known_as_far_as_possible(people, HashSet::new()).await?;
        if !known.unreadable.is_empty() {
            return Err(db::Error::from(db::SealError::Refused).into());
        }
        let failed =
            known.answers.iter().find(|(_, answer)| answer.is_err()).map(|(person, _)| person.clone());
        match failed.and_then(|person| known.answers.remove(&person)) {
            Some(Err(error)) => Err(error.into()),
            _ => Ok(known),
        }
    }

    async fn known_as_far_as_possible(
        &self,
        people: HashSet<Person>,
        planned: HashSet<Address>,
    ) -> Result<Known, Error> {
        let mut tx = self.db.read().await?;
        let (mut preferences, mut unreadable) = (HashMap::new(), HashSet::new());
        for (person, preference) in preferences_of(&mut tx, &self.db, &people).await? {
            match preference {
                Some(preference) => drop(preferences.insert(person, preference)),
                None => drop(unreadable.insert(person)),
            }
        }
        let devices = devices_of(&mut tx, &people).await?;
        let templates = template_list(&mut tx, &self.db).await?;
        drop(tx);
        let links = self.peers.appointments.is_some().then(|| self.delivery.links().clone());
        let (answers, random) = (self.peers.reached_all(people).await, self.db.random().clone());
        let suppressed = self.suppressed(&answers, planned).await?;
        let delivery = self.delivery.clone();
        Ok(Known {
            answers,
            preferences,
            unreadable,
            devices,
            suppressed,
            random,
            delivery,
            links,
            templates,
        })
    }

    /// Of the addresses of these people, and of these further ones, those that are written to no more.
    async fn suppressed(
        &self,
        answers: &Answers,
        mut asked: HashSet<Address>,
    ) -> Result<HashSet<Address>, db::Error> {
        for reached in answers.values().filter_map(|answer| answer.as_ref().ok()?.as_ref()) {
            for channel in [Channel::Email, Channel::Sms] {
                asked.extend(reached.address(channel).map(|address| (channel, address.to_owned())));
            }
        }
        let mut tx = self.db.read().await?;
        suppressed_of(&mut tx, &self.db, &asked).await
    }
}
