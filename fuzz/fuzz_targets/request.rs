//! Bytes on a connection to the gateway: whatever they are, no panic and no fault of the gateway's own; a service behind it sees only whole
//! requests, of routes there are, each of which reads one way; and each of those, and nothing else, is answered as the service answered.
#![no_main]

mod world;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gateway::Gateway;
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::Runtime;

use world::CLIENT;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nx-service: 1\r\ncontent-length: 2\r\n\r\nok";
/// Room for all that one input is answered with.
const PIPE_BYTES: usize = 1 << 20;

/// A gateway and a service in this process, on a clock that runs as fast as they do: new for each input, since deadlines go by the true one.
struct World {
    runtime: Runtime,
    gateway: Gateway,
    seen: Seen,
}

/// What the service was sent on each connection.
type Seen = Arc<Mutex<Vec<Vec<u8>>>>;

fuzz_target!(|data: &[u8]| {
    let World { runtime, gateway, seen } = World::new();
    let answers = runtime.block_on(async {
        let (mut client, stream) = duplex(PIPE_BYTES);
        let talk = async {
            client.write_all(data).await.unwrap();
            let mut answers = Vec::new();
            // The gateway ends the connection, when it has waited long enough for more.
            client.read_to_end(&mut answers).await.unwrap();
            answers
        };
        let ((), answers) = tokio::join!(gateway.converse(stream, CLIENT), talk);
        // Until the service has read what was sent before that.
        tokio::time::sleep(Duration::from_secs(1)).await;
        answers
    });
    assert_eq!(count(&answers, b"HTTP/1.1 5") + count(&answers, b"HTTP/1.0 5"), 0, "a fault of ours");
    let requests: usize = seen.lock().unwrap().iter().map(|bytes| check(bytes)).sum();
    assert_eq!(requests, count(&answers, b"\r\nx-service: 1\r\n"), "each is answered, and nothing else is");
});

impl World {
    fn new() -> Self {
        let (runtime, path) = (world::runtime(), world::socket("request"));
        let (gateway, seen) = runtime.block_on(async {
            let seen = service(&path);
            (world::gateway(&path).await, seen)
        });
        Self { runtime, gateway, seen }
    }
}

/// Writes down all that it is sent, and answers each whole request.
fn service(path: &PathBuf) -> Seen {
    let listener = UnixListener::bind(path).unwrap();
    let seen = Seen::default();
    let notes = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let number = {
                let mut notes = notes.lock().unwrap();
                notes.push(Vec::new());
                notes.len() - 1
            };
            tokio::spawn(write_down(stream, number, Arc::clone(&notes)));
        }
    });
    seen
}

async fn write_down(mut stream: UnixStream, number: usize, notes: Seen) {
    let (mut buffer, mut rest) = (vec![0; 16 * 1024], Vec::new());
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        rest.extend_from_slice(&buffer[..read]);
        notes.lock().unwrap()[number].extend_from_slice(&buffer[..read]);
        while let Some(length) = request(&rest) {
            rest.drain(..length);
            if stream.write_all(ANSWER).await.is_err() {
                return;
            }
        }
    }
}

/// How many whole requests these are. After them may come the beginning of one that was broken off.
fn check(mut bytes: &[u8]) -> usize {
    let mut count = 0;
    while let Some(length) = request(bytes) {
        bytes = &bytes[length..];
        count += 1;
    }
    count
}

/// The length of the whole request at the beginning, read as strictly as a sender must write (RFC 9112).
fn request(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head: Vec<&[u8]> = split(&bytes[..end]);
    let line = std::str::from_utf8(head[0]).expect("a request line of text");
    let (method, target) =
        line.strip_suffix(" HTTP/1.1").and_then(|line| line.split_once(' ')).expect("a request line");
    let path = target.split('?').next().unwrap_or_default();
    let is_routed = match method {
        "GET" | "HEAD" | "POST" => path == "/x",
        "PUT" | "DELETE" => path.starts_with("/x/"),
        _ => false,
    };
    assert!(is_routed && !path.split('/').skip(1).any(|segment| matches!(segment, "." | "..")), "{line}");
    assert!(!target.contains([' ', '#']) && !path.contains('\\'), "{line}");
    let mut fields: BTreeMap<&str, Vec<&[u8]>> = BTreeMap::new();
    for line in &head[1..] {
        let colon = line.iter().position(|byte| *byte == b':').expect("a field");
        let name = std::str::from_utf8(&line[..colon]).expect("a name of text");
        assert!(!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic()), "{name}");
        assert!(!line.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n')), "{name}");
        fields.entry(name).or_default().push(line[colon + 1..].trim_ascii());
    }
    for (name, value) in
        [("host", "localhost"), ("x-forwarded-for", "192.0.2.7"), ("x-forwarded-proto", "http")]
    {
        assert_eq!(fields.get(name), Some(&vec![value.as_bytes()]), "{name}");
    }
    for name in ["x-request-id", "traceparent", "forwarded"] {
        assert_eq!(fields.get(name).map(Vec::len), Some(1), "{name}");
    }
    for name in ["keep-alive", "proxy-connection", "proxy-authorization", "x-real-ip", "x-forwarded-port"] {
        assert!(!fields.contains_key(name), "{name}");
    }
    let body = end + 4;
    match (fields.get("content-length"), fields.get("transfer-encoding")) {
        (None, None) => Some(body),
        (Some(length), None) => {
            assert_eq!(length.len(), 1);
            let length: usize = std::str::from_utf8(length[0]).unwrap().parse().unwrap();
            (bytes.len() >= body + length).then_some(body + length)
        }
        (None, Some(coding)) => {
            assert_eq!(*coding, [b"chunked"]);
            chunks(&bytes[body..]).map(|length| body + length)
        }
        _ => panic!("a length beside a coding"),
    }
}

fn chunks(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let line = bytes[at..].windows(2).position(|window| window == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[at..at + line]).unwrap(), 16).unwrap();
        at += line + 2;
        if size == 0 {
            break;
        }
        let end = bytes.get(at + size..at + size + 2)?;
        assert_eq!(end, b"\r\n");
        at += size + 2;
    }
    // Trailers, to the empty line.
    loop {
        let line = bytes[at..].windows(2).position(|window| window == b"\r\n")?;
        at += line + 2;
        if line == 0 {
            return Some(at);
        }
    }
}

fn split(mut head: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    while let Some(end) = head.windows(2).position(|window| window == b"\r\n") {
        lines.push(&head[..end]);
        head = &head[end + 2..];
    }
    lines.push(head);
    lines
}

fn count(bytes: &[u8], what: &[u8]) -> usize {
    bytes.windows(what.len()).filter(|window| *window == what).count()
}
