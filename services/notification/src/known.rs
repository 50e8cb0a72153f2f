//! [`Known`]: what is known of those who are written to, and what follows from it: by which way, what, and when.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use contracts::ambient::Random;
use contracts::id::NotificationId;
use contracts::notifications::{Channel, NotificationType as Kind};
use contracts::templates::Language;

use crate::domain::invitation::Invitation;
use crate::domain::notification::{Content, addressee};
use crate::domain::preference::Preference;
use crate::domain::text::{Facts, Template};
use crate::domain::timing;
use crate::domain::visit::{Person, Visit};
use crate::error::Error;
use crate::jobs::deliver::Delivery;
use crate::links::{Links, Purpose};
use crate::peers::{Answers, Reached};
use crate::store::due::{Due, Ready};
use crate::store::scheduled::{Planned, Waiting};
use crate::store::template::KeptTemplate;

/// By which channel, and where.
pub(crate) type Address = (Channel, String);

/// What is known of those who are written to.
pub(crate) struct Known {
    pub(crate) answers: Answers,
    pub(crate) preferences: HashMap<Person, Preference>,
    /// Who has preferences that cannot be opened: nothing is sent to them against what they may wish.
    pub(crate) unreadable: HashSet<Person>,
    /// Of each, by id, the one registered last first.
    pub(crate) devices: HashMap<Person, Vec<String>>,
    /// Who is written to no more, of those that were asked for.
    pub(crate) suppressed: HashSet<Address>,
    /// For ids of what is planned.
    pub(crate) random: Random,
    /// What goes anywhere.
    pub(crate) delivery: Delivery,
    /// `None` where nobody would take an answer.
    pub(crate) links: Option<Links>,
    /// Those that somebody wrote here.
    pub(crate) templates: Vec<KeptTemplate>,
}

impl Known {
    pub(crate) fn preference(&self, person: &Person) -> Preference {
        self.preferences.get(person).cloned().unwrap_or_default()
    }

    pub(crate) fn reached(&self, person: &Person) -> Option<&Reached> {
        self.answers.get(person)?.as_ref().ok()?.as_ref()
    }

    /// Where it goes: by the first channel that they wish such by, that it has not gone in vain (`tried`), and that they have an address for which is still written
    /// to; a push message to each of their devices. If there is none, by the first: so it stands as what has failed.
    fn way(&self, kind: Kind, person: &Person, tried: &[Channel]) -> Option<(Channel, String, Vec<String>)> {
        let reached = self.reached(person)?;
        let devices = self.devices.get(person).map(Vec::as_slice).unwrap_or_default();
        let preference = self.preference(person);
        let mut ways = preference.channels(kind).filter_map(|channel| match (channel, devices) {
            (Channel::Push, [first, further @ ..]) => Some((channel, first.clone(), further.to_vec())),
            _ => reached.address(channel).map(|address| (channel, address.to_owned(), Vec::new())),
        });
        let first = ways.next()?;
        if !self.is_closed(first.0, &first.1, tried) {
            return Some(first);
        }
        // Not into the capture box, where nobody reads it.
        let another = ways
            .find(|(channel, to, _)| !self.is_closed(*channel, to, tried) && self.delivery.has_way(*channel));
        Some(another.unwrap_or(first))
    }

    fn is_suppressed(&self, channel: Channel, to: &str) -> bool {
        self.suppressed.contains(&(channel, to.to_owned()))
    }

    fn is_closed(&self, channel: Channel, to: &str, tried: &[Channel]) -> bool {
        tried.contains(&channel) || self.is_suppressed(channel, to)
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

    pub(crate) fn planned(
        &self,
        kind: Kind,
        person: &Person,
        visit: &Visit,
        lead_minutes: u32,
        (slot, now): (timing::Slot, DateTime<Utc>),
    ) -> Result<Vec<Planned>, Error> {
        let Some((channel, to, further)) = self.way(kind, person, &[]) else { return Ok(Vec::new()) };
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

    pub(crate) fn reminders(
        &self,
        person: &Person,
        visit: &Visit,
        now: DateTime<Utc>,
    ) -> Result<Vec<Planned>, Error> {
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

    pub(crate) fn ready(&self, due: &Due) -> Result<(Ready, Vec<Planned>), Error> {
        let withdrawn = |why| Ok((Ready::Withdraw(why), Vec::new()));
        let Waiting { content, person, visit } = &due.waiting;
        if self.unreadable.contains(person) {
            return Ok((Ready::Later, Vec::new()));
        }
        match self.answers.get(person) {
            Some(Ok(None)) => return withdrawn("Whom it is to is no longer known."),
            Some(Ok(Some(_))) => {}
            Some(Err(_)) | None => {
                let wishes = self.preference(person).wishes(due.channel, due.kind);
                if !wishes {
                    return withdrawn("Whom it is to does not wish it.");
                }
                let is_gone = due.channel == Channel::Push && !self.has_device(person, &content.to);
                let is_lost = is_gone || self.is_closed(due.channel, &content.to, &due.tried);
                let ready = if is_lost { Ready::Later } else { Ready::Send(due.channel, content.clone()) };
                return Ok((ready, Vec::new()));
            }
        }
        let Some((channel, to, further)) = self.way(due.kind, person, &due.tried) else {
            return withdrawn("Whom it is to does not wish it, or has no address.");
        };
        if self.is_closed(channel, &to, &due.tried) {
            return Ok((Ready::Fail, Vec::new()));
        }
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
