//! Bytes that two readers could read differently. Each case goes to a real gateway before a service that writes down what it got, byte for byte;
//! behind each stands a second request, which must be read as that or not at all.

mod answers;
mod requests;

use std::sync::{Arc, Mutex};

use settings::{Address, Method};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::house::{House, config, public};

/// A service that takes nothing but what RFC 9112 lets a sender send, and remembers it.
pub(crate) struct Scribe {
    pub(crate) address: Address,
    written: Arc<Mutex<Vec<String>>>,
}

impl Scribe {
    pub(crate) async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Address(format!("http://{}", listener.local_addr().unwrap()));
        let written: Arc<Mutex<Vec<String>>> = Arc::default();
        let book = Arc::clone(&written);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(write_down(stream, Arc::clone(&book)));
            }
        });
        Self { address, written }
    }

    /// What it got since the last time, without what the gateway says of itself and of the client.
    pub(crate) fn take(&self) -> Vec<String> {
        self.written.lock().unwrap().drain(..).map(|request| without_ours(&request)).collect()
    }
}

async fn write_down(mut stream: TcpStream, book: Arc<Mutex<Vec<String>>>) {
    let mut bytes = Vec::new();
    while let Some(request) = request(&mut stream, &mut bytes).await {
        book.lock().unwrap().push(request);
        if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.is_err() {
            return;
        }
    }
}

/// One whole request; half of one is none.
async fn request(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<String> {
    let head = until(stream, bytes, b"\r\n\r\n").await?;
    let field = |name: &str| {
        let lines = head.split("\r\n").skip(1);
        let mut values = lines.filter_map(|line| line.split_once(':')).filter(|(known, _)| *known == name);
        let value = values.next().map(|(_, value)| value.trim().to_owned());
        assert!(values.next().is_none(), "one {name} at most: {head:?}");
        value
    };
    let (length, coding) = (field("content-length"), field("transfer-encoding"));
    assert!(length.is_none() || coding.is_none(), "one or the other: {head:?}");
    let mut body = String::new();
    if let Some(length) = length {
        body = exactly(stream, bytes, length.parse().unwrap()).await?;
    } else if let Some(coding) = coding {
        assert_eq!(coding, "chunked");
        loop {
            let line = until(stream, bytes, b"\r\n").await?;
            let size = usize::from_str_radix(line.trim_end(), 16).unwrap();
            if size == 0 {
                break;
            }
            body += &exactly(stream, bytes, size).await?;
            assert_eq!(until(stream, bytes, b"\r\n").await?, "\r\n");
        }
        loop {
            let line = until(stream, bytes, b"\r\n").await?;
            if line == "\r\n" {
                break;
            }
            body.extend(["<", line.trim_end(), ">"]);
        }
    }
    Some(head + &body)
}

async fn until(stream: &mut TcpStream, bytes: &mut Vec<u8>, end: &[u8]) -> Option<String> {
    loop {
        if let Some(at) = bytes.windows(end.len()).position(|window| window == end) {
            return Some(latin1(bytes.drain(..at + end.len())));
        }
        more(stream, bytes).await?;
    }
}

async fn exactly(stream: &mut TcpStream, bytes: &mut Vec<u8>, length: usize) -> Option<String> {
    while bytes.len() < length {
        more(stream, bytes).await?;
    }
    Some(latin1(bytes.drain(..length)))
}

async fn more(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<()> {
    let mut buffer = [0; 4096];
    let read = stream.read(&mut buffer).await.ok().filter(|read| *read > 0)?;
    bytes.extend_from_slice(&buffer[..read]);
    Some(())
}

fn latin1(bytes: impl Iterator<Item = u8>) -> String {
    bytes.map(char::from).collect()
}

fn without_ours(request: &str) -> String {
    const OURS: [&str; 8] = [
        "host",
        "x-request-timeout-ms",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-host",
        "forwarded",
        "traceparent",
        "x-request-id",
    ];
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let is_ours = |line: &&str| line.split_once(':').is_some_and(|(name, _)| OURS.contains(&name));
    let kept: Vec<&str> = head.split("\r\n").filter(|line| !is_ours(line)).collect();
    sorted(&format!("{}\n\n{body}", kept.join("\n")))
}

/// A request with its fields in order, since theirs means nothing.
fn sorted(request: &str) -> String {
    let (head, body) = request.split_once("\n\n").unwrap();
    let mut lines: Vec<&str> = head.split('\n').collect();
    lines[1..].sort_unstable();
    format!("{}\n\n{body}", lines.join("\n"))
}

/// A gateway before the scribe, with a route for every method at `/x`.
pub(crate) async fn house(scribe: &Scribe) -> House {
    let routes = vec![
        public(Method::Get, "/x"),
        public(Method::Post, "/x"),
        public(Method::Put, "/x"),
        public(Method::Delete, "/x"),
        public(Method::Get, "/second"),
        public(Method::Get, "/p/{rest}"),
    ];
    House::with(config(vec![scribe.address.clone()], routes)).await
}

/// A connection that has had a request rests soon, and half a head must keep it awake: what was seen of it would be forgotten.
#[tokio::test]
async fn a_pause_in_the_middle_of_a_head_hides_nothing() {
    let scribe = Scribe::new().await;
    let house = house(&scribe).await;
    for (start, rest) in [
        ("GET /x HTTP/1.1\r\nhost: a\nx: ", "y\r\n\r\n"),
        ("GET /x#y", "z HTTP/1.1\r\nhost: a\r\n\r\n"),
        (
            "POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n",
            "transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
    ] {
        let mut client = house.client().await;
        assert_eq!(client.ask("GET", "/x", &[], "").await.status, 200);
        let _ = scribe.take();
        client.send(start).await;
        tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
        client.send(rest).await;
        client.answer().await.unwrap().assert_problem(400, "malformed-request");
        assert!(scribe.take().is_empty(), "{start:?}");
    }
}

/// Whoever was refused with 417 may send its body or not: nobody can know where its next request begins.
#[tokio::test]
async fn after_a_body_that_nobody_asked_for_the_connection_ends() {
    let scribe = Scribe::new().await;
    let house = house(&scribe).await;
    let mut client = house.client().await;
    client.send("POST /x HTTP/1.1\r\nhost: a\r\nexpect: x\r\ncontent-length: 5\r\n\r\n").await;
    let answer = client.answer().await.unwrap();
    assert_eq!((answer.status, answer.header("connection")), (417, Some("close")));
}
