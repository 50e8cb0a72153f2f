//! Services that speak HTTP/2: one that answers as it is told, and one that sends the frames that it likes.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use settings::{Address, GatewayConfig, Protocol, Route};
use tls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::backend::Backend;
use crate::house::config;
use crate::http2::frames::{SETTINGS, frame};

/// An answer's body.
pub(crate) type Sent = UnsyncBoxBody<Bytes, hyper::Error>;

const PING: u8 = 6;
const ACK: u8 = 1;

/// A gateway that speaks HTTP/2 with these.
pub(crate) fn told(endpoints: Vec<Address>, routes: Vec<Route>) -> GatewayConfig {
    let mut config = config(endpoints, routes);
    config.body_bytes_max = 8 * 1024 * 1024;
    let upstream = config.upstreams.get_mut("patient-service").unwrap();
    (upstream.protocol, upstream.slow_start_ms) = (Protocol::Http2, 0);
    config
}

pub(crate) fn full(text: impl Into<Bytes>) -> Sent {
    Full::new(text.into()).map_err(|never: Infallible| match never {}).boxed_unsync()
}

/// What was asked, in a line of text.
pub(crate) async fn echo(request: Request<Incoming>) -> Response<Sent> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else { return Response::new(full("")) };
    let line = format!("{} {} {} {:?}", head.method, head.uri, body.to_bytes().len(), head.version);
    Response::new(full(line))
}

/// Speaks HTTP/2 on a connection, and says goodbye after a time, if that is said.
pub(crate) async fn converse<S, F, A>(stream: S, streams_max: u32, goodbye: Option<Duration>, answer: F)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Fn(Request<Incoming>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Response<Sent>> + Send + 'static,
{
    let service = service_fn(move |request| {
        let answer = answer.clone();
        async move { Ok::<_, Infallible>(answer(request).await) }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.max_concurrent_streams(streams_max);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    if let Some(goodbye) = goodbye {
        tokio::select! {
            _ = connection.as_mut() => return,
            () = tokio::time::sleep(goodbye) => connection.as_mut().graceful_shutdown(),
        }
    }
    let _ = connection.await;
}

/// A service that speaks HTTP/2 and nothing else.
pub(crate) async fn service<F, A>(answer: F) -> Backend
where
    F: Fn(Request<Incoming>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Response<Sent>> + Send + 'static,
{
    Backend::raw(move |stream, _| converse(stream, 100, None, answer.clone())).await
}

/// The same behind TLS, where these can be agreed upon.
pub(crate) async fn behind_tls(config: &Arc<ServerConfig>, alpn: &[&str]) -> Backend {
    let mut config = ServerConfig::clone(config);
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let config = Arc::new(config);
    let mut backend = Backend::raw(move |stream, _| {
        let config = Arc::clone(&config);
        async move {
            let Ok(stream) = tls::accept(config, stream).await else { return };
            if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                return converse(stream, 100, None, echo).await;
            }
            let echo = service_fn(async |request| Ok::<_, Infallible>(echo(request).await));
            let http1 = hyper::server::conn::http1::Builder::new();
            let _ = http1.serve_connection(TokioIo::new(stream), echo).await;
        }
    })
    .await;
    backend.address = Address(backend.address.0.replacen("http", "https", 1));
    backend
}

/// The service's end of a connection, frame by frame.
pub(crate) struct Frames {
    pub(crate) stream: TcpStream,
}

impl Frames {
    /// Hears the client's preface, and greets it with these settings.
    pub(crate) async fn greet(mut stream: TcpStream, settings: &[u8]) -> Option<Self> {
        let mut preface = [0; 24];
        stream.read_exact(&mut preface).await.ok()?;
        assert!(preface.starts_with(b"PRI * HTTP/2.0\r\n"));
        let mut this = Self { stream };
        this.send(SETTINGS, 0, 0, settings).await;
        Some(this)
    }

    pub(crate) async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let _ = self.stream.write_all(&frame(kind, flags, stream, payload)).await;
    }

    /// The next frame of this kind: its stream. Settings and pings are acknowledged. `None`: the client has ended the connection.
    pub(crate) async fn until(&mut self, wanted: u8) -> Option<u32> {
        loop {
            let mut head = [0; 9];
            self.stream.read_exact(&mut head).await.ok()?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            self.stream.read_exact(&mut payload).await.ok()?;
            let (kind, flags) = (head[3], head[4]);
            if flags & ACK == 0 && matches!(kind, SETTINGS | PING) {
                let payload = if kind == PING { &payload[..] } else { &[] };
                self.send(kind, ACK, 0, payload).await;
            }
            if kind == wanted {
                return Some(u32::from_be_bytes(head[5..].try_into().unwrap()));
            }
        }
    }
}
