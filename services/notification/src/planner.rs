//! [`Planner`]: what is to be sent of an appointment, to whom and when; and what it says when its time has come.
//!
//! Where somebody is reached is asked when a notification is planned, so that it can be listed, and again when it is sent, so that an address that was changed
//! meanwhile counts. If nobody answers then, it goes where it was to go.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use contracts::ambient::Random;
use contracts::event::{OfferNotice, What};
use contracts::id::{NotificationId, PatientId};
use contracts::notifications::{Channel, NotificationType as Kind};
use contracts::templates::Language;
use db::{Db, Tx};
use http_kit::Kit;
use http_kit::kit::BuildError;
use tokio::sync::Notify;

use crate::domain::invitation::Invitation;
use crate::domain::notification::{Content, addressee};
use crate::domain::preference::Preference;
use crate::domain::text::{Facts, Template};
use crate::domain::timing;
use crate::domain::visit::{Person, Visit, told_at_once};
use crate::error::Error;
use crate::jobs::deliver::Delivery;
use crate::links::{Links, Purpose};
use crate::peers::{Answers, Peers, Reached};
use crate::store::device::devices_of;
use crate::store::offer::offers_withdraw;
use crate::store::preference::{known_address_put, preference_find};
use crate::store::scheduled::{Due, Planned, Ready, Waiting, planned_insert, scheduled_withdraw};
use crate::store::template::{KeptTemplate, template_list};
use crate::store::told::told_take;

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

/// What is known of those who are written to.
struct Known {
    answers: Answers,
    preferences: HashMap<Person, Preference>,
    /// Of each, by id, the one registered last first.
    devices: HashMap<Person, Vec<String>>,
    /// For ids of what is planned.
    random: Random,
    /// `None` where nobody would take an answer.
    links: Option<Links>,
    /// Those that somebody wrote here.
    templates: Vec<KeptTemplate>,
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
        if let What::WaitlistOffered(offer) = what
            && !db::erasure_is_requested(tx, offer.patient_id.as_str()).await?
        {
            return self.insert(tx, &plan.planned).await;
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
        if !told_take(tx, &self.db, &visit).await? {
            return Ok(());
        }
        if matches!(what, What::AppointmentBooked(_)) {
            offers_withdraw(tx, &self.db, &visit).await?;
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
        let known = self.known_as_far_as_possible(people.collect()).await?;
        due.iter().map(|due| known.ready(due)).collect()
    }

    async fn known(&self, people: HashSet<Person>) -> Result<Known, Error> {
        let mut known = self.known_as_far_as_possible(people).await?;
        let failed =
            known.answers.iter().find(|(_, answer)| answer.is_err()).map(|(person, _)| person.clone());
        match failed.and_then(|person| known.answers.remove(&person)) {
            Some(Err(error)) => Err(error.into()),
            _ => Ok(known),
        }
    }

    async fn known_as_far_as_possible(&self, people: HashSet<Person>) -> Result<Known, Error> {
        let mut tx = self.db.read().await?;
        let (mut preferences, mut devices) = (HashMap::new(), HashMap::new());
        for person in &people {
            if let Some((_, preference)) = preference_find(&mut tx, &self.db, person).await? {
                preferences.insert(person.clone(), preference);
            }
            devices.insert(person.clone(), devices_of(&mut tx, person).await?);
        }
        let templates = template_list(&mut tx, &self.db).await?;
        drop(tx);
        let links = self.peers.appointments.is_some().then(|| self.delivery.links().clone());
        let (answers, random) = (self.peers.reached_all(people).await, self.db.random().clone());
        Ok(Known { answers, preferences, devices, random, links, templates })
    }
}

impl Known {
    fn preference(&self, person: &Person) -> Preference {
        self.preferences.get(person).cloned().unwrap_or_default()
    }

    fn reached(&self, person: &Person) -> Option<&Reached> {
        self.answers.get(person)?.as_ref().ok()?.as_ref()
    }

    /// Where it goes: by the first channel that they wish such by, and have an address for; a push message to each of their devices.
    fn way(&self, kind: Kind, person: &Person) -> Option<(Channel, String, Vec<String>)> {
        let reached = self.reached(person)?;
        let devices = self.devices.get(person).map(Vec::as_slice).unwrap_or_default();
        self.preference(person).channels(kind).find_map(|channel| match (channel, devices) {
            (Channel::Push, [first, further @ ..]) => Some((channel, first.clone(), further.to_vec())),
            _ => reached.address(channel).map(|address| (channel, address.to_owned(), Vec::new())),
        })
    }

    fn content(
        &self,
        kind: Kind,
        person: &Person,
        visit: &Visit,
        (channel, to, id): (Channel, String, &NotificationId),
    ) -> Result<Option<Content>, Error> {
        let language: Language = self.preference(person).language();
        let provider = Person::Provider(visit.provider.clone());
        let facts = Facts {
            starts_at: visit.starts_at,
            place: visit.place(),
            // Who they are themselves, providers know.
            provider: match person {
                Person::Patient(_) => self.reached(&provider).and_then(|reached| reached.name.clone()),
                Person::Provider(_) => None,
            },
            minutes: visit.minutes,
            until: visit.held_until,
            links: self.links_of(kind, person, channel, id),
        };
        let Some(built_in) = Template::built_in(kind, language) else { return Ok(None) };
        let kept = self.templates.iter().find(|kept| (kept.kind, kept.language) == (kind, language));
        // One that was good when it was written may get too long with a long name.
        let said = kept.and_then(|kept| kept.template.render(language, &facts).ok());
        let said = match said {
            Some(said) => said,
            None => built_in.render(language, &facts).map_err(|error| Error::Template(error.to_string()))?,
        };
        let invitation =
            Invitation::of(kind, visit, language).filter(|_| !self.shares_a_mailbox(person, visit));
        let (subject, wisher) = (Some(said.subject), Some(person.clone()));
        Ok(Some(Content { to, subject, body: said.text, critical: false, wisher, invitation }))
    }

    /// Whether somebody is a provider with whom it no longer is, and the one with whom it is now has the same mailbox: a practice's. Its calendar keeps the
    /// appointment, and is told by what goes to the other.
    fn shares_a_mailbox(&self, person: &Person, visit: &Visit) -> bool {
        let provider = Person::Provider(visit.provider.clone());
        let mailbox = |person| self.reached(person)?.address(Channel::Email).map(addressee);
        let is_former = matches!(person, Person::Provider(_)) && *person != provider;
        is_former && mailbox(person).is_some_and(|own| mailbox(&provider) == Some(own))
    }

    /// By which a patient answers a reminder. On a device's screen there is no room for them.
    fn links_of(
        &self,
        kind: Kind,
        person: &Person,
        channel: Channel,
        id: &NotificationId,
    ) -> Option<[String; 2]> {
        let is_asked = kind == Kind::Reminder && person.patient().is_some() && channel != Channel::Push;
        let links = self.links.as_ref().filter(|_| is_asked)?;
        Some([links.unsigned(Purpose::Confirm, id)?, links.unsigned(Purpose::Cancel, id)?])
    }

    fn planned(
        &self,
        kind: Kind,
        person: &Person,
        visit: &Visit,
        lead_minutes: u32,
        (slot, now): (timing::Slot, DateTime<Utc>),
    ) -> Result<Vec<Planned>, Error> {
        let Some((channel, to, further)) = self.way(kind, person) else { return Ok(Vec::new()) };
        let id = NotificationId::generate(&self.random);
        let Some(content) = self.content(kind, person, visit, (channel, to, &id))? else {
            return Ok(Vec::new());
        };
        let waiting =
            Waiting { content: of_channel(channel, content), person: person.clone(), visit: visit.clone() };
        let told_once = visit.told_once(kind, person, lead_minutes);
        let first = Planned { id: Some(id), kind, told_once, channel, slot, waiting };
        // Of what waits, the devices are counted when its time has come.
        let further = if slot.send_at > now { Vec::new() } else { further };
        Ok(first.with_copies(further))
    }

    fn reminders(&self, person: &Person, visit: &Visit, now: DateTime<Utc>) -> Result<Vec<Planned>, Error> {
        let wishes = self.preference(person);
        if !visit.stands {
            return Ok(Vec::new());
        }
        let slots =
            timing::reminders(visit.starts_at, wishes.leads_minutes(), wishes.quiet(visit.place()), now);
        let mut planned = Vec::new();
        for (lead, slot) in slots {
            planned.extend(self.planned(Kind::Reminder, person, visit, lead, (slot, now))?);
        }
        Ok(planned)
    }

    fn has_device(&self, person: &Person, id: &str) -> bool {
        self.devices.get(person).is_some_and(|devices| devices.iter().any(|device| device == id))
    }

    fn ready(&self, due: &Due) -> Result<(Ready, Vec<Planned>), Error> {
        let withdrawn = |why| Ok((Ready::Withdraw(why), Vec::new()));
        let Waiting { content, person, visit } = &due.waiting;
        match self.answers.get(person) {
            Some(Ok(None)) => return withdrawn("Whom it is to is no longer known."),
            Some(Ok(Some(_))) => {}
            Some(Err(_)) | None => {
                let wishes = self.preference(person).wishes(due.channel, due.kind);
                if !wishes {
                    return withdrawn("Whom it is to does not wish it.");
                }
                let is_lost = due.channel == Channel::Push && !self.has_device(person, &content.to);
                let ready = if is_lost { Ready::Later } else { Ready::Send(due.channel, content.clone()) };
                return Ok((ready, Vec::new()));
            }
        }
        let Some((channel, to, further)) = self.way(due.kind, person) else {
            return withdrawn("Whom it is to does not wish it, or has no address.");
        };
        let said = self.content(due.kind, person, visit, (channel, to, &due.id))?;
        let said = said.unwrap_or_else(|| content.clone());
        let said = of_channel(channel, said);
        Ok((Ready::Send(channel, said.clone()), due.copies(channel, &said, further)))
    }
}

/// A text message has no subject, and what is for calendar programs goes by mail alone.
fn of_channel(channel: Channel, content: Content) -> Content {
    let subject = content.subject.filter(|_| channel != Channel::Sms);
    let invitation = content.invitation.filter(|_| channel == Channel::Email);
    Content { subject, invitation, ..content }
}
