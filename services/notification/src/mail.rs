//! [`Mailer`]: mail over SMTP (RFC 5321, submission RFC 6409).

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use contracts::links::LinkToken;
use db::{SecretError, Secrets};
use http_kit::kit::BoxFuture;
use lettre::address::Envelope;
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::TlsParameters;
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, transport::smtp};
use settings::{MailReportSettings, MailSettings, MailTls, SecretRef};
use zeroize::Zeroizing;

use crate::channels::{Adapter, Outgoing};
use crate::dkim::{BadKey, Signer};
use crate::domain::delivery::{Cause, Outcome, Refusal, enhanced_code, is_no_mailbox};
use crate::domain::device::Target;
use crate::letter::Letterhead;
use crate::smtp::{Fault, Pool, Privacy, Server};

/// Refusals of ourselves and not of the message, for an operator to mend within the day: authentication (RFC 4954 §6, RFC 5321
/// §4.2.3's 530) and a host that takes no mail at all (RFC 7504).
const REFUSALS_OF_US: [u16; 5] = [521, 530, 534, 535, 538];

const SILENT: &str = "The mail server does not answer.";
const LACKS: &str = "The mail server lacks what is needed, such as STARTTLS.";

/// Hands mail to the stack's server.
pub struct Mailer {
    server: Server,
    letterhead: Letterhead,
    returns: Option<Returns>,
    signer: Option<Signer>,
    login: Option<(String, SecretRef)>,
    secrets: Secrets,
    /// With the password that it was made with.
    pool: Mutex<Option<(Zeroizing<String>, Arc<Pool>)>>,
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
    /// Nothing can be signed with the key.
    #[error("integrations.mail.dkim.privateKey {0}")]
    Dkim(#[from] BadKey),
    /// Nothing can come back to there.
    #[error("integrations.mailReports.address is not an address: {0}")]
    Returns(lettre::address::AddressError),
    /// A user name without its password.
    #[error("integrations.mail.username needs a password")]
    NoPassword,
}

impl Mailer {
    /// For this server. Its password is read at each attempt, so that a new one is seen. `organizer`: the sender of the stack's first server, by whom
    /// appointments stay organized though another server is asked in its place. `reports`: where what comes back goes, if not to the sender.
    pub fn new(
        settings: &MailSettings,
        (organizer, reports): (&str, Option<&MailReportSettings>),
        secrets: Secrets,
    ) -> Result<Self, BadMailSettings> {
        let from: Mailbox = settings.from.parse()?;
        let tls = || TlsParameters::new(settings.host.clone());
        let privacy = match settings.tls {
            MailTls::StartTls => Privacy::StartTls(tls()?),
            MailTls::Implicit => Privacy::Implicit(tls()?),
            MailTls::None => Privacy::None,
        };
        let login = match (&settings.username, &settings.password) {
            (Some(user), Some(password)) => Some((user.clone(), password.clone())),
            (Some(_), None) => return Err(BadMailSettings::NoPassword),
            (None, _) => None,
        };
        let address = (settings.host.clone(), settings.port);
        let hello = ClientId::Domain(from.email.domain().to_owned());
        let server = Server { address, hello, privacy };
        let signer = settings.dkim.as_ref().map(|dkim| Signer::new(dkim, secrets.clone())).transpose()?;
        let letterhead = Letterhead { from, organizer: organizer.parse()? };
        let returns = reports.map(Returns::new).transpose()?;
        Ok(Self { server, letterhead, returns, signer, login, secrets, pool: Mutex::default() })
    }

    async fn send(&self, message: &Outgoing) -> Outcome {
        let Ok(mail) = self.letterhead.compose(message) else {
            return Outcome::refused("It cannot be written as mail.");
        };
        let (pool, login) = match self.pool() {
            Ok(pool) => pool,
            Err(error) => {
                return Outcome::not_now(&format!("The mail server's password is missing: {error}."));
            }
        };
        let mut raw = mail.formatted();
        if let Some(signer) = &self.signer {
            match signer.signed(&raw, message.asked_at) {
                Ok(signed) => raw = signed,
                Err(error) => return Outcome::not_now(&error.to_string()),
            }
        }
        let Ok(raw) = String::from_utf8(raw) else {
            return Outcome::refused("It cannot be written as mail.");
        };
        let envelope = match &self.returns {
            Some(returns) => returns.envelope(mail.envelope(), message.name.as_ref()),
            None => mail.envelope().clone(),
        };
        match self.server.send(&pool, login.as_ref(), (&envelope, &raw)).await {
            Ok(()) => Outcome::Sent(None),
            Err(Fault::Smtp(error)) => not_sent(&error),
            Err(Fault::NotTaken) => Outcome::not_now(SILENT),
            Err(Fault::Unsure) => Outcome::unsure(SILENT),
            Err(Fault::Lacks) => Outcome::not_now(LACKS),
        }
    }

    /// The connections that there are, unless the password is another by now; and the login.
    fn pool(&self) -> Result<(Arc<Pool>, Option<Credentials>), SecretError> {
        let password = match &self.login {
            Some((_, password)) => self.secrets.read_text(password)?,
            None => Zeroizing::default(),
        };
        let login = self.login.as_ref().map(|(user, _)| Credentials::new(user.clone(), password.to_string()));
        let mut kept = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((with, pool)) = &*kept
            && *with == password
        {
            return Ok((Arc::clone(pool), login));
        }
        let pool = Arc::default();
        *kept = Some((password, Arc::clone(&pool)));
        Ok((pool, login))
    }
}

/// Where mail goes that comes back.
struct Returns {
    address: Address,
    is_subaddressed: bool,
}

impl Returns {
    fn new(settings: &MailReportSettings) -> Result<Self, BadMailSettings> {
        let address = settings.address.parse().map_err(BadMailSettings::Returns)?;
        Ok(Self { address, is_subaddressed: settings.subaddresses })
    }

    /// The envelope with where it comes back to: to an address that names the mail, if there are such.
    fn envelope(&self, envelope: &Envelope, name: Option<&LinkToken>) -> Envelope {
        let named = name.filter(|_| self.is_subaddressed);
        let named = named.and_then(|name| {
            let user = format!("{}+{name}", self.address.user());
            Address::new(user, self.address.domain()).ok()
        });
        let sender = named.unwrap_or_else(|| self.address.clone());
        Envelope::new(Some(sender), envelope.to().to_vec()).unwrap_or_else(|_| envelope.clone())
    }
}

impl Adapter for Mailer {
    fn takes(&self, target: &Target) -> bool {
        matches!(target, Target::Address(_))
    }

    fn hand_over<'a>(&'a self, message: &'a Outgoing) -> BoxFuture<'a, Outcome> {
        Box::pin(self.send(message))
    }
}

/// Why, by the server's code alone: its text may repeat the address.
fn not_sent(error: &smtp::Error) -> Outcome {
    match error.status().map(u16::from) {
        Some(code) if error.is_permanent() && !REFUSALS_OF_US.contains(&code) => {
            let enhanced = error.source().and_then(|said| enhanced_code(&said.to_string()));
            let is_no_mailbox = enhanced.as_deref().is_some_and(is_no_mailbox);
            Outcome::Refused(Refusal {
                why: format!("The mail server refused it ({code})."),
                code: Some(enhanced.unwrap_or_else(|| code.to_string())),
                cause: is_no_mailbox.then_some(Cause::Bounce),
            })
        }
        Some(code) => Outcome::not_now(&format!("The mail server does not take it now ({code}).")),
        None if is_about_tls(error) => Outcome::not_now("The mail server offers no TLS that can be trusted."),
        None if error.is_client() => Outcome::not_now(LACKS),
        // There is no connection: nothing was handed over.
        None => Outcome::not_now(SILENT),
    }
}

/// Whether the two did not agree on TLS. Over the network that is an I/O error: rustls says `InvalidData` of what it does not accept.
fn is_about_tls(error: &smtp::Error) -> bool {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    let mut io = causes.filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    error.is_tls() || io.any(|error| error.kind() == std::io::ErrorKind::InvalidData)
}
