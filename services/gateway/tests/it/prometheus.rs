//! A Prometheus of a test's own: Debian's `prometheus`, in a folder and at a port of its own, ended with the test.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::backend::socket;

/// A server that runs, or did.
pub(crate) struct Prometheus {
    child: Child,
    pub(crate) address: SocketAddr,
    folder: TempDir,
}

/// Where metrics are, and the stack that they are of.
pub(crate) type Target = (SocketAddr, &'static str);

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

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
        let prometheus = Self { child: spawn(address, &folder), address, folder };
        prometheus.answers().await;
        prometheus
    }

    pub(crate) fn signal(&self, name: &str) {
        let kill = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(kill.unwrap().success());
    }

    /// Ends it as a power cut would.
    pub(crate) fn cut(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// At the same address, with what it knew.
    pub(crate) async fn again(&mut self) {
        self.child = spawn(self.address, &self.folder);
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

fn spawn(address: SocketAddr, folder: &TempDir) -> Child {
    let file = |name: &str| folder.path().join(name).display().to_string();
    Command::new("prometheus")
        .args([
            &format!("--config.file={}", file("prometheus.yml")),
            &format!("--storage.tsdb.path={}", file("data")),
            &format!("--web.listen-address={address}"),
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}
