//! Services for the gateway to stand before: one that answers as it is told, and one that does what it likes with the socket.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use settings::Address;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::task::JoinHandle;

/// What a backend was asked.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Bytes,
}

/// A backend; gone when dropped.
pub(crate) struct Backend {
    pub(crate) address: Address,
    pub(crate) seen: Arc<Mutex<Vec<Seen>>>,
    pub(crate) connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Backend {
    /// Answers what was asked in a line of text.
    pub(crate) async fn echo() -> Self {
        Self::answering(|request| async move {
            let (head, body) = request.into_parts();
            Response::new(Full::new(Bytes::from(format!("{} {} {}", head.method, head.uri, body.len()))))
        })
        .await
    }

    /// Always answers with this status.
    pub(crate) async fn status(status: u16) -> Self {
        Self::answering(move |_| async move {
            let mut response = Response::new(Full::new(Bytes::from_static(b"{}")));
            *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
            response
        })
        .await
    }

    /// Answers over TCP as `answer` says.
    pub(crate) async fn answering<F, A>(answer: F) -> Self
    where
        F: Fn(Request<Bytes>) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Response<Full<Bytes>>> + Send + 'static,
    {
        Self::with(move |request: Request<Incoming>, seen: Arc<Mutex<Vec<Seen>>>| {
            let answer = answer.clone();
            async move {
                let (head, body) = request.into_parts();
                let Ok(body) = body.collect().await.map(http_body_util::Collected::to_bytes) else {
                    // As a service would: what did not arrive whole has not arrived.
                    return Response::new(Full::new(Bytes::new()));
                };
                seen.lock().unwrap().push(Seen {
                    method: head.method.to_string(),
                    headers: head.headers.clone(),
                    body: body.clone(),
                });
                answer(Request::from_parts(head, body)).await
            }
        })
        .await
    }

    /// Answers with the body still to be read.
    pub(crate) async fn with<F, A>(answer: F) -> Self
    where
        F: Fn(Request<Incoming>, Arc<Mutex<Vec<Seen>>>) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Response<Full<Bytes>>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener, answer)
    }

    /// The same on a socket that is bound already.
    pub(crate) fn on<F, A>(listener: TcpListener, answer: F) -> Self
    where
        F: Fn(Request<Incoming>, Arc<Mutex<Vec<Seen>>>) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Response<Full<Bytes>>> + Send + 'static,
    {
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let notes = Arc::clone(&seen);
        Self::sockets(listener, seen, move |stream, _| {
            let (answer, notes) = (answer.clone(), Arc::clone(&notes));
            async move {
                let service = service_fn(move |request| {
                    let (answer, notes) = (answer.clone(), Arc::clone(&notes));
                    async move { Ok::<_, std::convert::Infallible>(answer(request, notes).await) }
                });
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            }
        })
    }

    /// Does with each connection what `behave` likes; it is told how many there were before.
    pub(crate) async fn raw<F, A>(behave: F) -> Self
    where
        F: Fn(TcpStream, usize) -> A + Send + Sync + 'static,
        A: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::sockets(listener, Arc::default(), behave)
    }

    fn sockets<F, A>(listener: TcpListener, seen: Arc<Mutex<Vec<Seen>>>, behave: F) -> Self
    where
        F: Fn(TcpStream, usize) -> A + Send + Sync + 'static,
        A: Future<Output = ()> + Send + 'static,
    {
        let address = Address(format!("http://{}", listener.local_addr().unwrap()));
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            let mut open = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let number = count.fetch_add(1, Ordering::SeqCst);
                open.spawn(behave(stream, number));
            }
        });
        Self { address, seen, connections, task }
    }

    /// An address where nobody listens.
    pub(crate) fn nobody() -> Address {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        Address(format!("http://{}", listener.local_addr().unwrap()))
    }

    pub(crate) fn requests(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// Serves one answer to every request on a Unix socket.
pub(crate) fn unix(path: &std::path::Path, answer: &'static [u8]) -> JoinHandle<()> {
    let listener = UnixListener::bind(path).unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                while matches!(stream.read(&mut buffer).await, Ok(read) if read > 0) {
                    if stream.write_all(answer).await.is_err() {
                        return;
                    }
                }
            });
        }
    })
}

/// Reads one request's head (and whatever comes with it).
pub(crate) async fn read_head(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    while !text.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read(&mut buffer).await {
            Ok(read) if read > 0 => text.extend_from_slice(&buffer[..read]),
            _ => break,
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// Waits until something is so, for at most ten seconds.
pub(crate) async fn eventually(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..2_000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it never came about that {what}");
}

/// A socket bound to a port of its own.
pub(crate) fn socket() -> (std::net::TcpListener, SocketAddr) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}
