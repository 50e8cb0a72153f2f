//! A Prometheus of a test's own: Debian's `prometheus`, in a folder and at a port of its own, ended with the test.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use testkit::Running;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::backend::socket;

/// A server that runs, or did.
pub(crate) struct Prometheus {
    pub(crate) process: Running,
    pub(crate) address: SocketAddr,
    folder: TempDir,
}

/// Where metrics are, and the stack that they are of.
pub(crate) type Target = (SocketAddr, &'static str);

impl Prometheus {
    /// Reads these pages five times a second.
    pub(crate) async fn start(address: SocketAddr, targets: &[Target]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let target = |(target, stack): &Target| {
            format!("  - {{targets: ['{target}'], labels: {{namespace: east, stack: {stack}}}}}\n")
        };
        let config = format!(
            "global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}\nscrape_configs:\n- job_name: healthcare\n  static_configs:\n{}",
            targets.iter().map(target).collect::<String>()
        );
        std::fs::write(folder.path().join("prometheus.yml"), config).unwrap();
        let prometheus = Self { process: spawn(address, &folder), address, folder };
        prometheus.answers().await;
        prometheus
    }

    /// At the same address, with what it knew.
    pub(crate) async fn again(&mut self) {
        self.process = spawn(self.address, &self.folder);
        self.answers().await;
    }

    /// Until it has read what it keeps: before that it answers to nothing else.
    async fn answers(&self) {
        for _ in 0..1_000 {
            if is_ready(self.address).await.unwrap_or(false) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("prometheus does not answer; is it installed?");
    }
}

async fn is_ready(address: SocketAddr) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"GET /-/ready HTTP/1.1\r\nHost: prometheus\r\nConnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer.starts_with("HTTP/1.1 200"))
}

/// An address where nobody listens yet.
pub(crate) fn address() -> SocketAddr {
    socket().1
}

fn spawn(address: SocketAddr, folder: &TempDir) -> Running {
    let file = |name: &str| folder.path().join(name).display().to_string();
    let mut command = Command::new("prometheus");
    command.args([
        &format!("--config.file={}", file("prometheus.yml")),
        &format!("--storage.tsdb.path={}", file("data")),
        &format!("--web.listen-address={address}"),
    ]);
    Running::start(command.stdout(Stdio::null()).stderr(Stdio::null()))
}
