//! [`Invitation`]: an appointment as the calendar program of whoever gets the mail takes it in (RFC 5546).
//!
//! It says when, and nothing of with whom, why or where: what a program takes in lies on servers of others, and shows on locked screens.

use calendar::{Calendar, Event, Method, Party, Status};
use chrono::{DateTime, TimeDelta, Utc};
use contracts::notifications::NotificationType as Kind;
use contracts::templates::Language;
use serde::{Deserialize, Serialize};

use super::visit::Visit;

/// What goes beside a mail's text. Who sends it, and to whom, the mail itself says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    /// What names the appointment in every calendar.
    pub uid: String,
    /// Counts its changes, from 0, as in feeds.
    pub sequence: u32,
    /// When it begins.
    pub starts_at: DateTime<Utc>,
    /// How long it takes.
    pub minutes: u32,
    /// What is to be done.
    pub asks: Asks,
    /// What is shown of it.
    pub summary: String,
}

/// What a calendar program is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Asks {
    /// To enter it, or to change it.
    Enter,
    /// The same, though something has to be resolved before it takes place.
    EnterOpen,
    /// To take it out.
    TakeOut,
}

impl Invitation {
    /// What goes beside a mail of this kind: of creation, change and cancellation. `None` of what changes nothing in a calendar, and of an appointment of
    /// which it is not known what calendars call it.
    pub fn of(kind: Kind, visit: &Visit, language: Language) -> Option<Self> {
        let asks = match (kind, visit.stands) {
            (Kind::Creation | Kind::Change, true) => Asks::Enter,
            (Kind::Creation | Kind::Change, false) => Asks::EnterOpen,
            (Kind::Cancellation, _) => Asks::TakeOut,
            _ => return None,
        };
        Some(Self {
            uid: visit.calendar_uid.clone()?,
            sequence: u32::try_from(visit.version - 1).unwrap_or_default(),
            starts_at: visit.starts_at,
            minutes: visit.minutes,
            asks,
            summary: summary(language).to_owned(),
        })
    }

    /// What it is called in the calendar, and in the media type of the mail's part: the two must be the same (RFC 6047 §2.4).
    pub const fn method(&self) -> Method {
        match self.asks {
            Asks::Enter | Asks::EnterOpen => Method::Request,
            Asks::TakeOut => Method::Cancel,
        }
    }

    /// The calendar, made then (RFC 5545 §3.8.7.2).
    pub fn calendar(&self, made_at: DateTime<Utc>, organizer: Party, attendee: Party) -> Calendar {
        let status = match self.asks {
            Asks::Enter => Status::Confirmed,
            Asks::EnterOpen => Status::Tentative,
            Asks::TakeOut => Status::Cancelled,
        };
        let event = Event {
            uid: self.uid.clone(),
            sequence: self.sequence,
            changed_at: made_at,
            starts_at: self.starts_at,
            ends_at: self.starts_at + TimeDelta::minutes(i64::from(self.minutes)),
            status,
            summary: self.summary.clone(),
            organizer: Some(organizer),
            attendee: Some(attendee),
        };
        Calendar { name: None, method: Some(self.method()), refresh_minutes: None, events: vec![event] }
    }
}

const fn summary(language: Language) -> &'static str {
    match language {
        Language::En => "Appointment",
        Language::De => "Termin",
        Language::Es => "Cita",
        Language::Fr => "Rendez-vous",
    }
}

#[cfg(test)]
mod tests {
    use super::super::visit::tests::visit;
    use super::*;

    fn of(kind: Kind, visit: &Visit) -> Option<(&'static str, u32, bool)> {
        let invitation = Invitation::of(kind, visit, Language::En)?;
        let party = Party { address: "a@example.com".to_owned(), name: None, sent_by: None };
        let text = invitation.calendar(visit.starts_at, party.clone(), party).to_text();
        assert!(text.contains(&format!("\r\nMETHOD:{}\r\n", invitation.method().as_str())));
        Some((invitation.method().as_str(), invitation.sequence, text.contains("\r\nSTATUS:CANCELLED\r\n")))
    }

    #[test]
    fn what_is_cancelled_is_never_a_request_and_what_is_not_never_a_cancellation() {
        for stands in [true, false] {
            let visit = Visit { stands, ..visit() };
            for (kind, told) in [
                (Kind::Creation, Some(("REQUEST", 2, false))),
                (Kind::Change, Some(("REQUEST", 2, false))),
                (Kind::Cancellation, Some(("CANCEL", 2, true))),
                (Kind::Reminder, None),
                (Kind::Conflict, None),
                (Kind::Message, None),
            ] {
                assert_eq!(of(kind, &visit), told, "{kind:?}");
            }
        }
    }

    #[test]
    fn what_calendars_call_by_no_name_goes_into_none() {
        assert_eq!(of(Kind::Creation, &Visit { calendar_uid: None, ..visit() }), None);
    }
}
