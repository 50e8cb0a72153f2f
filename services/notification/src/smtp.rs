//! [`Server`]: connections to one mail server, kept open and used again.
//!
//! lettre speaks the protocol. Its own pool asks a server before each mail whether it is still there, and its way of sending writes a mail and its end apart: the
//! end then waits until the server's machine has acknowledged the mail, which it delays (RFC 1122 §4.2.3.2 and §4.2.3.4): some 40 ms for each mail.

use std::fmt::{self, Display};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lettre::address::Envelope;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Noop, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};

/// Kept open though nothing is sent: servers give a client five minutes between commands (RFC 5321 §4.5.3.2.7), and not all do.
const IDLE_MAX: Duration = Duration::from_mins(1);
/// One that was used so lately is there; any other is asked.
const FRESH: Duration = Duration::from_secs(2);
/// Connections that are kept open: it is not asked for more at once than are handed on.
const KEPT_MAX: usize = 16;

/// How it is spoken to.
pub(crate) enum Privacy {
    /// TLS, before anything else is said.
    Implicit(TlsParameters),
    /// TLS by STARTTLS. A server without it, or one in the middle that hides it, gets nothing.
    StartTls(TlsParameters),
    /// None.
    None,
}

/// A mail server.
pub(crate) struct Server {
    pub(crate) address: (String, u16),
    pub(crate) hello: ClientId,
    pub(crate) privacy: Privacy,
    /// For a connection to be made.
    pub(crate) timeout: Duration,
}

/// Why a mail was not taken.
#[derive(Debug)]
pub(crate) enum Fault {
    /// What was said, or that nothing was.
    Smtp(Error),
    /// The server cannot take what the mail has: an address or a text that is not ASCII.
    Lacks,
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Smtp(error)
    }
}

/// Connections to it, by one login.
#[derive(Default)]
pub(crate) struct Pool {
    idle: Mutex<Vec<(AsyncSmtpConnection, Instant)>>,
}

impl Server {
    /// Hands a mail over. Dropped while it is under way, it leaves nothing half said: its connection goes with it.
    pub(crate) async fn send(
        &self,
        pool: &Pool,
        login: Option<&Credentials>,
        (envelope, mail): (&Envelope, &str),
    ) -> Result<(), Fault> {
        let mut connection = match pool.take().await {
            Some(connection) => connection,
            None => self.connect(login).await?,
        };
        let sent = transact(&mut connection, envelope, mail).await;
        match &sent {
            Ok(()) => pool.keep(connection),
            Err(_) => connection.abort().await,
        }
        sent
    }

    async fn connect(&self, login: Option<&Credentials>) -> Result<AsyncSmtpConnection, Error> {
        let (host, port) = &self.address;
        let tls = match &self.privacy {
            Privacy::Implicit(tls) => Some(tls.clone()),
            Privacy::StartTls(_) | Privacy::None => None,
        };
        let address = (host.as_str(), *port);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(address, Some(self.timeout), &self.hello, tls, None).await?;
        if let Privacy::StartTls(tls) = &self.privacy {
            connection.starttls(tls.clone(), &self.hello).await?;
        }
        if let Some(login) = login {
            connection.auth(DEFAULT_MECHANISMS, login).await?;
        }
        Ok(connection)
    }
}

impl Pool {
    /// The one that was used last, if it is still there.
    async fn take(&self) -> Option<AsyncSmtpConnection> {
        loop {
            let (mut connection, used) = self.idle().pop()?;
            let unused = used.elapsed();
            if unused < FRESH || (unused < IDLE_MAX && connection.command(Noop).await.is_ok()) {
                return Some(connection);
            }
        }
    }

    fn keep(&self, connection: AsyncSmtpConnection) {
        let mut idle = self.idle();
        idle.retain(|(_, used)| used.elapsed() < IDLE_MAX);
        if idle.len() < KEPT_MAX {
            idle.push((connection, Instant::now()));
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(AsyncSmtpConnection, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One mail (RFC 5321 §3.3).
async fn transact(
    connection: &mut AsyncSmtpConnection,
    envelope: &Envelope,
    mail: &str,
) -> Result<(), Fault> {
    let mut parameters = Vec::new();
    let mut addresses = envelope.from().into_iter().chain(envelope.to());
    let is_other = addresses.any(|address| !AsRef::<str>::as_ref(address).is_ascii());
    for (is_needed, extension, parameter) in [
        (is_other, Extension::SmtpUtfEight, MailParameter::SmtpUtfEight),
        (!mail.is_ascii(), Extension::EightBitMime, MailParameter::Body(MailBodyParameter::EightBitMime)),
    ] {
        if is_needed && !connection.server_info().supports_feature(extension) {
            return Err(Fault::Lacks);
        }
        parameters.extend(is_needed.then_some(parameter));
    }
    connection.command(Mail::new(envelope.from().cloned(), parameters)).await?;
    for to in envelope.to() {
        connection.command(Rcpt::new(to.clone(), Vec::new())).await?;
    }
    connection.command(Data).await?;
    connection.command(Stuffed(mail)).await?;
    Ok(())
}

/// A mail and its end as they are sent: a dot that begins a line is said twice (RFC 5321 §4.5.2).
struct Stuffed<'a>(&'a str);

impl Display for Stuffed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mail = self.0.strip_suffix("\r\n").unwrap_or(self.0);
        for (at, line) in mail.split("\r\n").enumerate() {
            let end = if at == 0 { "" } else { "\r\n" };
            let dot = if line.starts_with('.') { "." } else { "" };
            write!(f, "{end}{dot}{line}")?;
        }
        f.write_str("\r\n.\r\n")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a server makes of it: the lines up to the first that is a dot, and no dot that was added; `None`: something follows.
    fn heard(sent: &str) -> Option<String> {
        let mut mail = String::new();
        let mut lines = sent.split_inclusive("\r\n");
        for line in lines.by_ref() {
            if line == ".\r\n" {
                return lines.next().is_none().then_some(mail);
            }
            mail.push_str(line.strip_prefix('.').unwrap_or(line));
        }
        None
    }

    proptest! {
        #[test]
        fn a_server_hears_the_mail_and_where_it_ends(lines in prop::collection::vec("[.a\r\n]{0,4}", 0..8)) {
            let mail: String = lines.iter().flat_map(|line| [line.as_str(), "\r\n"]).collect();
            let whole = if mail.is_empty() { "\r\n" } else { mail.as_str() };
            let sent = Stuffed(&mail).to_string();
            let heard = heard(&sent);
            prop_assert_eq!(heard.as_deref(), Some(whole));
        }
    }
}
