//! [`Letterhead`]: a notification as mail (RFC 5322), with what is for calendar programs beside its text (RFC 6047).

use std::error::Error;

use calendar::Party;
use lettre::Message;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};

use crate::channels::Outgoing;
use crate::domain::invitation::Invitation;

/// How mail says where it is ended, and that one click does it (RFC 2369 §3.2, RFC 8058 §3.1).
const UNSUBSCRIBE: [(&str, &str); 2] =
    [("List-Unsubscribe", "<{}>"), ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click")];

/// By whom mail is written.
pub(crate) struct Letterhead {
    /// The sender.
    pub(crate) from: Mailbox,
    /// Who organizes appointments, whichever server takes the mail: a calendar program takes a change from nobody else.
    pub(crate) organizer: Mailbox,
}

impl Letterhead {
    /// The message: the same at every attempt, so that whoever gets it twice can tell (RFC 5322 §3.6.4).
    pub(crate) fn compose(&self, message: &Outgoing) -> Result<Message, Box<dyn Error>> {
        let Outgoing { id, name, content, asked_at, .. } = message;
        let called = name.as_ref().map_or_else(|| id.to_string(), ToString::to_string);
        let mut mail = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, content.to.parse()?))
            .subject(content.subject.clone().unwrap_or_default())
            .date((*asked_at).into())
            .message_id(Some(format!("<{called}@{}>", self.from.email.domain())))
            // RFC 3834 §5: nobody's absence note is to answer this.
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ));
        if let Some(url) = &message.unsubscribe {
            for (name, value) in UNSUBSCRIBE {
                let name = HeaderName::new_from_ascii_str(name);
                mail = mail.raw_header(HeaderValue::new(name, value.replace("{}", url)));
            }
        }
        let text = SinglePart::plain(content.body.clone());
        let Some(invitation) = &content.invitation else { return Ok(mail.singlepart(text)?) };
        // The last of the alternatives is the one that a program prefers if it knows it (RFC 2046 §5.1.4). No id is in another mail's text, which was
        // there before it.
        let both = MultiPart::alternative().boundary(format!("=_{id}"));
        Ok(mail.multipart(both.singlepart(text).singlepart(self.for_calendars(invitation, message)?))?)
    }

    fn for_calendars(
        &self,
        invitation: &Invitation,
        message: &Outgoing,
    ) -> Result<SinglePart, Box<dyn Error>> {
        let sent_by = (self.from.email != self.organizer.email).then(|| self.from.email.to_string());
        let address = self.organizer.email.to_string();
        let organizer = Party { address, name: self.organizer.name.clone(), sent_by };
        let attendee = Party { address: message.content.to.clone(), name: None, sent_by: None };
        let calendar = invitation.calendar(message.asked_at, organizer, attendee);
        let method = invitation.method().as_str();
        let media_type = ContentType::parse(&format!("{}; method={method}", calendar::MEDIA_TYPE))?;
        Ok(SinglePart::builder().header(media_type).body(calendar.to_text()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;
    use contracts::id::NotificationId;
    use proptest::prelude::*;

    use crate::domain::device::Target;
    use crate::domain::invitation::Asks;
    use crate::domain::notification::Content;

    fn written(content: Content) -> String {
        let mailbox = |text: &str| text.parse::<Mailbox>().unwrap();
        let letterhead = Letterhead {
            from: mailbox("Clinic <no-reply@clinic.example>"),
            organizer: mailbox("Clinic <no-reply@clinic.example>"),
        };
        let target = Target::Address(content.to.clone());
        let id = NotificationId::parse("notif_1").unwrap();
        let (name, asked_at) = (None, DateTime::UNIX_EPOCH);
        let message = Outgoing { id, turn: 0, name, asked_at, content, target, unsubscribe: None };
        String::from_utf8(letterhead.compose(&message).unwrap().formatted()).unwrap()
    }

    fn headers(content: Content) -> Vec<String> {
        let text = written(content);
        let (head, _) = text.split_once("\r\n\r\n").unwrap();
        head.replace("\r\n ", " ")
            .split("\r\n")
            .map(|line| line.split(':').next().unwrap().to_owned())
            .collect()
    }

    fn invitation() -> Invitation {
        Invitation {
            uid: "0b1d0c2e-6f3a-8b1c-9d2e-3f4a5b6c7d8e".to_owned(),
            sequence: 2,
            starts_at: DateTime::UNIX_EPOCH,
            minutes: 30,
            asks: Asks::Enter,
            summary: "Rendez-vous".to_owned(),
        }
    }

    #[test]
    fn a_mail_is_the_same_at_every_attempt() {
        let content = || Content {
            to: "a@example.com".to_owned(),
            invitation: Some(invitation()),
            ..Content::default()
        };
        assert_eq!(written(content()), written(content()));
    }

    proptest! {
        #[test]
        fn no_text_adds_a_header(subject in "\\PC{1,200}|[a-zA-Z:\\r\\n @.]{1,80}", body in "[\\PC\\r\\n:]{1,200}") {
            let content = Content { to: "a@example.com".to_owned(), subject: Some(subject), body, ..Content::default() };
            let expected = [
                "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type",
                "Content-Transfer-Encoding",
            ];
            let mut headers = headers(content);
            let mut expected: Vec<_> = expected.map(str::to_owned).into();
            headers.sort();
            expected.sort();
            prop_assert_eq!(headers, expected);
        }
    }
}
