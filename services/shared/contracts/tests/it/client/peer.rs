//! A peer over real TCP that does as it is told, and counts what reaches it. No HTTP server: those do not misbehave well enough.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use contracts::problem::{Problem, ProblemCode};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What becomes of a request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Does {
    /// 200.
    Answer,
    /// This status, with this `Retry-After`.
    Refuse(u16, Option<u32>),
    /// 503 in order, with a problem document.
    Shed,
    /// RST.
    Reset,
    /// Half of an answer, then the end.
    BreakOff,
    /// Nothing.
    Hang,
    /// 200 after a while.
    AnswerAfter(Duration),
    /// Resets each so-many-th request, and answers the others.
    ResetEach(usize),
}

pub(super) struct Peer {
    pub(super) address: String,
    scene: Arc<Scene>,
    _connections: JoinSet<()>,
}

struct Scene {
    does: Mutex<Does>,
    /// The head of each request, in small letters.
    heads: Mutex<Vec<String>>,
}

impl Peer {
    pub(super) async fn that(does: Does) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let scene = Arc::new(Scene { does: Mutex::new(does), heads: Mutex::default() });
        let mut connections = JoinSet::new();
        let answering = Arc::clone(&scene);
        connections.spawn(async move {
            let mut streams = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                streams.spawn(answer(stream, Arc::clone(&answering)));
            }
        });
        Self { address, scene, _connections: connections }
    }

    /// An address where nobody listens.
    pub(super) async fn gone() -> String {
        TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string()
    }

    pub(super) fn now(&self, does: Does) {
        *self.scene.does.lock().unwrap() = does;
    }

    /// How many requests reached it.
    pub(super) fn asked(&self) -> usize {
        self.scene.heads.lock().unwrap().len()
    }

    /// This header of each request.
    pub(super) fn header(&self, name: &str) -> Vec<Option<String>> {
        let prefix = format!("{name}: ");
        let value =
            |head: &String| head.lines().find_map(|line| line.strip_prefix(&prefix).map(str::to_owned));
        self.scene.heads.lock().unwrap().iter().map(value).collect()
    }
}

/// Answers the requests of a connection, which have no bodies, as long as it is told to.
async fn answer(mut stream: TcpStream, scene: Arc<Scene>) {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return,
            }
        }
        let number = {
            let mut heads = scene.heads.lock().unwrap();
            heads.push(String::from_utf8_lossy(&head).to_ascii_lowercase());
            heads.len()
        };
        let does = *scene.does.lock().unwrap();
        let answer = match does {
            Does::Hang => return std::future::pending().await,
            Does::Reset => return reset(&stream),
            Does::ResetEach(nth) if number.is_multiple_of(nth) => return reset(&stream),
            Does::BreakOff => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n12").await;
                return;
            }
            Does::AnswerAfter(pause) => {
                tokio::time::sleep(pause).await;
                ok()
            }
            Does::Answer | Does::ResetEach(_) => ok(),
            Does::Shed => {
                let problem = serde_json::to_string(&Problem::new(ProblemCode::Unavailable)).unwrap();
                let (len, kind) = (problem.len(), "application/problem+json");
                format!("HTTP/1.1 503 No\r\ncontent-type: {kind}\r\ncontent-length: {len}\r\n\r\n{problem}")
            }
            Does::Refuse(status, retry_after) => {
                let retry_after = retry_after.map(|seconds| format!("retry-after: {seconds}\r\n"));
                let retry_after = retry_after.unwrap_or_default();
                format!("HTTP/1.1 {status} No\r\ncontent-length: 0\r\n{retry_after}\r\n")
            }
        };
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

fn ok() -> String {
    "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n42".to_owned()
}

/// The stream, dropped after this, ends with RST instead of FIN.
fn reset(stream: &TcpStream) {
    SockRef::from(stream).set_linger(Some(Duration::ZERO)).unwrap();
}
