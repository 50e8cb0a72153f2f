//! A real SMTP server for tests: `aiosmtpd`, from the Python package index.
//!
//! It ends with the test, however that ends: it reads the end of a pipe that the kernel closes with the test's process.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, mpsc};
use std::time::Duration;

use serde::Deserialize;

use crate::python::python;

const PACKAGE: &str = "aiosmtpd==1.4.6";
const START_TIMEOUT: Duration = Duration::from_secs(30);
const SERVER: &str = include_str!("smtp.py");
/// Signed by itself, for this machine: nobody trusts it.
const CERTIFICATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/smtp.pem");

/// A server that takes mail, and keeps it for the test to look at.
pub struct SmtpServer {
    port: u16,
    mails: Arc<Mutex<Vec<Mail>>>,
    child: Child,
}

/// Mail as it arrived.
#[derive(Clone, Debug, Deserialize)]
pub struct Mail {
    /// The envelope's sender.
    pub from: String,
    /// The envelope's recipients.
    pub to: Vec<String>,
    /// Who had logged in.
    pub user: Option<String>,
    /// Headers, decoded (RFC 2047), in their order.
    pub headers: Vec<(String, String)>,
    /// The text, decoded.
    pub body: String,
    /// All that it is made of, in their order.
    pub parts: Vec<Part>,
    /// As it came over the wire.
    pub raw: String,
}

/// A part of a mail (RFC 2046).
#[derive(Clone, Debug, Deserialize)]
pub struct Part {
    /// Without its parameters.
    pub media_type: String,
    /// Their names in small letters.
    pub parameters: BTreeMap<String, String>,
    /// The text, decoded.
    pub body: String,
}

impl Mail {
    /// A header's decoded text; empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }
}

/// A port that nobody listens on just now.
///
/// # Panics
/// If there is none.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}

impl SmtpServer {
    /// Starts one on 127.0.0.1 that takes all mail without TLS or login, but refuses what is for `refused@…` for good (550) and what is
    /// for `later@…` for now (451).
    ///
    /// # Panics
    /// With one line that says what is missing, if it does not start.
    pub fn start(port: u16) -> Self {
        Self::run(port, "", "")
    }

    /// The same, for whoever logs in as `clinic` with this password.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start_with_login(port: u16, password: &str) -> Self {
        Self::run(port, password, "")
    }

    /// The same as [`SmtpServer::start`], with STARTTLS and a certificate that nobody vouches for.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start_with_untrusted_tls(port: u16) -> Self {
        Self::run(port, "", CERTIFICATE)
    }

    fn run(port: u16, password: &str, certificate: &str) -> Self {
        static PYTHON: LazyLock<Result<PathBuf, String>> = LazyLock::new(|| python("venv", PACKAGE));
        let python = match &*PYTHON {
            Ok(python) => python,
            #[expect(clippy::panic, reason = "a test that cannot run fails; it does not pass in silence")]
            Err(reason) => panic!("{reason}"),
        };
        let mut child = Command::new(python)
            .args(["-c", SERVER, &port.to_string(), password, certificate])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python starts");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let mails = Arc::new(Mutex::new(Vec::new()));
        let (ready, started) = mpsc::channel();
        let kept = Arc::clone(&mails);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if line == "ready" {
                    let _ = ready.send(());
                } else if let Ok(mail) = serde_json::from_str(&line) {
                    kept.lock().unwrap_or_else(PoisonError::into_inner).push(mail);
                }
            }
        });
        started.recv_timeout(START_TIMEOUT).expect("the SMTP server starts");
        Self { port, mails, child }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What has arrived so far.
    pub fn mails(&self) -> Vec<Mail> {
        self.mails.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What has arrived, once it is this many; what there is, if it is not within ten seconds.
    pub async fn wait_for(&self, count: usize) -> Vec<Mail> {
        for _ in 0..500 {
            if self.mails().len() >= count {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.mails()
    }
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
