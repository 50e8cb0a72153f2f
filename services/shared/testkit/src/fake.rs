//! [`Fake`]: a server over HTTP that answers as a test tells it, and keeps what it was asked.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A request as it came.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Asked {
    /// A header's text; empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }

    /// A member of the form that the body is.
    ///
    /// # Panics
    /// Never.
    pub fn form(&self, name: &str) -> Option<String> {
        let pairs = reqwest::Url::parse(&format!("http://x/?{}", String::from_utf8_lossy(&self.body)))
            .expect("an address");
        pairs.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
    }
}

/// What is answered.
#[derive(Clone, Debug)]
pub enum Say {
    /// A status, further headers, and a body.
    This(u16, &'static str, String),
    /// Nothing: the connection stays open.
    Nothing,
    /// The request is taken, and the connection dropped.
    Drop,
}

type Answers = Arc<dyn Fn(&Asked) -> Say + Send + Sync>;

/// A server that answers as it is told, and keeps what it was asked.
pub struct Fake {
    /// Where it listens.
    pub at: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    next: Arc<Mutex<VecDeque<Say>>>,
}

impl Fake {
    /// On this port of 127.0.0.1, or any for 0: what is next, or else by this rule.
    ///
    /// # Panics
    /// If the port is taken.
    pub async fn start(port: u16, rule: impl Fn(&Asked) -> Say + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("the port");
        let at = listener.local_addr().expect("its address");
        let (asked, next) = (Arc::<Mutex<Vec<Asked>>>::default(), Arc::<Mutex<VecDeque<Say>>>::default());
        let (kept, queue, rule): (_, _, Answers) = (Arc::clone(&asked), Arc::clone(&next), Arc::new(rule));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (kept, queue, rule) = (Arc::clone(&kept), Arc::clone(&queue), Arc::clone(&rule));
                tokio::spawn(async move { serve(stream, &kept, &queue, &rule).await });
            }
        });
        Self { at, asked, next }
    }

    /// The answer to whatever is asked next.
    pub fn next(&self, say: Say) {
        self.next.lock().unwrap_or_else(PoisonError::into_inner).push_back(say);
    }

    /// What it was asked.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What was posted to it.
    pub fn posted(&self) -> Vec<Asked> {
        self.asked().into_iter().filter(|asked| asked.method == "POST").collect()
    }
}

async fn serve(
    mut stream: TcpStream,
    kept: &Mutex<Vec<Asked>>,
    queue: &Mutex<VecDeque<Say>>,
    rule: &Answers,
) {
    let Some(asked) = read(&mut stream).await else { return };
    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let say = next.unwrap_or_else(|| rule(&asked));
    kept.lock().unwrap_or_else(PoisonError::into_inner).push(asked);
    match say {
        Say::This(status, headers, body) => {
            let head = format!(
                "HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n",
                body.len()
            );
            let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
        }
        Say::Nothing => tokio::time::sleep(Duration::from_mins(1)).await,
        Say::Drop => {}
    }
}

async fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(at) = bytes.windows(4).position(|it| it == b"\r\n\r\n") {
            break at;
        }
        let mut more = [0; 4096];
        match stream.read(&mut more).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&more[..count]),
        }
    };
    let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
    let mut lines = text.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut asked = Asked {
        method: first.next()?.to_owned(),
        path: first.next()?.to_owned(),
        headers: headers.collect(),
        body: bytes[head + 4..].to_vec(),
    };
    let length: usize = asked.header("content-length").parse().unwrap_or(0);
    while asked.body.len() < length {
        let mut more = [0; 4096];
        match stream.read(&mut more).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => asked.body.extend_from_slice(&more[..count]),
        }
    }
    Some(asked)
}
