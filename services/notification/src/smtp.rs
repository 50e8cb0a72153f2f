//! [`Server`]: connections to one mail server, kept open and used again.
//!
//! lettre speaks the protocol. Its own pool asks a server before each mail whether it is still there, and its way of sending writes a mail and its end apart: the
//! end then waits until the server's machine has acknowledged the mail, which it delays (RFC 1122 §4.2.3.2 and §4.2.3.4): some 40 ms for each mail.

use std::fmt::{self, Display};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use lettre::address::Envelope;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Noop, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use tokio::time::{Instant, sleep_until, timeout};

use crate::channels::TIMEOUT;

/// Kept though nothing is sent: servers give a client five minutes between commands (RFC 5321 §4.5.3.2.7), and not all do.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// What is no mail takes no longer: a look whether a connection is still there, and a goodbye.
const ASIDE_MAX: Duration = Duration::from_millis(300);
/// One that was used so lately is there, most likely; any other is asked.
const FRESH: Duration = Duration::from_secs(2);
/// Connections that are kept open: it is not asked for more at once than are handed on.
const KEPT_MAX: usize = 16;

/// The answer to DATA (RFC 5321 §4.2.2).
const GO_ON: u16 = 354;

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
}

/// Why a mail was not taken, or may not have been.
#[derive(Debug)]
pub(crate) enum Fault {
    /// What was said instead, or why there is no connection.
    Smtp(Error),
    /// The server said nothing, or nothing that makes sense, before the mail itself was sent: it was not taken.
    NotTaken,
    /// The same once the mail was sent: nobody knows.
    Unsure,
    /// The server cannot take what the mail has: an address or a text that is not ASCII.
    Lacks,
}

impl Fault {
    /// Of a command before the mail itself. 421: the server ends the connection (RFC 5321 §3.8).
    fn before(error: Error) -> Self {
        match error.status().map(u16::from) {
            None | Some(421) => Self::NotTaken,
            Some(_) => Self::Smtp(error),
        }
    }

    fn after(error: Error) -> Self {
        if error.status().is_some() { Self::Smtp(error) } else { Self::Unsure }
    }
}

/// Connections to it, by one login.
pub(crate) struct Pool {
    idle: Mutex<Idle>,
    idle_max: Duration,
}

/// Those that nothing is sent on just now.
#[derive(Default)]
struct Idle {
    /// Each with when it was used last, in that order.
    connections: Vec<(AsyncSmtpConnection, Instant)>,
    /// Whether somebody waits to let them go.
    is_watched: bool,
}

impl Default for Pool {
    fn default() -> Self {
        Self { idle: Mutex::default(), idle_max: IDLE_MAX }
    }
}

impl Server {
    /// Hands a mail over. Dropped while it is under way, it leaves nothing half said: its connection goes with it.
    pub(crate) async fn send(
        &self,
        pool: &Arc<Pool>,
        login: Option<&Credentials>,
        (envelope, mail): (&Envelope, &str),
    ) -> Result<(), Fault> {
        if let Some(connection) = pool.take().await {
            match transact(pool, connection, envelope, mail).await {
                // It had been closed since, or takes no more mails on this connection.
                Err(Fault::NotTaken) => {}
                sent => return sent,
            }
        }
        let connection = self.connect(login).await.map_err(Fault::Smtp)?;
        transact(pool, connection, envelope, mail).await
    }

    async fn connect(&self, login: Option<&Credentials>) -> Result<AsyncSmtpConnection, Error> {
        let (host, port) = &self.address;
        let tls = match &self.privacy {
            Privacy::Implicit(tls) => Some(tls.clone()),
            Privacy::StartTls(_) | Privacy::None => None,
        };
        let address = (host.as_str(), *port);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(address, Some(TIMEOUT), &self.hello, tls, None).await?;
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
            let (mut connection, used) = self.idle().connections.pop()?;
            let unused = used.elapsed();
            if unused < FRESH || (unused < self.idle_max && is_there(&mut connection).await) {
                return Some(connection);
            }
        }
    }

    fn keep(self: &Arc<Self>, connection: AsyncSmtpConnection) {
        let mut idle = self.idle();
        if idle.connections.len() < KEPT_MAX {
            idle.connections.push((connection, Instant::now()));
        }
        if !mem::replace(&mut idle.is_watched, true) {
            tokio::spawn(watch(Arc::downgrade(self)));
        }
    }

    /// Those that have been idle too long, and when the next one will have been; then somebody is to look again.
    fn over(&self) -> (Vec<AsyncSmtpConnection>, Option<Instant>) {
        let mut idle = self.idle();
        let over = idle.connections.partition_point(|(_, used)| used.elapsed() >= self.idle_max);
        let over = idle.connections.drain(..over).map(|(connection, _)| connection).collect();
        let next = idle.connections.first().map(|(_, used)| *used + self.idle_max);
        idle.is_watched = next.is_some();
        (over, next)
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets go of connections that are idle too long, until there are none: it looks when the oldest may be.
async fn watch(pool: Weak<Pool>) {
    while let Some((over, next)) = pool.upgrade().map(|pool| pool.over()) {
        for connection in over {
            leave(connection).await;
        }
        let Some(next) = next else { return };
        sleep_until(next).await;
    }
}

/// Politely (RFC 5321 §4.1.1.10), if the server has an ear for it.
async fn leave(mut connection: AsyncSmtpConnection) {
    let _ = timeout(ASIDE_MAX, connection.abort()).await;
}

async fn is_there(connection: &mut AsyncSmtpConnection) -> bool {
    timeout(ASIDE_MAX, connection.command(Noop)).await.is_ok_and(|answer| answer.is_ok())
}

/// One mail. Its connection is kept if it was taken.
async fn transact(
    pool: &Arc<Pool>,
    mut connection: AsyncSmtpConnection,
    envelope: &Envelope,
    mail: &str,
) -> Result<(), Fault> {
    let said = say(&mut connection, envelope, mail).await;
    if said.is_ok() {
        pool.keep(connection);
    } else {
        leave(connection).await;
    }
    said
}

/// One mail (RFC 5321 §3.3).
async fn say(connection: &mut AsyncSmtpConnection, envelope: &Envelope, mail: &str) -> Result<(), Fault> {
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
    let from = Mail::new(envelope.from().cloned(), parameters);
    connection.command(from).await.map_err(Fault::before)?;
    for to in envelope.to() {
        connection.command(Rcpt::new(to.clone(), Vec::new())).await.map_err(Fault::before)?;
    }
    // Any other answer is one to another command: what comes next would not be about this mail.
    if !connection.command(Data).await.map_err(Fault::before)?.has_code(GO_ON) {
        return Err(Fault::NotTaken);
    }
    let taken = connection.command(Stuffed(mail)).await.map_err(Fault::after)?;
    if taken.has_code(GO_ON) { Err(Fault::Unsure) } else { Ok(()) }
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
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    use tokio::net::TcpListener;
    use tokio::sync::mpsc;

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

    /// Takes mails on any connection, and tells what was said last on each that ended.
    async fn server(listener: TcpListener, ended: mpsc::UnboundedSender<String>) {
        while let Ok((stream, _)) = listener.accept().await {
            let ended = ended.clone();
            tokio::spawn(async move {
                let (read, mut write) = stream.into_split();
                let (mut lines, mut last, mut is_mail) = (BufReader::new(read).lines(), String::new(), false);
                let _ = write.write_all(b"220 here\r\n").await;
                while let Ok(Some(line)) = lines.next_line().await {
                    is_mail = if is_mail { line != "." } else { line == "DATA" };
                    let answer = if line == "DATA" { "354 go on\r\n" } else { "250 well\r\n" };
                    if !is_mail || line == "DATA" {
                        let _ = write.write_all(answer.as_bytes()).await;
                    }
                    last = line;
                }
                let _ = ended.send(last);
            });
        }
    }

    #[tokio::test]
    async fn connections_that_nothing_is_sent_on_are_let_go_of_without_another_mail() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = ("127.0.0.1".to_owned(), listener.local_addr().unwrap().port());
        let (ended, mut told) = mpsc::unbounded_channel();
        tokio::spawn(self::server(listener, ended));
        let hello = ClientId::Domain("clinic.example".to_owned());
        let server = Server { address, hello, privacy: Privacy::None };
        let pool = Arc::new(Pool { idle_max: Duration::from_millis(30), ..Pool::default() });
        let to = "a@example.com".parse().unwrap();
        let envelope = Envelope::new(None, vec![to]).unwrap();
        // Once they are all gone nobody waits for any, until there are some again.
        for _ in 0..2 {
            let mail = (&envelope, "Subject: x\r\n\r\ny\r\n");
            let (one, other) = tokio::join!(server.send(&pool, None, mail), server.send(&pool, None, mail));
            assert!(one.is_ok() && other.is_ok());
            assert_eq!([told.recv().await.unwrap(), told.recv().await.unwrap()], ["QUIT", "QUIT"]);
        }
        let idle = pool.idle();
        assert!(idle.connections.is_empty());
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
