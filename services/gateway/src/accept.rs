//! Connections: accepted up to a bound, served by hyper, ended gently.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use http_kit::stop::Phase;
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use crate::client::Peer;
use crate::edge::{Edge, Link};
use crate::gateway::Core;
use crate::target::{HEADERS_BYTES_MAX, URI_BYTES_MAX};
use crate::way;

/// So many connections at once; further ones wait in the kernel's queue.
pub(crate) const CONNECTIONS_MAX: usize = 16_384;
/// Out of file descriptors: trying again at once would only spin.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(50);

/// What whoever accepts connections needs.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) tls: Option<Arc<ServerConfig>>,
    pub(crate) core: Arc<Core>,
    pub(crate) places: Arc<Semaphore>,
}

/// Accepts until the gateway drains.
pub(crate) async fn run(listener: TcpListener, Door { tls, core, places }: Door) {
    let mut phase = core.phase.clone();
    let mut draining = pin!(phase.wait_for(|phase| *phase >= Phase::Draining));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
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
        let (core, tls) = (Arc::clone(&core), tls.clone());
        tokio::spawn(async move {
            serve(stream, address, tls, core).await;
            drop(place);
        });
    }
}

async fn serve(stream: TcpStream, address: SocketAddr, tls: Option<Arc<ServerConfig>>, core: Arc<Core>) {
    // Answers are written whole; waiting for more to send only adds latency.
    let _ = stream.set_nodelay(true);
    let address = address.ip();
    match tls {
        None => converse(stream, Origin { address, is_tls: false }, core).await,
        // In a box, so that a connection without TLS is not as large as one with it.
        Some(tls) => {
            let converse = async move {
                if let Ok(stream) = tls::accept(tls, stream).await {
                    converse(Box::new(stream), Origin { address, is_tls: true }, core).await;
                }
            };
            Box::pin(converse).await;
        }
    }
}

/// Where a connection comes from.
#[derive(Clone, Copy)]
struct Origin {
    address: IpAddr,
    is_tls: bool,
}

/// Serves one connection to its end.
async fn converse<S>(stream: S, origin: Origin, core: Arc<Core>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let (mut edge, link) = Edge::new(stream, Arc::clone(&core));
    let mut phase = core.phase.clone();
    loop {
        // In a box, which is gone while the connection rests.
        edge = match Box::pin(serve_until_unused(edge, origin, &core, &link, &mut phase)).await {
            Some(waiting) => waiting,
            None => return,
        };
        let more = tokio::select! {
            more = edge.wait() => more,
            _ = phase.wait_for(|phase| *phase >= Phase::Draining) => return,
        };
        if !more {
            return;
        }
    }
}

/// Serves one connection until nobody has used it for a while, and then gives it back: what hyper needs for a request is a hundred times what
/// a connection needs that waits for one. `None` when the connection has ended.
async fn serve_until_unused<S>(
    edge: Edge<S>,
    Origin { address, is_tls }: Origin,
    core: &Arc<Core>,
    link: &Arc<Link>,
    phase: &mut watch::Receiver<Phase>,
) -> Option<Edge<S>>
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
        .max_buf_size(HEADERS_BYTES_MAX + URI_BYTES_MAX)
        .max_header_size(HEADERS_BYTES_MAX)
        .serve_connection(TokioIo::new(edge), service);
    let mut connection = Box::new(connection);
    tokio::select! {
        biased;
        // How a connection ends is the client's business; requests are logged where they are answered.
        _ = &mut *connection => return None,
        _ = phase.wait_for(|phase| *phase >= Phase::Draining) => Pin::new(&mut *connection).graceful_shutdown(),
        () = link.unused() => {
            let parts = connection.into_parts();
            let mut edge = parts.io.into_inner();
            edge.put_back(&parts.read_buf);
            link.forget();
            return Some(edge);
        }
    }
    tokio::select! {
        _ = connection => {}
        _ = phase.wait_for(|phase| *phase == Phase::Ended) => {}
    }
    None
}
