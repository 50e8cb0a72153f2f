//! Services behind TLS: both ends show a certificate of the stack's authority, and the service's is that of its name, wherever it is reached.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use http::Response;
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use settings::{Address, GatewayConfig, Method};
use tempfile::TempDir;
use tls::Credentials;
use tls::issue::{self, Issued, Signer, Subject, Use};

use crate::backend::Backend;
use crate::house::{House, config, public};

pub(crate) const SERVICE: &str = "clinic-patient-service";

#[expect(clippy::disallowed_methods, reason = "certificates are checked by the machine's own clock")]
fn now() -> DateTime<Utc> {
    Utc::now()
}

pub(crate) struct Authority {
    pub(crate) certificate: String,
    signer: Signer,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let Issued { certificate, key } =
            issue::authority("Test", now()..now() + TimeDelta::days(9)).unwrap();
        Self { certificate, signer: Signer::new("Test", &key).unwrap() }
    }

    fn write(&self, folder: &Path, believed: &[&Self]) {
        self.write_for(SERVICE, folder, believed);
    }

    /// A certificate for a host, and whom its owner believes.
    pub(crate) fn write_for(&self, host: &str, folder: &Path, believed: &[&Self]) {
        let subject =
            Subject { name: "part", hosts: vec![host.to_owned()], uses: &[Use::Server, Use::Client] };
        let believed: String = believed.iter().map(|authority| authority.certificate.as_str()).collect();
        let issued = self.signer.issue(subject, now()..now() + TimeDelta::days(3)).unwrap();
        issued.write(folder, &believed).unwrap();
    }
}

/// A part, with its folder.
pub(crate) struct Part {
    folder: TempDir,
    pub(crate) credentials: Arc<Credentials>,
}

impl Part {
    pub(crate) fn of(authority: &Authority, believed: &[&Authority]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        authority.write(folder.path(), believed);
        Self { credentials: Credentials::read(folder.path()).unwrap(), folder }
    }

    fn becomes(&self, authority: &Authority, believed: &[&Authority]) {
        authority.write(self.folder.path(), believed);
        self.credentials.reload().unwrap();
    }
}

/// A service that answers `ok`, to parts that it lets in, and keeps connections or does not.
async fn service(part: &Part, keeps: bool) -> Backend {
    let credentials = Arc::clone(&part.credentials);
    let mut backend = Backend::raw(move |stream, _| {
        let config = credentials.server();
        async move {
            let Ok(stream) = tls::accept(config, stream).await else { return };
            let ok = service_fn(async |_| {
                Ok::<_, std::convert::Infallible>(Response::new(Full::new(Bytes::from_static(b"ok"))))
            });
            let _ = http1::Builder::new().keep_alive(keeps).serve_connection(TokioIo::new(stream), ok).await;
        }
    })
    .await;
    backend.address = Address(backend.address.0.replacen("http", "https", 1));
    backend
}

/// As pods stand in a Service's place: by address, under the Service's name.
fn told(backend: &Backend, name: Option<&str>) -> GatewayConfig {
    let mut config = config(vec![backend.address.clone()], vec![public(Method::Get, "/x")]);
    let upstream = config.upstreams.get_mut("patient-service").unwrap();
    upstream.server_name = name.map(str::to_owned);
    config
}

async fn before(backend: &Backend, name: Option<&str>, part: &Part) -> House {
    House::with_credentials(told(backend, name), Some(Arc::clone(&part.credentials))).await
}

#[tokio::test]
async fn a_pod_is_called_by_its_address_and_known_by_its_services_name() {
    let ours = Authority::new();
    let (server, gateway) = (Part::of(&ours, &[&ours]), Part::of(&ours, &[&ours]));
    let backend = service(&server, true).await;
    let house = before(&backend, Some(SERVICE), &gateway).await;
    assert!(house.gateway.is_ready().await);
    for _ in 0..5 {
        assert_eq!(house.get("/x").await.text(), "ok");
    }
    assert_eq!(backend.connections(), 1, "it is kept");
}

#[tokio::test]
async fn a_pod_of_another_service_or_of_another_stack_gets_no_request() {
    let (ours, foreign) = (Authority::new(), Authority::new());
    let gateway = Part::of(&ours, &[&ours]);
    let backend = service(&Part::of(&ours, &[&ours]), true).await;
    for name in [None, Some("clinic-billing-service")] {
        let house = before(&backend, name, &gateway).await;
        house.get("/x").await.assert_problem(503, "unavailable");
        assert!(!house.gateway.is_ready().await, "{name:?}");
    }
    let backend = service(&Part::of(&foreign, &[&foreign, &ours]), true).await;
    let house = before(&backend, Some(SERVICE), &gateway).await;
    house.get("/x").await.assert_problem(503, "unavailable");
}

#[tokio::test]
async fn a_gateway_of_another_stack_is_not_let_in() {
    let (ours, foreign) = (Authority::new(), Authority::new());
    let backend = service(&Part::of(&ours, &[&ours]), true).await;
    let house = before(&backend, Some(SERVICE), &Part::of(&foreign, &[&foreign, &ours])).await;
    assert_eq!(house.get("/x").await.status / 100, 5);
}

#[tokio::test]
async fn without_a_certificate_of_its_own_a_gateway_takes_no_such_address() {
    let ours = Authority::new();
    let backend = service(&Part::of(&ours, &[&ours]), true).await;
    let refused = gateway::Gateway::check(&told(&backend, None), None).unwrap_err();
    assert_eq!(
        refused.faults,
        [format!(
            "upstreams.patient-service.endpoints: {} speaks TLS, and there is no certificate to show it (--upstream-tls)",
            backend.address
        )]
    );
}

/// A new connection for each request, while both ends change as a rotation changes them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_changes_step_by_step_and_no_request_fails() {
    let (old, new) = (Authority::new(), Authority::new());
    let (server, gateway) = (Part::of(&old, &[&old]), Part::of(&old, &[&old]));
    let backend = service(&server, false).await;
    let house = Arc::new(before(&backend, Some(SERVICE), &gateway).await);
    let stop = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let (house, stop) = (Arc::clone(&house), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut answered = 0;
                while !stop.load(Ordering::Relaxed) {
                    let answer = house.get("/x").await;
                    assert_eq!(answer.status, 200, "{}", answer.text());
                    answered += 1;
                }
                answered
            })
        })
        .collect();
    let steps: [(&Authority, &[&Authority]); 3] =
        [(&old, &[&old, &new]), (&new, &[&new, &old]), (&new, &[&new])];
    for (authority, believed) in steps {
        for part in [&server, &gateway] {
            part.becomes(authority, believed);
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    let mut answered = 0;
    for caller in callers {
        answered += caller.await.unwrap();
    }
    assert!(answered >= 24 && backend.connections() >= answered, "{answered}, {}", backend.connections());
}
