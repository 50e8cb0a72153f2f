//! A provider whose certificate is by an authority of the clinic's own.

use std::net::SocketAddr;
use std::path::Path;

use axum::serve::Listener;
use chrono::TimeDelta;
use testkit::oidc::settings_of;
use tls::issue::{self, Signer, Subject, Use};
use tokio::net::{TcpListener, TcpStream};

use super::forger::Forger;
use super::*;

/// Takes connections in TLS.
struct Door {
    listener: TcpListener,
    config: Arc<tls::ServerConfig>,
}

impl Listener for Door {
    type Io = tls::Accepted<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let (stream, from) = self.listener.accept().await.unwrap();
            // Whoever does not believe the certificate hangs up.
            if let Ok(stream) = tls::accept(Arc::clone(&self.config), stream).await {
                return (stream, from);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A certificate for this machine, in a folder, and who vouches for it.
fn certificate(folder: &Path) -> (Arc<tls::Certificate>, String) {
    let now = Clock::system().now();
    let valid = now..now + TimeDelta::days(2);
    let authority = issue::authority("clinic", valid.clone()).unwrap();
    let subject = Subject { name: "login", hosts: vec!["localhost".to_owned()], uses: &[Use::Server] };
    let issued = Signer::new("clinic", &authority.key).unwrap().issue(subject, valid).unwrap();
    issued.write(folder, &authority.certificate).unwrap();
    let certificate = tls::Certificate::read(&folder.join("tls.crt"), &folder.join("tls.key")).unwrap();
    (certificate, authority.certificate)
}

#[test]
fn it_is_believed_if_the_resource_names_the_authority_and_not_else() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, authority) = certificate(folder.path());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let issuer = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let ca = Some(settings::SecretRef { secret: "outside".to_owned(), key: "ca.crt".to_owned() });
    let staff = settings::IdentityProvider { ca, ..settings_of("staff", &issuer) };
    let other = settings_of("other", &issuer);
    let settings = move |settings: &mut ServiceSettings| {
        settings.auth.identity_providers = vec![staff.clone(), other.clone()];
    };
    testkit::stack::run_with(Engine::Sqlite, SERVICES, settings, |stack| async move {
        let secret = |key, text: &[u8]| stack.secret(ServiceName::AuthService, "outside", key, text);
        let _ = secret("client-secret", CLIENT_SECRET.as_bytes());
        let door = Door {
            listener: TcpListener::from_std(listener).unwrap(),
            config: certificate.server_config().unwrap(),
        };
        let forger = Forger::start(door, issuer);
        let begin = |path: &'static str| post(&stack, path, json!({}));
        let _ = begin("/api/auth/oidc/staff/start").await.expect(503);
        tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
        let _ = secret("ca.crt", authority.as_bytes());
        let started = start(&stack).await;
        forger.gives(&forger.signs(&forger.claims(&stack, &started)));
        let _ = finish(&stack, &started, &forger.back(&started)).await.expect(200);
        let _ = begin("/api/auth/oidc/other/start").await.expect(503);
    });
}
