//! A client of servers that are no part of the stack: whoever vouches for them is believed, and no certificate is shown.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{Connected, pem};

/// TLS 1.2 and 1.3 with a server for which the authorities in this file (PEM) vouch, or without one those that everybody believes.
pub fn outside(authorities: Option<&Path>) -> io::Result<Arc<ClientConfig>> {
    let roots: RootCertStore = match authorities {
        Some(path) => pem::authorities(path, &pem::read(path)?)?,
        None => webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect(),
    };
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// The client's side of a handshake with the server of this name.
pub async fn connect<S>(
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    stream: S,
) -> io::Result<Connected<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    tokio_rustls::TlsConnector::from(config).connect(name, stream).await
}
