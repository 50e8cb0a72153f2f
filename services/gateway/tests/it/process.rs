//! The binary as those who run it see it: its signals, its admin port, its exit.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use contracts::ambient::Clock;
use contracts::auth::{Jwk, JwkSet};
use contracts::permission::Permission;
use http::Response;
use http_body_util::Full;
use http_kit::identity::generate_key;
use http_kit::keys::KeyRing;
use http_kit::token::{Claims, Verifier};
use settings::{GatewayAuth, Method};
use testkit::Running;
use testkit::collector::{Answers, Collector};

use crate::backend::{Backend, socket};
use crate::house::{config, guarded, public};
use crate::wire::{Answer, Client};

/// A gateway process; ended when dropped.
pub(crate) struct Process {
    running: Running,
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
}

pub(crate) fn gateway(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gateway"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command.env_remove("HEALTHCARE_SECRETS_DIR");
    command
}

impl Process {
    async fn start(dir: &Path, config: &settings::GatewayConfig) -> Self {
        Self::start_with(dir, config, &[]).await
    }

    async fn start_with(dir: &Path, config: &settings::GatewayConfig, more: &[&str]) -> Self {
        let (file, keys) = (dir.join("gateway.json"), dir.join("jwks.json"));
        // JSON is YAML.
        std::fs::write(&file, serde_json::to_string(config).unwrap()).unwrap();
        std::fs::write(&keys, r#"{"keys": []}"#).unwrap();
        let arguments = ["--config", file.to_str().unwrap(), "--jwks", keys.to_str().unwrap()];
        Self::of(gateway(&arguments).args(more)).await
    }

    /// Runs it at addresses of its own, until it is ready.
    pub(crate) async fn of(command: &mut Command) -> Self {
        let (address, admin) = (socket().1, socket().1);
        command.args(["--listen", &address.to_string(), "--admin-listen", &admin.to_string()]);
        let process = Self { running: Running::start(command.stderr(Stdio::null())), address, admin };
        for _ in 0..500 {
            if tokio::net::TcpStream::connect(process.admin).await.is_ok()
                && process.get(process.admin, "/readyz").await.status == 200
            {
                return process;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the gateway does not get ready");
    }

    pub(crate) async fn get(&self, address: SocketAddr, path: &str) -> Answer {
        Client::connect(address).await.ask("GET", path, &[], "").await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn told_to_terminate_it_lingers_and_then_ends_well() {
    let (dir, backend) = (tempfile::tempdir().unwrap(), Backend::echo().await);
    let config = config(vec![backend.address.clone()], vec![public(Method::Get, "/x")]);
    let mut process = Process::start(dir.path(), &config).await;
    assert_eq!(process.get(process.address, "/x").await.status, 200);
    assert!(process.get(process.admin, "/metrics").await.text().contains("healthcare_gateway_requests"));

    process.running.signal("TERM");
    let begun = Instant::now();
    while process.get(process.admin, "/readyz").await.status == 200 {
        assert!(begun.elapsed() < Duration::from_secs(1), "readiness goes at once");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let answer = process.get(process.address, "/x").await;
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    assert_eq!(process.get(process.admin, "/livez").await.status, 200);
    assert_eq!(process.running.ended().await, Some(0));
    assert!(begun.elapsed() >= http_kit::stop::LINGER);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_an_identity_it_asks_who_was_logged_out_and_may_do_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let (key, jwk) = generate_key("api-gateway").unwrap();
    std::fs::create_dir(dir.path().join("api-gateway-identity")).unwrap();
    std::fs::write(dir.path().join("api-gateway-identity/key.p8"), key).unwrap();
    let auth = Backend::answering(|request| async move {
        if request.uri().query().is_some() {
            tokio::time::sleep(Duration::from_mins(1)).await;
        }
        Response::new(Full::new(Bytes::from_static(br#"{"items": [], "cursor": 7}"#)))
    })
    .await;
    let mut config = config(Vec::new(), vec![public(Method::Get, "/x")]);
    let upstream = settings::Upstream {
        endpoints: vec![auth.address.clone()],
        ..config.upstreams["patient-service"].clone()
    };
    config.upstreams.insert("auth-service".to_owned(), upstream);
    let process =
        Process::start_with(dir.path(), &config, &["--secrets-dir", dir.path().to_str().unwrap()]).await;

    let asked = auth.requests();
    let header = asked[0].headers["authorization"].to_str().unwrap();
    let ring = KeyRing::fixed(&JwkSet::default(), &JwkSet { keys: vec![jwk] });
    let GatewayAuth { issuer, audience, .. } = &config.auth;
    let verifier = Verifier::new(issuer, audience, ring, Arc::default(), Clock::system());
    let caller = verifier.authorize(Some(header)).await.unwrap();
    assert_eq!(caller.user, "service:api-gateway");
    assert_eq!(caller.permissions.iter().collect::<Vec<_>>(), [Permission::RevocationsRead]);
    let page = process.get(process.admin, "/metrics").await;
    assert!(page.text().contains("healthcare_revocations_age_seconds"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_keys_of_a_file_come_and_go_with_it() {
    let (dir, backend) = (tempfile::tempdir().unwrap(), Backend::echo().await);
    let config = config(vec![backend.address.clone()], vec![guarded(Method::Get, "/x", &[])]);
    let process = Process::start(dir.path(), &config).await;
    let ((one, one_jwk), (two, two_jwk)) = (generate_key("k1").unwrap(), generate_key("k2").unwrap());
    let GatewayAuth { issuer, audience, .. } = &config.auth;
    let now = Clock::system().now().timestamp();
    let token = |key: &[u8], kid: &str| {
        let claims =
            serde_json::json!({"iss": issuer, "aud": audience, "sub": "usr_1", "iat": now, "exp": now + 600});
        let claims: Claims = serde_json::from_value(claims).unwrap();
        claims.sign(&jsonwebtoken::EncodingKey::from_ed_der(key), kid)
    };
    let (one, two) = (token(&one, "k1"), token(&two, "k2"));
    let mut client = Client::connect(process.address).await;
    let mut expect = async |keys: &[&Jwk], statuses: [u16; 2]| {
        std::fs::write(dir.path().join("jwks.json"), serde_json::json!({"keys": keys}).to_string()).unwrap();
        let begun = Instant::now();
        loop {
            let mut seen = [0; 2];
            for (seen, token) in seen.iter_mut().zip([&one, &two]) {
                let headers = [("authorization", &*format!("Bearer {token}"))];
                *seen = client.ask("GET", "/x", &headers, "").await.status;
            }
            if seen == statuses {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(10), "{seen:?} instead of {statuses:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    expect(&[&one_jwk], [200, 401]).await;
    expect(&[&one_jwk, &two_jwk], [200, 200]).await;
    expect(&[&two_jwk], [401, 200]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_who_presses_ctrl_c_does_not_wait() {
    let (dir, backend) = (tempfile::tempdir().unwrap(), Backend::echo().await);
    let config = config(vec![backend.address.clone()], vec![public(Method::Get, "/x")]);
    let mut process = Process::start(dir.path(), &config).await;
    let begun = Instant::now();
    process.running.signal("INT");
    assert_eq!(process.running.ended().await, Some(0));
    assert!(begun.elapsed() < http_kit::stop::LINGER);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn healthcheck_says_by_its_exit_whether_the_gateway_is_ready() {
    let (dir, backend) = (tempfile::tempdir().unwrap(), Backend::echo().await);
    let config = config(vec![backend.address.clone()], vec![public(Method::Get, "/x")]);
    let process = Process::start(dir.path(), &config).await;
    for address in [process.address, process.admin] {
        let output = gateway(&["healthcheck", "--listen", &address.to_string()]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    let nobody = socket().1.to_string();
    assert!(
        says(&gateway(&["healthcheck", "--listen", &nobody]).output().unwrap()).contains("does not answer")
    );
}

/// The one line that a process that failed leaves behind.
fn says(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    text
}

#[test]
fn what_is_missing_is_said_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("gateway.yaml");
    let run = |more: &[&str]| {
        let arguments = ["--config", file.to_str().unwrap(), "--listen", "127.0.0.1:0"];
        says(&gateway(&arguments).args(more).output().unwrap())
    };
    assert!(run(&[]).contains("gateway.yaml: No such file"));
    std::fs::write(&file, include_str!("../../examples/gateway.yaml")).unwrap();
    let secrets = dir.path().to_str().unwrap();
    assert!(run(&["--secrets-dir", secrets]).contains("secret api-gateway-identity/key.p8 cannot be read"));
    std::fs::create_dir(dir.path().join("api-gateway-identity")).unwrap();
    std::fs::write(dir.path().join("api-gateway-identity/key.p8"), "no key").unwrap();
    assert!(run(&["--secrets-dir", secrets]).contains("not an Ed25519 key"));
    assert!(run(&["--upstream-tls", secrets]).contains("tls.crt: No such file"));
    std::fs::write(&file, "routes: []\nlimits: {}\n").unwrap();
    assert!(run(&[]).contains("gateway.yaml: line 2 column 1: missing field `upstreams`"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_requests_traces_are_sent_before_it_ends() {
    let (dir, backend) = (tempfile::tempdir().unwrap(), Backend::echo().await);
    let collector = Collector::start(Answers::Takes).await;
    let mut config = config(vec![backend.address.clone()], vec![public(Method::Get, "/x")]);
    config.observability.tracing = Some(settings::Tracing {
        endpoint: collector.endpoint().to_owned(),
        sample_percent: 100,
        ..settings::Tracing::default()
    });
    let mut process = Process::start(dir.path(), &config).await;
    let spans = |number: usize| move |spans: &[testkit::collector::Seen]| spans.len() >= number;
    assert_eq!(process.get(process.address, "/x").await.status, 200);
    collector.wait_for("the first", spans(2)).await;
    // Right behind a batch, a second before the next.
    assert_eq!(process.get(process.address, "/x").await.status, 200);
    process.running.signal("INT");
    assert_eq!(process.running.ended().await, Some(0));
    assert_eq!(collector.spans().len(), 4);
}
