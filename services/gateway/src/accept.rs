//! Connections: accepted up to a bound, served by hyper, ended gently.

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use http::Request;
use http_kit::stop::Phase;
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::client::Peer;
use crate::edge::Edge;
use crate::gateway::Core;
use crate::http2;
use crate::link::Link;
use crate::target::{HEADERS_BYTES_MAX, URI_BYTES_MAX};
use crate::way;

/// So many connections at once, unless somebody says otherwise; further ones wait in the kernel's queue.
pub(crate) const CONNECTIONS_MAX: u32 = 16_384;
/// Out of file descriptors: trying again at once would only spin.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(50);

/// What whoever accepts connections needs.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) tls: Option<Arc<ServerConfig>>,
    pub(crate) core: Arc<Core>,
}

/// Accepts until the gateway drains.
pub(crate) async fn run(listener: TcpListener, Door { tls, core }: Door) {
    let mut phase = core.phase.clone();
    let mut draining = pin!(phase.wait_for(|phase| *phase >= Phase::Draining));
    loop {
        let room = tokio::select! {
            biased;
            _ = &mut draining => return,
            room = core.crowd.room() => room,
        };
        let Some(room) = room else { return };
        let accepted = tokio::select! {
            biased;
            _ = &mut draining => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
                continue;
            }
        };
        let address = address.ip();
        let Some(place) = core.crowd.admit(room, address, &core.snapshot.load().trusted) else {
            core.meters.turned_away.inc();
            continue;
        };
        // Answers are written whole; waiting for more to send only adds latency.
        let _ = stream.set_nodelay(true);
        let core = Arc::clone(&core);
        match tls.clone() {
            None => tokio::spawn(async move {
                converse(stream, Origin { address, is_tls: false }, core).await;
                drop(place);
            }),
            Some(tls) => tokio::spawn(async move {
                converse_in_secret(stream, address, tls, core).await;
                drop(place);
            }),
        };
    }
}

/// The same behind TLS.
async fn converse_in_secret(stream: TcpStream, address: IpAddr, tls: Arc<ServerConfig>, core: Arc<Core>) {
    // In boxes: the handshake's is gone with it, and the stream is large.
    let Ok(stream) = Box::pin(async { tls::accept(tls, stream).await.map(Box::new) }).await else { return };
    let origin = Origin { address, is_tls: true };
    if stream.get_ref().1.alpn_protocol() == Some(http2::ALPN) {
        Box::pin(http2::converse(stream, origin, core)).await;
    } else {
        converse(stream, origin, core).await;
    }
}

/// Where a connection comes from.
#[derive(Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) address: IpAddr,
    pub(crate) is_tls: bool,
}

/// Serves one connection to its end. What it needs while it rests is all that the future is made of, since thousands do: so nothing is taken as
/// an argument and then moved, for which there would be room twice.
pub(crate) fn converse<S>(stream: S, origin: Origin, core: Arc<Core>) -> impl Future<Output = ()> + Send
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let (mut edge, link) = Edge::new(stream, origin.is_tls, Arc::clone(&core));
    let mut phase = core.phase.clone();
    async move {
        loop {
            // In a box, which is gone while the connection rests.
            let read;
            (edge, read) = match Box::pin(serve_until_unused(edge, origin, &core, &link, &mut phase)).await {
                After::Rest(edge) => (edge, None),
                After::Http(edge, read) => (edge, Some(read)),
                After::End => return,
            };
            if let Some(read) = read {
                // In a box: few connections come to that, and none that rests should have room for it.
                return Box::pin(leave(edge, read, &core, &link)).await;
            }
            let more = tokio::select! {
                biased;
                more = edge.wait() => more,
                _ = phase.wait_for(|phase| *phase >= Phase::Draining) => return,
                () = core.crowd.pressed() => return,
            };
            if !more {
                return;
            }
        }
    }
}

/// What becomes of a connection after a time of requests.
enum After<S> {
    /// Nobody uses it just now.
    Rest(Edge<S>),
    /// It carries no more requests. With what was read beyond the last.
    Http(Edge<S>, Bytes),
    /// It broke, or was cut off.
    End,
}

/// What calls a connection away from its requests.
enum Call {
    /// The gateway is to end.
    Leave,
    /// Nobody has used it for a while.
    Rest,
}

/// Serves one connection until nobody has used it for a while, and then gives it back: what hyper needs for a request is a hundred times what
/// a connection needs that waits for one.
async fn serve_until_unused<S>(
    edge: Edge<S>,
    Origin { address, is_tls }: Origin,
    core: &Arc<Core>,
    link: &Arc<Link>,
    phase: &mut watch::Receiver<Phase>,
) -> After<S>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let peer = Arc::new(Peer::new(address, is_tls));
    let service = service_fn(|request: Request<Incoming>| {
        link.begin(request.body().is_end_stream());
        let (core, peer, link) = (Arc::clone(core), Arc::clone(&peer), Arc::clone(link));
        async move { Ok::<_, Infallible>(way::answer(core, &peer, link, request).await) }
    });
    let connection = http1::Builder::new()
        // Idle and slow clients are the edge's business: one timer a connection instead of one a request.
        .header_read_timeout(None)
        // Answers go out with what comes of them meanwhile, in one buffer: that is written faster than a list of two.
        .writev(false)
        .max_buf_size(HEADERS_BYTES_MAX + URI_BYTES_MAX)
        .max_header_size(HEADERS_BYTES_MAX)
        .serve_connection(TokioIo::new(edge), service);
    let mut connection = Box::new(connection);
    // Seldom, while the connection is polled with every request: so it is asked only when it has something to say.
    let mut call = FuturesUnordered::from_iter([async {
        tokio::select! {
            biased;
            _ = phase.wait_for(|phase| *phase >= Phase::Draining) => Call::Leave,
            () = link.unused() => Call::Rest,
        }
    }]);
    let ended = tokio::select! {
        biased;
        ended = &mut *connection => Ok(ended),
        Some(call) = call.next() => Err(call),
    };
    drop(call);
    let ended = match ended {
        Ok(ended) => ended,
        Err(Call::Rest) => {
            let parts = connection.into_parts();
            let mut edge = parts.io.into_inner();
            link.forget();
            edge.go_back(&parts.read_buf);
            return After::Rest(edge);
        }
        Err(Call::Leave) => {
            Pin::new(&mut *connection).graceful_shutdown();
            tokio::select! {
                ended = &mut *connection => ended,
                _ = phase.wait_for(|phase| *phase == Phase::Ended) => return After::End,
            }
        }
    };
    // How a connection ends is the client's business; requests are logged where they are answered.
    if ended.is_err() {
        return After::End;
    }
    let parts = connection.into_parts();
    After::Http(parts.io.into_inner(), parts.read_buf)
}

/// What comes after HTTP on a connection: a WebSocket, or nothing.
async fn leave<S>(mut edge: Edge<S>, read: Bytes, core: &Core, link: &Link)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    match link.tunnel() {
        Some(tunnel) => tunnel.run(core, edge.into_stream(), &read).await,
        // hyper leaves that to others where somebody only asked for an upgrade.
        None if !edge.is_shut() => {
            let _ = edge.shutdown().await;
        }
        None => {}
    }
}
