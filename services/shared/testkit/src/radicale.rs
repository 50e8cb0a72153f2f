//! A real `CalDAV` server for tests: Radicale, from the Python package index. It keeps its calendars in a temporary folder, so that it can be stopped
//! and started again as after an outage.
//!
//! It ends with the test, however that ends: it reads the end of a pipe that the kernel closes with the test's process.

use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use reqwest::Method;
use tempfile::TempDir;

use crate::python::python;
use crate::stack::{Reply, send};

const PACKAGE: &str = "radicale==3.9.0";
/// As Radicale starts by itself, but that it ends with whoever started it.
const SERVER: &str = "import os, sys, threading\n\
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()\n\
    from radicale.__main__ import run\nrun()\n";
const USER: &str = "clinic";

/// A server with one calendar.
pub struct Radicale {
    port: u16,
    folder: TempDir,
    password: String,
    child: Option<Child>,
}

impl Radicale {
    /// Starts one on 127.0.0.1 with a calendar in it for the user `clinic` with this password.
    ///
    /// # Panics
    /// With one line that says what is missing, if it does not start.
    pub async fn start(port: u16, password: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut server = Self { port, folder, password: password.to_owned(), child: None };
        server.set_password(password);
        server.go_on().await;
        let made = server.call(Method::from_bytes(b"MKCALENDAR").expect("a method"), "", None).await;
        assert_eq!(made.status, 201, "{}", made.text);
        server
    }

    /// The address of the calendar of a server on this port.
    pub fn url(port: u16) -> String {
        format!("http://127.0.0.1:{port}/{USER}/work/")
    }

    /// Whoever comes with another password from now on is not let in. [`Radicale::call`] has the new one.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn set_password(&mut self, password: &str) {
        std::fs::write(self.folder.path().join("users"), format!("{USER}:{password}\n")).expect("a file");
        password.clone_into(&mut self.password);
    }

    /// Ends it, in the middle of whatever it does.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it again with what it had.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn go_on(&mut self) {
        static PYTHON: LazyLock<Result<PathBuf, String>> = LazyLock::new(|| python("venv-radicale", PACKAGE));
        let python = match &*PYTHON {
            Ok(python) => python,
            #[expect(clippy::panic, reason = "a test that cannot run fails; it does not pass in silence")]
            Err(reason) => panic!("{reason}"),
        };
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        let child = Command::new(python)
            .args(["-c", SERVER, "--config", "", "--logging-level", "error", "--auth-type", "htpasswd"])
            .args(["--auth-htpasswd-encryption", "plain", "--auth-delay", "0.01"])
            .args(["--server-hosts", &format!("127.0.0.1:{}", self.port)])
            .args([
                "--storage-filesystem-folder",
                &path("calendars"),
                "--auth-htpasswd-filename",
                &path("users"),
            ])
            .stdin(Stdio::piped())
            .spawn();
        self.child = Some(child.expect("Python starts"));
        for _ in 0..600 {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        #[expect(clippy::panic, reason = "a test that cannot run fails")]
        {
            panic!("Radicale does not start");
        }
    }

    /// Does something in the calendar, as its owner's program would: with the object of this name, or with all of it.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn call(&self, method: Method, name: &str, text: Option<&str>) -> Reply {
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let request = client.request(method, format!("{}{name}", Self::url(self.port)));
        let request = request.basic_auth(USER, Some(&self.password));
        let text = text.map(|text| text.replace('\n', "\r\n"));
        send(match text {
            Some(text) => request.header("content-type", "text/calendar; charset=utf-8").body(text),
            None => request,
        })
        .await
    }

    /// All that is in the calendar, as text.
    pub async fn text(&self) -> String {
        self.call(Method::GET, "", None).await.text
    }
}

impl Drop for Radicale {
    fn drop(&mut self) {
        self.stop();
    }
}
