//! [`Credentials`]: who a part of a stack is to the others, and whom it believes.
//!
//! Both sides of a connection show a certificate, and both are checked: the client's against the authorities alone, the server's against its
//! name too. TLS 1.3 and nothing else, since both ends are ours; sessions are taken up again without another proof, until the files change.
//!
//! A change of the files makes new configurations, rather than change the old ones: with them go the sessions that were begun under
//! authorities which may not be believed any more. Connections that are open stay as they are.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_lc_rs::digest::{SHA256, digest};
use rustls::crypto::{CryptoProvider, aws_lc_rs as crypto};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::pem;

/// A connection that was accepted.
pub type Accepted<S> = tokio_rustls::server::TlsStream<S>;
/// A connection that was made.
pub type Connected<S> = tokio_rustls::client::TlsStream<S>;

const CHAIN: &str = "tls.crt";
const KEY: &str = "tls.key";
const AUTHORITIES: &str = "ca.crt";
/// What is spoken over a connection, as it is called in a handshake (RFC 7301). Services speak both; a client says which it would rather have.
const HTTP1: &[u8] = b"http/1.1";
const HTTP2: &[u8] = b"h2";

/// Who a part is, and whom it believes: the files `tls.crt`, `tls.key` and `ca.crt` of a folder.
#[derive(Debug)]
pub struct Credentials {
    folder: PathBuf,
    current: ArcSwap<Current>,
}

/// What was made of the files as they were read last.
#[derive(Debug)]
struct Current {
    /// A digest of the files.
    mark: Vec<u8>,
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
    /// The same, which offers HTTP/2 too.
    client_http2: Arc<ClientConfig>,
}

impl Credentials {
    /// Reads the files for the first time.
    ///
    /// # Errors
    /// If one is not what it should be, or the certificate is not of one of the authorities: the peers believe the same ones, and would
    /// refuse it.
    pub fn read(folder: &Path) -> io::Result<Arc<Self>> {
        let files = Files::read(folder)?;
        Ok(Arc::new(Self { folder: folder.to_owned(), current: ArcSwap::from_pointee(files.load(folder)?) }))
    }

    /// Reads the files again, for connections from now on. If they cannot be used, those in use stay.
    pub fn reload(&self) -> io::Result<()> {
        let files = Files::read(&self.folder)?;
        if files.mark() != self.current.load().mark {
            self.current.store(Arc::new(files.load(&self.folder)?));
        }
        Ok(())
    }

    /// For a server that lets in parts of the stack, and nobody else. The same one until the files change.
    pub fn server(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.load().server)
    }

    /// For a client of the stack's parts. The same one until the files change.
    pub fn client(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.current.load().client)
    }

    /// The client's side of a handshake with the part of this name.
    pub async fn connect<S>(&self, name: ServerName<'static>, stream: S) -> io::Result<Connected<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        tokio_rustls::TlsConnector::from(self.client()).connect(name, stream).await
    }

    /// The same where HTTP/2 is spoken if the other part does ([`is_http2`]), and HTTP/1.1 else.
    pub async fn connect_http2<S>(&self, name: ServerName<'static>, stream: S) -> io::Result<Connected<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let config = Arc::clone(&self.current.load().client_http2);
        tokio_rustls::TlsConnector::from(config).connect(name, stream).await
    }
}

/// Whether both ends agreed upon HTTP/2.
pub fn is_http2<S>(stream: &Connected<S>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(HTTP2)
}

/// The files' bytes. Another process may be exchanging them: they need not belong together.
struct Files {
    chain: Vec<u8>,
    key: Vec<u8>,
    authorities: Vec<u8>,
}

impl Files {
    fn read(folder: &Path) -> io::Result<Self> {
        Ok(Self {
            chain: pem::read(&folder.join(CHAIN))?,
            key: pem::read(&folder.join(KEY))?,
            authorities: pem::read(&folder.join(AUTHORITIES))?,
        })
    }

    fn mark(&self) -> Vec<u8> {
        let each = [&self.chain, &self.key, &self.authorities];
        each.map(|bytes| digest(&SHA256, bytes).as_ref().to_vec()).concat()
    }

    fn load(&self, folder: &Path) -> io::Result<Current> {
        let chain = pem::chain(&folder.join(CHAIN), &self.chain)?;
        let key = pem::key(&folder.join(KEY), &self.key)?;
        let authorities = Arc::new(pem::authorities(&folder.join(AUTHORITIES), &self.authorities)?);
        let at =
            |error: rustls::Error| io::Error::other(format!("{}: {error}", folder.join(CHAIN).display()));
        let provider = Arc::new(crypto::default_provider());
        let parts =
            WebPkiClientVerifier::builder_with_provider(Arc::clone(&authorities), Arc::clone(&provider))
                .build()
                .map_err(io::Error::other)?;
        let own = chain.split_first().ok_or(io::ErrorKind::InvalidData)?;
        parts.verify_client_cert(own.0, own.1, UnixTime::now()).map_err(at)?;
        let client = client(&provider, authorities, chain.clone(), key.clone_key()).map_err(at)?;
        let mut client_http2 = client.clone();
        client_http2.alpn_protocols.insert(0, HTTP2.to_vec());
        Ok(Current {
            mark: self.mark(),
            client: Arc::new(client),
            client_http2: Arc::new(client_http2),
            server: server(provider, parts, chain, key).map_err(at)?,
        })
    }
}

fn server(
    provider: Arc<CryptoProvider>,
    parts: Arc<dyn ClientCertVerifier>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(parts)
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![HTTP2.to_vec(), HTTP1.to_vec()];
    // A session is the client's to keep, so that however many clients there are takes no room here.
    config.ticketer = crypto::Ticketer::new()?;
    Ok(Arc::new(config))
}

fn client(
    provider: &Arc<CryptoProvider>,
    authorities: Arc<RootCertStore>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ClientConfig, rustls::Error> {
    let mut config = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(authorities)
        .with_client_auth_cert(chain, key)?;
    config.alpn_protocols = vec![HTTP1.to_vec()];
    Ok(config)
}
