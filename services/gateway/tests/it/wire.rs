//! A client that writes bytes and reads answers, so that a test can say exactly what is sent.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longer than anything here should take; a test that hangs fails with a line number instead.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    rest: Vec<u8>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// The body ended where its head said.
    pub(crate) whole: bool,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// A problem document with this status and code, and everything that such a document needs.
    #[track_caller]
    pub(crate) fn assert_problem(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status, "{problem}");
        assert_eq!(problem["type"], format!("/api/docs/problems#{code}"));
    }
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, rest: Vec::new() }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// One well-formed request and its answer.
    pub(crate) async fn ask(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        self.send(request(method, target, headers, body)).await;
        if method == "HEAD" { self.head().await } else { self.answer().await.expect("an answer") }
    }

    /// The next answer; `None` if the connection ended instead.
    pub(crate) async fn answer(&mut self) -> Option<Answer> {
        let mut answer = self.read_head().await?;
        if let Some(length) = answer.header("content-length") {
            let length: usize = length.parse().unwrap();
            while self.rest.len() < length && self.more().await {}
            answer.whole = self.rest.len() >= length;
            answer.body = self.rest.drain(..length.min(self.rest.len())).collect();
        } else if answer.header("transfer-encoding") == Some("chunked") {
            answer.whole = self.chunks(&mut answer.body).await.is_some();
        } else if answer.status != 204 && answer.status != 304 {
            while self.more().await {}
            answer.body = std::mem::take(&mut self.rest);
        }
        Some(answer)
    }

    async fn head(&mut self) -> Answer {
        self.read_head().await.expect("an answer")
    }

    async fn read_head(&mut self) -> Option<Answer> {
        let end = loop {
            if let Some(end) = self.rest.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
            if !self.more().await {
                assert!(self.rest.is_empty(), "half an answer: {:?}", String::from_utf8_lossy(&self.rest));
                return None;
            }
        };
        let head: Vec<u8> = self.rest.drain(..end + 4).collect();
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().unwrap();
        let pairs = lines.filter_map(|line| line.split_once(':'));
        let headers =
            pairs.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
        Some(Answer { status, headers, body: Vec::new(), whole: true })
    }

    async fn chunks(&mut self, body: &mut Vec<u8>) -> Option<()> {
        loop {
            let line = loop {
                if let Some(end) = self.rest.windows(2).position(|window| window == b"\r\n") {
                    break self.rest.drain(..end + 2).collect::<Vec<u8>>();
                }
                self.more().await.then_some(())?;
            };
            let length = usize::from_str_radix(std::str::from_utf8(&line).unwrap().trim(), 16).unwrap();
            while self.rest.len() < length + 2 {
                self.more().await.then_some(())?;
            }
            body.extend(self.rest.drain(..length));
            self.rest.drain(..2);
            if length == 0 {
                return Some(());
            }
        }
    }

    /// Reads on; false at the end of the connection.
    async fn more(&mut self) -> bool {
        let mut buffer = vec![0; 16 * 1024];
        let read =
            timeout(PATIENCE, self.stream.read(&mut buffer)).await.expect("the gateway to say something");
        match read {
            Ok(0) | Err(_) => false,
            Ok(read) => {
                self.rest.extend_from_slice(&buffer[..read]);
                true
            }
        }
    }

    /// Whether the gateway has ended the connection, or does so now.
    pub(crate) async fn is_closed(&mut self) -> bool {
        !self.more().await
    }
}

/// A well-formed request.
pub(crate) fn request(method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> String {
    let mut text = format!("{method} {target} HTTP/1.1\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        text.push_str("host: clinic.example\r\n");
    }
    for (name, value) in headers {
        text.extend([name, ": ", value, "\r\n"]);
    }
    if !body.is_empty() {
        text.extend(["content-length: ", &body.len().to_string(), "\r\n"]);
    }
    text + "\r\n" + body
}

impl Client {
    /// The status of an interim answer.
    pub(crate) async fn answer_100(&mut self) -> u16 {
        self.read_head().await.expect("an interim answer").status
    }
}
