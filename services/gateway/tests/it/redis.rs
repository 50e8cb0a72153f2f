//! A Redis of a test's own: Debian's `redis-server`, in a folder and at a port of its own, ended with the test.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use settings::RateLimitStore;
use tempfile::TempDir;
use testkit::Running;
use tokio::net::TcpStream;

use crate::backend::socket;

/// A server that runs, or did.
pub(crate) struct Redis {
    pub(crate) process: Running,
    pub(crate) address: SocketAddr,
    folder: TempDir,
    arguments: Vec<String>,
}

impl Redis {
    pub(crate) async fn start(arguments: &[&str]) -> Self {
        let (folder, (socket, address)) = (tempfile::tempdir().unwrap(), socket());
        drop(socket);
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let process = spawn(address, folder.path(), &arguments);
        let redis = Self { process, address, folder, arguments };
        redis.answers().await;
        redis
    }

    /// As a gateway is told of it. The time is long, so that a busy machine is no reason to count alone.
    pub(crate) fn store(&self) -> RateLimitStore {
        let store = serde_json::json!({
            "host": self.address.ip().to_string(), "port": self.address.port(), "timeoutMs": 2_000, "prefix": "test",
        });
        serde_json::from_value(store).unwrap()
    }

    /// What the server answers to a command.
    pub(crate) fn ask(&self, arguments: &[&str]) -> String {
        let output = Command::new("redis-cli")
            .args(["-h", &self.address.ip().to_string(), "-p", &self.address.port().to_string()])
            .args(arguments)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    /// At the same address, and empty.
    pub(crate) async fn again(&mut self) {
        self.process = spawn(self.address, self.folder.path(), &self.arguments);
        self.answers().await;
    }

    async fn answers(&self) {
        for _ in 0..500 {
            if TcpStream::connect(self.address).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("redis-server does not answer; is it installed?");
    }
}

fn spawn(address: SocketAddr, folder: &Path, arguments: &[String]) -> Running {
    let port = address.port().to_string();
    let port = if arguments.iter().any(|argument| argument == "--tls-port") { "0" } else { &port };
    let mut command = Command::new("redis-server");
    command
        .args(["--bind", &address.ip().to_string(), "--port", port, "--save", "", "--dir"])
        .arg(folder)
        .args(arguments.iter().map(|argument| argument.replace("PORT", &address.port().to_string())));
    Running::start(command.stdout(Stdio::null()).stderr(Stdio::null()))
}
