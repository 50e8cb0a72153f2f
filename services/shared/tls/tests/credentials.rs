//! Parts that show each other certificates, and those who have none of the stack's: over streams in memory, with real handshakes.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

use std::io;
use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use rustls::HandshakeKind;
use tempfile::TempDir;
use tls::issue::{self, Issued, Signer, Subject, Use};
use tls::{Accepted, Connected, Credentials, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

const SERVER: &str = "clinic-patient-service";

#[expect(clippy::disallowed_methods, reason = "certificates are checked by the machine's own clock")]
fn now() -> DateTime<Utc> {
    Utc::now()
}

/// An authority.
struct Authority {
    certificate: String,
    signer: Signer,
}

impl Authority {
    fn new() -> Self {
        let Issued { certificate, key } =
            issue::authority("Test", now()..now() + TimeDelta::days(9)).unwrap();
        Self { certificate, signer: Signer::new("Test", &key).unwrap() }
    }

    fn issue(&self, uses: &[Use], from: DateTime<Utc>) -> Issued {
        let subject = Subject { name: "patient-service", hosts: vec![SERVER.to_owned()], uses };
        self.signer.issue(subject, from..from + TimeDelta::days(3)).unwrap()
    }

    /// Files of a part that believes these.
    fn write(&self, folder: &Path, believed: &[&Self]) {
        let believed: String = believed.iter().map(|authority| authority.certificate.as_str()).collect();
        self.issue(&[Use::Server, Use::Client], now()).write(folder, &believed).unwrap();
    }
}

/// A part, with its folder.
struct Part {
    folder: TempDir,
    credentials: Arc<Credentials>,
}

impl Part {
    fn new(authority: &Authority, believed: &[&Authority]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        authority.write(folder.path(), believed);
        Self { credentials: Credentials::read(folder.path()).unwrap(), folder }
    }

    fn becomes(&self, authority: &Authority, believed: &[&Authority]) {
        authority.write(self.folder.path(), believed);
        self.credentials.reload().unwrap();
    }
}

type Pair = (Accepted<DuplexStream>, Connected<DuplexStream>);

/// A connection, once a byte has gone each way: with TLS 1.3 a client hears only then that it was not let in.
async fn meet(server: &Part, client: &Part, name: &str) -> io::Result<Pair> {
    let (near, far) = tokio::io::duplex(1 << 16);
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let accept = tls::accept(server.credentials.server(), far);
    let connect = client.credentials.connect(name, near);
    let (mut accepted, mut connected) = match tokio::join!(accept, connect) {
        (Ok(accepted), Ok(connected)) => (accepted, connected),
        // Either may be the one that knows why.
        (accepted, connected) => {
            let told = [accepted.err(), connected.err()].into_iter().flatten();
            return Err(io::Error::other(told.map(|error| error.to_string()).collect::<Vec<_>>().join("; ")));
        }
    };
    connected.write_all(b"?").await?;
    assert_eq!(accepted.read_u8().await?, b'?');
    accepted.write_all(b"!").await?;
    assert_eq!(connected.read_u8().await?, b'!');
    Ok((accepted, connected))
}

async fn refusal(server: &Part, client: &Part, name: &str) -> String {
    match meet(server, client, name).await {
        Err(error) => error.to_string(),
        Ok(_) => panic!("it was let in"),
    }
}

#[tokio::test]
async fn parts_of_one_stack_meet_and_a_name_that_is_not_the_servers_ends_it() {
    let authority = Authority::new();
    let (server, client) = (Part::new(&authority, &[&authority]), Part::new(&authority, &[&authority]));
    let (accepted, _) = meet(&server, &client, SERVER).await.unwrap();
    assert_eq!(accepted.get_ref().1.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
    assert_eq!(accepted.get_ref().1.peer_certificates().map(<[_]>::len), Some(1));
    assert!(refusal(&server, &client, "clinic-billing-service").await.contains("not valid for name"));
}

#[tokio::test]
async fn a_foreign_authoritys_part_is_refused_by_either_side() {
    let (ours, foreign) = (Authority::new(), Authority::new());
    let (server, client) = (Part::new(&ours, &[&ours]), Part::new(&foreign, &[&foreign, &ours]));
    assert!(refusal(&server, &client, SERVER).await.contains("UnknownIssuer"));
    let (server, client) = (Part::new(&foreign, &[&foreign, &ours]), Part::new(&ours, &[&ours]));
    assert!(refusal(&server, &client, SERVER).await.contains("UnknownIssuer"));
}

#[tokio::test]
async fn who_shows_no_certificate_is_refused() {
    let authority = Authority::new();
    let server = Part::new(&authority, &[&authority]);
    let mut roots = rustls::RootCertStore::empty();
    let pem = authority.certificate.as_bytes();
    roots.add(rustls::pki_types::pem::PemObject::from_pem_slice(pem).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let (near, far) = tokio::io::duplex(1 << 16);
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let connect = connector.connect(SERVER.try_into().unwrap(), near);
    let (accepted, _) = tokio::join!(tls::accept(server.credentials.server(), far), connect);
    assert!(accepted.unwrap_err().to_string().contains("peer sent no certificates"));
}

#[tokio::test]
async fn a_session_is_taken_up_again_until_the_files_change() {
    let (old, new) = (Authority::new(), Authority::new());
    let (server, client) = (Part::new(&old, &[&old]), Part::new(&old, &[&old]));
    let kind = async || {
        let (accepted, _) = meet(&server, &client, SERVER).await.unwrap();
        accepted.get_ref().1.handshake_kind().unwrap()
    };
    assert_eq!(kind().await, HandshakeKind::Full);
    assert_eq!(kind().await, HandshakeKind::Resumed);
    server.credentials.reload().unwrap();
    assert_eq!(kind().await, HandshakeKind::Resumed, "nothing has changed");
    server.becomes(&new, &[&new, &old]);
    client.becomes(&old, &[&old, &new]);
    assert_eq!(kind().await, HandshakeKind::Full);
    // Its session must not outlive the belief in its authority.
    server.becomes(&new, &[&new]);
    assert!(refusal(&server, &client, SERVER).await.contains("UnknownIssuer"));
}

/// In every step of a rotation, whoever is a step behind is let in by whoever is not, and lets them in.
#[tokio::test]
async fn an_authority_changes_and_nobody_is_refused() {
    let (old, new) = (Authority::new(), Authority::new());
    let steps: [(&Authority, &[&Authority]); 4] =
        [(&old, &[&old]), (&old, &[&old, &new]), (&new, &[&new, &old]), (&new, &[&new])];
    let (one, other) = (Part::new(&old, &[&old]), Part::new(&old, &[&old]));
    for (authority, believed) in steps {
        one.becomes(authority, believed);
        meet(&one, &other, SERVER).await.unwrap();
        meet(&other, &one, SERVER).await.unwrap();
        other.becomes(authority, believed);
        meet(&other, &one, SERVER).await.unwrap();
    }
}

#[tokio::test]
async fn files_that_do_not_belong_together_are_refused_and_those_in_use_stay() {
    let (ours, foreign) = (Authority::new(), Authority::new());
    let (server, client) = (Part::new(&ours, &[&ours]), Part::new(&ours, &[&ours]));
    let folder = client.folder.path();
    let both = [Use::Server, Use::Client];
    let refused = |says: &str| {
        let told = client.credentials.reload().unwrap_err().to_string();
        assert!(told.contains(says) && told.starts_with(folder.to_str().unwrap()), "{told}");
        assert_eq!(Credentials::read(folder).unwrap_err().to_string(), told);
    };
    std::fs::write(folder.join("tls.key"), ours.issue(&both, now()).key).unwrap();
    refused("tls.crt: keys may not be consistent: KeyMismatch");
    foreign.issue(&both, now()).write(folder, &ours.certificate).unwrap();
    refused("tls.crt: invalid peer certificate: UnknownIssuer");
    ours.issue(&both, now() - TimeDelta::days(9)).write(folder, &ours.certificate).unwrap();
    refused("expired");
    ours.issue(&[Use::Server], now()).write(folder, &ours.certificate).unwrap();
    refused("tls.crt: invalid peer certificate: certificate does not allow extended key usage");
    ours.issue(&both, now()).write(folder, "").unwrap();
    refused("ca.crt: there is no certificate in it");
    std::fs::remove_file(folder.join("tls.key")).unwrap();
    refused("tls.key: No such file");
    meet(&server, &client, SERVER).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_does_not_come_to_its_end_is_given_up() {
    let authority = Authority::new();
    let server = Part::new(&authority, &[&authority]);
    let (_silent, far) = tokio::io::duplex(1 << 10);
    let began = tokio::time::Instant::now();
    let error = tls::accept(server.credentials.server(), far).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert!(began.elapsed().as_secs() == 10);
}
