//! [`TlsListener`]: connections of the stack's other parts, each with its handshake done.
//!
//! Handshakes are done beside each other, so that who takes long over one keeps nobody waiting; each ends in time
//! ([`tls::accept`]), and no more than [`HANDSHAKES_MAX`] are under way: beyond that, connections wait in the kernel's queue.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::Listener;
use prometheus_client::metrics::counter::Counter;
use tls::{Accepted, Credentials};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::telemetry::Metrics;

/// Handshakes under way at once. All pods of a large stack that start together have fewer.
const HANDSHAKES_MAX: usize = 512;
/// Out of file descriptors: trying again at once would only spin.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(50);

type Connection = (Accepted<TcpStream>, SocketAddr);

/// Accepts parts of the stack, and nobody else.
pub(crate) struct TlsListener {
    socket: TcpListener,
    credentials: Arc<Credentials>,
    handshakes: JoinSet<Option<Connection>>,
    refused: Counter,
}

impl TlsListener {
    /// On a socket that listens.
    pub(crate) fn new(
        socket: TcpListener,
        credentials: Arc<Credentials>,
        metrics: &Metrics,
        part: &'static str,
    ) -> Self {
        let refused = Counter::default();
        metrics.register(part, |registry| {
            let help = "Connections that were not let in: without a certificate of the stack's, or without a handshake in time";
            registry.register("tls_refused", help, refused.clone());
        });
        Self { socket, credentials, handshakes: JoinSet::new(), refused }
    }

    fn begin(&mut self, stream: TcpStream, peer: SocketAddr) {
        // Answers are written whole; waiting for more to send only adds latency.
        let _ = stream.set_nodelay(true);
        let (config, refused) = (self.credentials.server(), self.refused.clone());
        self.handshakes.spawn(async move {
            match tls::accept(config, stream).await {
                Ok(stream) => Some((stream, peer)),
                Err(error) => {
                    refused.inc();
                    tracing::debug!(%peer, %error, "a connection was not let in");
                    None
                }
            }
        });
    }
}

impl Listener for TlsListener {
    type Io = Accepted<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> Connection {
        loop {
            tokio::select! {
                // One that panicked has ended that connection alone.
                Some(done) = self.handshakes.join_next() => if let Ok(Some(connection)) = done {
                    return connection;
                },
                accepted = self.socket.accept(), if self.handshakes.len() < HANDSHAKES_MAX => match accepted {
                    Ok((stream, peer)) => self.begin(stream, peer),
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
                    }
                },
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}
