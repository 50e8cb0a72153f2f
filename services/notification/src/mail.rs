//! [`Mailer`]: mail over SMTP (RFC 5321, submission RFC 6409).

use std::error::Error;
use std::time::Duration;

use chrono::{DateTime, Utc};
use contracts::id::NotificationId;
use db::{SecretError, Secrets};
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::{self, AsyncSmtpTransportBuilder};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use settings::{MailSettings, MailTls, SecretRef};

use crate::domain::delivery::Outcome;
use crate::domain::notification::Content;

/// An attempt that takes longer has failed: a caller waits for it.
pub const TIMEOUT: Duration = Duration::from_secs(3);

/// Refusals of ourselves and not of the message, for an operator to mend within the day: authentication (RFC 4954 §6, RFC 5321
/// §4.2.3's 530) and a host that takes no mail at all (RFC 7504).
const REFUSALS_OF_US: [u16; 5] = [521, 530, 534, 535, 538];

/// Hands mail to the stack's server.
pub struct Mailer {
    server: AsyncSmtpTransportBuilder,
    from: Mailbox,
    login: Option<(String, SecretRef)>,
    secrets: Secrets,
}

/// The mail settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadMailSettings {
    /// The sender is not a mailbox.
    #[error("integrations.mail.from is not a mailbox: {0}")]
    From(#[from] lettre::address::AddressError),
    /// No TLS with a server of this name.
    #[error("integrations.mail.host cannot be verified with TLS: {0}")]
    Tls(#[from] smtp::Error),
    /// A user name without its password.
    #[error("integrations.mail.username needs a password")]
    NoPassword,
}

impl Mailer {
    /// For this server. Its password is read at each attempt, so that a new one is seen.
    pub fn new(settings: &MailSettings, secrets: Secrets) -> Result<Self, BadMailSettings> {
        let from: Mailbox = settings.from.parse()?;
        let tls = match settings.tls {
            // Required: a server without STARTTLS, or one in the middle that hides it, gets nothing.
            MailTls::StartTls => Tls::Required(TlsParameters::new(settings.host.clone())?),
            MailTls::Implicit => Tls::Wrapper(TlsParameters::new(settings.host.clone())?),
            MailTls::None => Tls::None,
        };
        let login = match (&settings.username, &settings.password) {
            (Some(user), Some(password)) => Some((user.clone(), password.clone())),
            (Some(_), None) => return Err(BadMailSettings::NoPassword),
            (None, _) => None,
        };
        let server = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(settings.host.clone())
            .port(settings.port)
            .tls(tls)
            .hello_name(ClientId::Domain(from.email.domain().to_owned()))
            .timeout(Some(TIMEOUT));
        Ok(Self { server, from, login, secrets })
    }

    /// One attempt.
    pub async fn send(&self, id: &NotificationId, content: &Content, asked_at: DateTime<Utc>) -> Outcome {
        let Ok(message) = self.compose(id, content, asked_at) else {
            return Outcome::Refused("It cannot be written as mail.".to_owned());
        };
        let server = match self.server() {
            Ok(server) => server,
            Err(error) => return Outcome::NotNow(format!("The mail server's password is missing: {error}.")),
        };
        match tokio::time::timeout(TIMEOUT, server.send(message)).await {
            Ok(Ok(_)) => Outcome::Sent,
            Ok(Err(error)) => not_sent(&error),
            Err(_) => Outcome::NotNow("The mail server did not answer in time.".to_owned()),
        }
    }

    fn server(&self) -> Result<AsyncSmtpTransport<Tokio1Executor>, SecretError> {
        let server = self.server.clone();
        Ok(match &self.login {
            Some((user, password)) => {
                let password = self.secrets.read_text(password)?;
                server.credentials(Credentials::new(user.clone(), password.to_string())).build()
            }
            None => server.build(),
        })
    }

    /// The message: the same at every attempt, so that whoever gets it twice can tell (RFC 5322 §3.6.4).
    fn compose(
        &self,
        id: &NotificationId,
        content: &Content,
        asked_at: DateTime<Utc>,
    ) -> Result<Message, Box<dyn Error>> {
        Ok(Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, content.to.parse()?))
            .subject(content.subject.clone().unwrap_or_default())
            .date(asked_at.into())
            .message_id(Some(format!("<{id}@{}>", self.from.email.domain())))
            // RFC 3834 §5: nobody's absence note is to answer this.
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ))
            .singlepart(SinglePart::plain(content.body.clone()))?)
    }
}

/// Why, by the server's code alone: its text may repeat the address.
fn not_sent(error: &smtp::Error) -> Outcome {
    match error.status().map(u16::from) {
        Some(code) if error.is_permanent() && !REFUSALS_OF_US.contains(&code) => {
            Outcome::Refused(format!("The mail server refused it ({code})."))
        }
        Some(code) => Outcome::NotNow(format!("The mail server does not take it now ({code}).")),
        None if is_about_tls(error) => {
            Outcome::NotNow("The mail server offers no TLS that can be trusted.".to_owned())
        }
        None if error.is_client() => {
            Outcome::NotNow("The mail server lacks what is needed, such as STARTTLS.".to_owned())
        }
        None => Outcome::NotNow("The mail server does not answer.".to_owned()),
    }
}

/// Whether the two did not agree on TLS. Over the network that is an I/O error: rustls says `InvalidData` of what it does not accept.
fn is_about_tls(error: &smtp::Error) -> bool {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    let mut io = causes.filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    error.is_tls() || io.any(|error| error.kind() == std::io::ErrorKind::InvalidData)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mailer() -> Mailer {
        let settings = MailSettings {
            host: "mail.example".to_owned(),
            port: 587,
            tls: MailTls::StartTls,
            from: "Clinic <no-reply@clinic.example>".to_owned(),
            username: None,
            password: None,
        };
        Mailer::new(&settings, Secrets::new("/nowhere")).unwrap()
    }

    fn headers(content: &Content) -> Vec<String> {
        let id = NotificationId::parse("notif_1").unwrap();
        let message = mailer().compose(&id, content, DateTime::UNIX_EPOCH).unwrap().formatted();
        let text = String::from_utf8(message).unwrap();
        let (head, _) = text.split_once("\r\n\r\n").unwrap();
        head.replace("\r\n ", " ")
            .split("\r\n")
            .map(|line| line.split(':').next().unwrap().to_owned())
            .collect()
    }

    proptest! {
        #[test]
        fn no_text_adds_a_header(subject in "\\PC{1,200}|[a-zA-Z:\\r\\n @.]{1,80}", body in "[\\PC\\r\\n:]{1,200}") {
            let content = Content { to: "a@example.com".to_owned(), subject: Some(subject), body, ..Content::default() };
            let expected = [
                "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type",
                "Content-Transfer-Encoding",
            ];
            let mut headers = headers(&content);
            let mut expected: Vec<_> = expected.map(str::to_owned).into();
            headers.sort();
            expected.sort();
            prop_assert_eq!(headers, expected);
        }
    }
}
