//! A service among the parts of its stack: who shows a certificate of the stack's authority is served, over real sockets, and nobody else.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use contracts::auth::{ListRevocations, RevocationFilter};
use contracts::client::Transport;
use db::Engine;
use http_kit::serve::{self, Running};
use reqwest::Client;
use tempfile::TempDir;
use tls::issue::{self, Issued, Signer, Subject, Use};
use tls::{ClientConfig, Credentials};
use tokio::net::TcpStream;

use super::*;

#[expect(clippy::disallowed_methods, reason = "certificates are checked by the machine's own clock")]
fn now() -> DateTime<Utc> {
    Utc::now()
}

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

    /// Files of a part, which is found at localhost, and believes these.
    fn write(&self, folder: &Path, believed: &[&Self]) {
        let hosts = vec!["localhost".to_owned()];
        let subject = Subject { name: "part", hosts, uses: &[Use::Server, Use::Client] };
        let believed: String = believed.iter().map(|authority| authority.certificate.as_str()).collect();
        let issued = self.signer.issue(subject, now()..now() + TimeDelta::days(3)).unwrap();
        issued.write(folder, &believed).unwrap();
    }

    fn part(&self, believed: &[&Self]) -> (TempDir, Arc<Credentials>) {
        let folder = tempfile::tempdir().unwrap();
        self.write(folder.path(), believed);
        let credentials = Credentials::read(folder.path()).unwrap();
        (folder, credentials)
    }
}

/// A service that listens with TLS, and what belongs to it.
struct Scene {
    test: TestDb,
    folder: TempDir,
    credentials: Arc<Credentials>,
    metrics: Metrics,
    running: Running,
    port: u16,
}

/// A port that nobody has, below those that the kernel gives away: no connection of another test takes it before it is listened at.
fn free_port() -> u16 {
    static TRIED: AtomicUsize = AtomicUsize::new(0);
    let first = usize::try_from(std::process::id()).unwrap() * 97;
    loop {
        let port = 20_000 + (first + TRIED.fetch_add(1, Ordering::Relaxed)) % 12_000;
        let port = u16::try_from(port).unwrap();
        if std::net::TcpListener::bind(("0.0.0.0", port)).is_ok() {
            return port;
        }
    }
}

impl Scene {
    async fn set(authority: &Authority) -> Self {
        let test = TestDb::new(Engine::Sqlite, ServiceName::PatientService, &no_tables()).await;
        let (folder, credentials) = authority.part(&[authority]);
        let port = free_port();
        let settings = settings(test.settings().clone(), Address(format!("[::]:{port}")));
        let world = World { credentials: Some(Arc::clone(&credentials)), ..world(&test) };
        let metrics = world.metrics.clone();
        let running = serve::start(service(no_tables()), settings, world).await.unwrap();
        Self { test, folder, credentials, metrics, running, port }
    }

    fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port)
    }

    /// The status that a client gets, on a connection of its own.
    async fn status(&self, config: &ClientConfig, path: &str) -> reqwest::Result<u16> {
        let client = Client::builder().tls_backend_preconfigured(config.clone()).no_proxy().build().unwrap();
        client.get(self.url(path)).send().await.map(|answer| answer.status().as_u16())
    }
}

/// Who believes the authority and shows nothing.
fn nobody(authority: &Authority) -> ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    let pem = authority.certificate.as_bytes();
    roots.add(rustls::pki_types::pem::PemObject::from_pem_slice(pem).unwrap()).unwrap();
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

#[tokio::test]
async fn a_part_is_served_and_whoever_has_a_foreign_certificate_or_none_is_not() {
    let (ours, foreign) = (Authority::new(), Authority::new());
    let scene = Scene::set(&ours).await;
    let (_folder, part) = ours.part(&[&ours]);
    assert_eq!(scene.status(&part.client(), "/slow").await.unwrap(), 200);

    let (_folder, stranger) = foreign.part(&[&foreign, &ours]);
    assert!(scene.status(&stranger.client(), "/livez").await.is_err(), "a stranger is served");
    assert!(scene.status(&nobody(&ours), "/livez").await.is_err(), "nobody is served");
    let plain = format!("http://127.0.0.1:{}/livez", scene.port);
    assert!(reqwest::get(plain).await.is_err(), "without TLS one is served");

    assert_eq!(scene.status(&part.client(), "/livez").await.unwrap(), 200);
    let page = scene.metrics.page();
    assert!(page.contains(r#"healthcare_tls_refused_total{service="patient-service"} 3"#), "{page}");
    scene.running.stop().await;
    scene.test.teardown().await;
}

#[tokio::test]
async fn who_offers_http2_gets_it_and_who_does_not_gets_http_1() {
    let ours = Authority::new();
    let scene = Scene::set(&ours).await;
    let (_folder, part) = ours.part(&[&ours]);
    let connect = async || TcpStream::connect(("127.0.0.1", scene.port)).await.unwrap();
    let name = tls::ServerName::try_from("localhost").unwrap();
    let stream = part.connect_http2(name.clone(), connect().await).await.unwrap();
    assert!(tls::is_http2(&stream));
    let mut client = crate::http2::client(stream).await;
    let answer = client.send_request(crate::http2::request("GET", "/slow")).await.unwrap();
    assert_eq!((answer.version(), answer.status().as_u16()), (http::Version::HTTP_2, 200));
    let stream = part.connect(name, connect().await).await.unwrap();
    assert!(!tls::is_http2(&stream));
    assert_eq!(scene.status(&part.client(), "/slow").await.unwrap(), 200);
    scene.running.stop().await;
    scene.test.teardown().await;
}

#[tokio::test]
async fn whoever_takes_long_over_a_handshake_keeps_nobody_waiting() {
    let ours = Authority::new();
    let scene = Scene::set(&ours).await;
    let (_folder, part) = ours.part(&[&ours]);
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(TcpStream::connect(("127.0.0.1", scene.port)).await.unwrap());
    }
    let begun = Instant::now();
    assert_eq!(scene.status(&part.client(), "/livez").await.unwrap(), 200);
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    // Nor does it keep the service from ending.
    scene.running.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    drop(silent);
    scene.test.teardown().await;
}

#[tokio::test]
async fn one_that_lingers_asks_not_to_be_called_again() {
    let ours = Authority::new();
    let scene = Scene::set(&ours).await;
    let (_folder, part) = ours.part(&[&ours]);
    let config = ClientConfig::clone(&part.client());
    let client = Client::builder().tls_backend_preconfigured(config).no_proxy().build().unwrap();
    let closes = async |path: &str| {
        let answer = client.get(scene.url(path)).send().await.unwrap();
        (answer.status().as_u16(), answer.headers().contains_key("connection"))
    };
    assert_eq!(closes("/readyz").await, (200, false));
    scene.running.linger();
    assert_eq!(closes("/readyz").await, (503, true));
    assert_eq!(closes("/slow").await, (200, true));
    let slow = tokio::spawn(client.get(scene.url("/slow")).send());
    tokio::time::sleep(Duration::from_millis(100)).await;
    scene.running.stop().await;
    assert_eq!(slow.await.unwrap().unwrap().status().as_u16(), 200, "what was under way is finished");
    scene.test.teardown().await;
}

/// Callers with one connection each, and callers with a new one each time, while the authority changes under both ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_changes_step_by_step_and_no_request_fails() {
    let (old, new) = (Authority::new(), Authority::new());
    let scene = Arc::new(Scene::set(&old).await);
    let (folder, part) = old.part(&[&old]);
    let address = Address(scene.url(""));
    let way =
        Transport::new(&address, Some(Arc::clone(&part)), Arc::new(String::new), Random::seeded(1)).unwrap();
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let kept = {
        let (stop, answered, way) = (Arc::clone(&stop), Arc::clone(&answered), Arc::clone(&way));
        tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                way.call::<ListRevocations>(&[], &RevocationFilter { after: None }, &()).await.unwrap();
                answered.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    let fresh = {
        let (stop, scene, part) = (Arc::clone(&stop), Arc::clone(&scene), Arc::clone(&part));
        let answered = Arc::clone(&answered);
        tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                assert_eq!(scene.status(&part.client(), "/livez").await.unwrap(), 200);
                answered.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    let steps: [(&Authority, &[&Authority]); 3] =
        [(&old, &[&old, &new]), (&new, &[&new, &old]), (&new, &[&new])];
    for (authority, believed) in steps {
        for (folder, credentials) in [(scene.folder.path(), &scene.credentials), (folder.path(), &part)] {
            authority.write(folder, believed);
            credentials.reload().unwrap();
            let before = answered.load(Ordering::Relaxed);
            while answered.load(Ordering::Relaxed) < before + 20 {
                assert!(!kept.is_finished() && !fresh.is_finished(), "a request failed");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
    stop.store(true, Ordering::Relaxed);
    kept.await.unwrap();
    fresh.await.unwrap();
    let scene = Arc::into_inner(scene).unwrap();
    scene.running.stop().await;
    scene.test.teardown().await;
}

#[test]
fn a_peer_that_speaks_tls_cannot_be_called_without_a_certificate() {
    let address = Address("https://clinic-patient-service:8082".to_owned());
    let error = Transport::new(&address, None, Arc::new(String::new), Random::seeded(1)).unwrap_err();
    assert!(error.to_string().contains("speaks TLS, and there is no certificate"), "{error}");
}
