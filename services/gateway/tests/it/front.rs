//! A gateway that strangers reach over TLS: its certificate, and clients that believe it.

use std::net::SocketAddr;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tempfile::TempDir;
use tls::Certificate;
use tls::issue::{self, Issued, Signer, Subject, Use};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The name in the certificate.
pub(crate) const NAME: &str = "clinic.example";

/// A certificate on disk, and who believes it.
pub(crate) struct Front {
    folder: TempDir,
    authority: Issued,
    pub(crate) certificate: Arc<Certificate>,
}

#[expect(clippy::disallowed_methods, reason = "certificates are checked by the machine's own clock")]
fn now() -> DateTime<Utc> {
    Utc::now()
}

impl Front {
    pub(crate) fn new() -> Self {
        let authority = issue::authority("Front", now()..now() + TimeDelta::days(9)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        write(&authority, &folder);
        let certificate =
            Certificate::read(&folder.path().join("tls.crt"), &folder.path().join("tls.key")).unwrap();
        Self { folder, authority, certificate }
    }

    /// Another certificate of the same authority, in the files' place.
    pub(crate) fn renew(&self) {
        write(&self.authority, &self.folder);
        self.certificate.reload().unwrap();
    }

    /// What a gateway listens with.
    pub(crate) fn listener(&self, socket: std::net::TcpListener) -> gateway::Listener {
        gateway::Listener::from(socket).with_tls(self.certificate.server_config().unwrap())
    }

    /// A connection that offers these protocols.
    pub(crate) async fn connect(&self, address: SocketAddr, alpn: &[&str]) -> TlsStream<TcpStream> {
        let stream = TcpStream::connect(address).await.unwrap();
        self.shake_hands(stream, alpn).await
    }

    pub(crate) async fn shake_hands(&self, stream: TcpStream, alpn: &[&str]) -> TlsStream<TcpStream> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.authority.certificate.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        let name = ServerName::try_from(NAME).unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
    }
}

fn write(authority: &Issued, folder: &TempDir) {
    let signer = Signer::new("Front", &authority.key).unwrap();
    let subject = Subject { name: "front", hosts: vec![NAME.to_owned()], uses: &[Use::Server] };
    let issued = signer.issue(subject, now()..now() + TimeDelta::days(3)).unwrap();
    issued.write(folder.path(), &authority.certificate).unwrap();
}
