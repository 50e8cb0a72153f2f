//! HTTP/2 frame by frame (RFC 9113 §4, §6), so that a test can say what no client would.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use crate::front::Front;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;
const ACK: u8 = 1;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// Longer than anything here should take, by whichever clock.
const PATIENCE: Duration = Duration::from_mins(2);

/// A connection.
pub(crate) struct Raw {
    stream: TlsStream<TcpStream>,
}

impl Raw {
    pub(crate) async fn connect(front: &Front, address: SocketAddr) -> Self {
        let mut stream = front.connect(address, &["h2"]).await;
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
        Self { stream }
    }

    pub(crate) async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.stream.write_all(&frame(kind, flags, stream, payload)).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// Sends as much as is taken.
    pub(crate) async fn pour(&mut self, bytes: &[u8]) {
        let pour = async {
            for part in bytes.chunks(4096) {
                if self.stream.write_all(part).await.is_err() {
                    return;
                }
            }
            let _ = self.stream.flush().await;
        };
        let _ = timeout(Duration::from_secs(5), pour).await;
    }

    /// The first frame of one of these kinds.
    pub(crate) async fn until(&mut self, kinds: &[u8]) -> (u8, Vec<u8>) {
        loop {
            let (kind, payload) = self.next().await.expect("a frame");
            if kinds.contains(&kind) {
                return (kind, payload);
            }
        }
    }

    /// Whether the connection ends, whatever is said before.
    pub(crate) async fn is_closed(&mut self) -> bool {
        timeout(PATIENCE, async { while self.next().await.is_some() {} }).await.is_ok()
    }

    /// The next frame; a ping is answered.
    async fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut head = [0; 9];
        timeout(PATIENCE, self.stream.read_exact(&mut head))
            .await
            .expect("the gateway to say something")
            .ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.stream.read_exact(&mut payload).await.ok()?;
        if head[3] == PING && head[4] & ACK == 0 {
            let _ = self.stream.write_all(&frame(PING, ACK, 0, &payload)).await;
            let _ = self.stream.flush().await;
        }
        Some((head[3], payload))
    }
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A field, literally and remembered by nobody (RFC 7541 §6.2.2).
pub(crate) fn field(name: &str, value: &str) -> Vec<u8> {
    [&[0], &*string(name), &*string(value)].concat()
}

pub(crate) fn head(fields: &[(&str, &str)]) -> Vec<u8> {
    fields.iter().flat_map(|(name, value)| field(name, value)).collect()
}

pub(crate) fn get(path: &str) -> Vec<u8> {
    head(&[(":method", "GET"), (":path", path), (":scheme", "https"), (":authority", "a")])
}

/// Without Huffman's code (RFC 7541 §5.1, §5.2).
fn string(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut length = text.len();
    if length < 127 {
        bytes.push(u8::try_from(length).unwrap());
    } else {
        bytes.push(127);
        length -= 127;
        while length >= 128 {
            bytes.push(u8::try_from(length % 128 + 128).unwrap());
            length /= 128;
        }
        bytes.push(u8::try_from(length).unwrap());
    }
    bytes.extend_from_slice(text.as_bytes());
    bytes
}
