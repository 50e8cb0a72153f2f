//! TLS with certificates that change while they are in use: rustls on aws-lc-rs.
//!
//! | module | idea |
//! |---|---|
//! | [`Certificate`] | a server that everybody may speak to: the gateway at its front |
//! | [`Credentials`] | the parts of a stack among themselves: each shows a certificate of the stack's own authority |
//! | [`outside()`], [`connect`] | a client of servers that are no part of the stack |
//! | [`accept`], [`follow`] | a handshake that ends in time; files read again |
//! | `issue` | certificates made: for the operator, and for tests |
//!
//! Not here: what is spoken over the connections, and who may do what. A certificate says that somebody is a part of the stack; what a
//! part may do, its tokens say.

mod certificate;
mod credentials;
#[cfg(feature = "issue")]
pub mod issue;
mod outside;
mod pem;

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

pub use certificate::Certificate;
pub use credentials::{Accepted, Connected, Credentials, is_http2};
pub use outside::{connect, outside};
pub use rustls::{ClientConfig, ServerConfig};
pub use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};

/// A changed file is noticed within this time.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A peer that takes longer over its handshake is not waited for.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// The server's side of a handshake, ten seconds at most.
pub async fn accept<S>(config: Arc<ServerConfig>, stream: S) -> io::Result<Accepted<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let handshake = tokio_rustls::TlsAcceptor::from(config).accept(stream);
    tokio::time::timeout(HANDSHAKE_MAX, handshake).await?
}

/// Reads again, every second and for ever, what may have changed. `told` hears of what cannot be used, once as long as it is the same: what
/// is in use stays.
pub async fn follow(reload: impl Fn() -> io::Result<()>, told: impl Fn(&str)) -> Infallible {
    let mut last = None;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let fault = reload().err().map(|error| error.to_string());
        if let Some(fault) = fault.as_deref().filter(|fault| last.as_deref() != Some(*fault)) {
            told(fault);
        }
        last = fault;
    }
}
