//! A notification, and what makes one valid.

use chrono::{DateTime, SecondsFormat, Utc};
use contracts::appointment_answers::PatientsWord;
use contracts::field::{self, BadField, Email, Phone};
use contracts::id::{AppointmentId, NotificationId, PatientId};
use contracts::notifications::{
    self as wire, Channel, EmailRequest, NotificationStatus, NotificationType, PushRequest, SmsRequest,
};
use contracts::problem::{Faults, Problem};
use serde::{Deserialize, Serialize};

use super::invitation::Invitation;
use super::visit::Person;

const SUBJECT_CHARS_MAX: usize = 998;
const MAIL_CHARS_MAX: usize = 100_000;
/// Characters of a text message, as providers take it in parts.
pub const SMS_CHARS_MAX: usize = 1_600;
const TITLE_CHARS_MAX: usize = 200;
const PUSH_CHARS_MAX: usize = 4_000;
const DEVICE_TOKEN_BYTES: std::ops::RangeInclusive<usize> = 1..=4_096;

/// What it says and to whom: what is sealed as the row's body.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// A mailbox, a phone or a device's token.
    pub to: String,
    /// One line: a mail's subject, a push notification's title.
    pub subject: Option<String>,
    /// Plain text.
    pub body: String,
    /// Whether it is sent whatever is wished, and to a suppressed address too where the law allows it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub critical: bool,
    /// Who may end such messages: whose wish it is looked at whether they are sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wisher: Option<Person>,
    /// What goes beside the text of a mail, for calendar programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invitation: Option<Invitation>,
}

/// A notification that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The way it is to go.
    pub channel: Channel,
    /// What it says and to whom.
    pub content: Content,
    /// Whom it concerns.
    pub patient: Option<PatientId>,
}

/// A notification as it stands in the capture box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// The id.
    pub id: NotificationId,
    /// Counts changes, from 1.
    pub version: i64,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// What was asked for.
    pub draft: Draft,
    /// Where it stands.
    pub status: NotificationStatus,
    /// When it was handed on.
    pub sent_at: Option<DateTime<Utc>>,
    /// When it arrived, as the provider told.
    pub delivered_at: Option<DateTime<Utc>>,
    /// Why it was not.
    pub error: Option<String>,
    /// What it is about.
    pub kind: NotificationType,
    /// The appointment that it tells of.
    pub appointment: Option<AppointmentId>,
    /// When it is to be sent, or was to be.
    pub send_at: Option<DateTime<Utc>>,
    /// The provider's own code for that.
    pub provider_code: Option<String>,
    /// When somebody complained of it.
    pub complained_at: Option<DateTime<Utc>>,
    /// How often a link in it was followed.
    pub clicks: u64,
    /// When, the first time.
    pub first_clicked_at: Option<DateTime<Utc>>,
    /// What was answered by a link in it, last.
    pub answer: Option<PatientsWord>,
}

impl Draft {
    /// Reads mail to be sent.
    pub fn email(request: &EmailRequest) -> Result<Self, Problem> {
        let subject = field::line(&request.subject, SUBJECT_CHARS_MAX).map(Some);
        let body = ("body", field::prose(&request.body, MAIL_CHARS_MAX));
        Self::parse(
            Channel::Email,
            mailbox(&request.to),
            ("subject", subject),
            body,
            (request.patient_id.as_deref(), request.critical),
        )
    }

    /// Reads a text message to be sent.
    pub fn sms(request: &SmsRequest) -> Result<Self, Problem> {
        let to = Phone::parse(&request.to).map(|phone| phone.to_string());
        let message = ("message", field::prose(&request.message, SMS_CHARS_MAX));
        Self::parse(
            Channel::Sms,
            to,
            ("subject", Ok(None)),
            message,
            (request.patient_id.as_deref(), request.critical),
        )
    }

    /// Reads a push notification to be sent.
    pub fn push(request: &PushRequest) -> Result<Self, Problem> {
        let title = field::line(&request.title, TITLE_CHARS_MAX).map(Some);
        let message = ("message", field::prose(&request.message, PUSH_CHARS_MAX));
        Self::parse(
            Channel::Push,
            device_token(&request.to),
            ("title", title),
            message,
            (request.patient_id.as_deref(), request.critical),
        )
    }

    fn parse(
        channel: Channel,
        to: Result<String, BadField>,
        subject: (&str, Result<Option<String>, BadField>),
        body: (&str, Result<String, BadField>),
        (patient, critical): (Option<&str>, bool),
    ) -> Result<Self, Problem> {
        let mut faults = Faults::new();
        let to = faults.take("to", to);
        let subject = faults.take(subject.0, subject.1);
        let body = faults.take(body.0, body.1);
        let patient = faults.take("patientId", patient.map(PatientId::parse).transpose());
        let content = to.zip(subject).zip(body);
        let content = content.map(|((to, subject), body)| Content {
            to,
            subject,
            body,
            critical,
            ..Content::default()
        });
        faults.finish(content.zip(patient).map(|(content, patient)| Self { channel, content, patient }))
    }
}

impl Notification {
    /// As the API shows it.
    pub fn view(&self) -> wire::Notification {
        let instant = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        let Draft { channel, content, patient } = &self.draft;
        wire::Notification {
            notification_id: self.id.clone(),
            channel: *channel,
            to: content.to.clone(),
            subject: content.subject.clone(),
            body: content.body.clone(),
            patient_id: patient.as_ref().map(ToString::to_string),
            status: self.status,
            error: self.error.clone(),
            provider_code: self.provider_code.clone(),
            created_at: instant(self.created_at),
            sent_at: self.sent_at.map(instant),
            kind: self.kind,
            appointment_id: self.appointment.as_ref().map(ToString::to_string),
            send_at: self.send_at.map(instant),
            critical: content.critical,
            delivered_at: self.delivered_at.map(instant),
            complained_at: self.complained_at.map(instant),
            clicks: self.clicks,
            first_clicked_at: self.first_clicked_at.map(instant),
            answer: self.answer,
        }
    }
}

/// An address as it is compared: a mailbox whatever its case, everything else exactly.
pub fn addressee(to: &str) -> String {
    Email::parse(to).map_or_else(|_| to.to_owned(), |email| email.normalised())
}

/// A mailbox that mail can be written to.
fn mailbox(text: &str) -> Result<String, BadField> {
    let email = Email::parse(text)?;
    match email.as_str().parse::<lettre::Address>() {
        Ok(_) => Ok(email.to_string()),
        Err(_) => Err(BadField::new("must be a mail address such as name@example.com")),
    }
}

pub(super) fn device_token(text: &str) -> Result<String, BadField> {
    let good = DEVICE_TOKEN_BYTES.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    good.then(|| text.to_owned()).ok_or_else(|| {
        BadField::new("must be a device's token: 1 to 4096 printable characters without blanks")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn email(to: &str, subject: &str) -> Result<Draft, Problem> {
        Draft::email(&EmailRequest {
            to: to.to_owned(),
            subject: subject.to_owned(),
            body: "This is a reminder.\nBring your card.".to_owned(),
            patient_id: None,
            kind: None,
            critical: false,
        })
    }

    fn fields(problem: &Problem) -> Vec<&str> {
        problem.errors.iter().map(|fault| fault.field.as_str()).collect()
    }

    #[test]
    fn mail_is_written_to_mailboxes() {
        for to in ["johndoe@example.com", "jürgen@exämple.de", "o'neil+x@mail.example.co.uk"] {
            assert_eq!(email(to, "Hello").unwrap().content.to, to);
        }
        for to in [
            "johndoe",
            "a@b",
            "a@example.com, b@example.com",
            "<a@example.com>",
            "a@example.com\r\nBcc: b@example.com",
        ] {
            assert_eq!(fields(&email(to, "Hello").unwrap_err()), ["to"], "{to}");
        }
    }

    #[test]
    fn a_subject_is_one_line() {
        for subject in ["", "a\r\nBcc: b@example.com", "a\nb", "a\rb", "a\0b", "a\u{85}b", &"x".repeat(999)] {
            assert_eq!(fields(&email("a@example.com", subject).unwrap_err()), ["subject"], "{subject:?}");
        }
    }

    #[test]
    fn a_device_token_is_printable() {
        let push = |to: &str| {
            Draft::push(&PushRequest {
                to: to.to_owned(),
                title: "Reminder".to_owned(),
                message: "Tomorrow".to_owned(),
                patient_id: None,
                kind: None,
                critical: false,
            })
        };
        assert!(push("deviceToken123").is_ok());
        assert!(push(&"x".repeat(4_096)).is_ok());
        for to in ["", "a b", "a\n", "ä", &"x".repeat(4_097)] {
            assert_eq!(fields(&push(to).unwrap_err()), ["to"], "{to:?}");
        }
    }

    #[test]
    fn every_fault_is_told_at_once() {
        let bad = SmsRequest {
            to: "0".to_owned(),
            message: " ".to_owned(),
            patient_id: Some("a b".to_owned()),
            kind: None,
            critical: false,
        };
        assert_eq!(fields(&Draft::sms(&bad).unwrap_err()), ["to", "message", "patientId"]);
    }

    #[test]
    fn what_the_version_before_wrote_is_read() {
        let old = r#"{"to": "a@example.com", "subject": "Hello", "body": "Hello"}"#;
        let content: Content = serde_json::from_str(old).unwrap();
        assert_eq!((content.to.as_str(), content.invitation), ("a@example.com", None));
    }

    #[test]
    fn mailboxes_are_compared_whatever_their_case_and_tokens_exactly() {
        assert_eq!(addressee("JohnDoe@Example.com"), addressee("johndoe@example.com"));
        assert_ne!(addressee("deviceToken123"), addressee("devicetoken123"));
    }
}
