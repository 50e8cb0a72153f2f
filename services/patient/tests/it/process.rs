//! A service as a process of its own, as those who run it see it: what it says when it cannot start, and how it ends. What is tried here
//! on one service is the same code in all seven.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use contracts::auth::JwkSet;
use contracts::kek::kek_id;
use db::Engine;
use http_kit::identity::generate_key;
use settings::{
    Address, AuthSettings, Integrations, InternalTls, Observability, PasswordPolicy, Peer, ServiceSettings,
};
use testkit::{Running, TestDb};
use tls::Credentials;
use tls::issue::{self, Signer, Subject, Use};
use tokio::net::{TcpListener, TcpStream, UnixStream};

use super::*;

/// A database and a folder with all that the process needs.
struct Scene {
    test: TestDb,
    address: SocketAddr,
}

fn free_address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl Scene {
    async fn set() -> Self {
        let test = TestDb::new(Engine::Postgres, ServiceName::PatientService, &patient::MIGRATIONS).await;
        let (key, jwk) = generate_key("patient-service").unwrap();
        let scene = Self { address: free_address(), test };
        scene.secret("patient-service-identity/key.p8", &key);
        let identities = JwkSet { keys: vec![jwk] };
        scene.secret("service-identities/jwks.json", &serde_json::to_vec(&identities).unwrap());
        scene.tell(&scene.settings());
        scene
    }

    fn dir(&self) -> &Path {
        self.test.dir()
    }

    fn secret(&self, name: &str, value: &[u8]) {
        let path = self.dir().join("secrets").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, value).unwrap();
    }

    fn settings(&self) -> ServiceSettings {
        let nobody = Peer { address: Address(format!("http://{}", free_address())) };
        ServiceSettings {
            service: ServiceName::PatientService,
            listen: Address(self.address.to_string()),
            admin_listen: None,
            tls: None,
            database: self.test.settings().clone(),
            encryption: settings::Encryption::default(),
            time_zone: "Europe/Berlin".to_owned(),
            currency: "EUR".to_owned(),
            peers: [(ServiceName::AuthService, nobody)].into(),
            calls: settings::ServiceCalls::default(),
            auth: AuthSettings {
                issuer: "https://clinic.test".to_owned(),
                audience: "healthcare-stack".to_owned(),
                access_token_seconds: 600,
                refresh_token_seconds: 86_400,
                session_seconds: 604_800,
                log_off: BTreeMap::new(),
                second_factor: settings::SecondFactor::default(),
                identity_providers: Vec::new(),
                revocations_stale_seconds: settings::REVOCATIONS_STALE_SECONDS,
                password_policy: PasswordPolicy::default(),
            },
            access: settings::AccessSettings::default(),
            retention: settings::RetentionSettings::default(),
            appointments: settings::AppointmentSettings::default(),
            integrations: Integrations::default(),
            observability: Observability::default(),
        }
    }

    fn tell(&self, settings: &ServiceSettings) {
        std::fs::write(self.dir().join("settings.json"), serde_json::to_vec(settings).unwrap()).unwrap();
    }

    fn command(&self, command: &str) -> Command {
        let mut patient = Command::new(env!("CARGO_BIN_EXE_patient"));
        patient.arg(command).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        patient.env("HEALTHCARE_SETTINGS", self.dir().join("settings.json"));
        patient.env("HEALTHCARE_SECRETS_DIR", self.dir().join("secrets"));
        patient
    }

    /// The one line that a process leaves behind that does not start.
    fn refusal(&self) -> String {
        self.refusal_within(Duration::from_secs(10))
    }

    /// Of a database that does not know who is asking: whoever makes it so may be about to.
    fn refusal_of_login(&self) -> String {
        self.refusal_within(Duration::from_secs(40))
    }

    fn refusal_within(&self, longest: Duration) -> String {
        let begun = Instant::now();
        let output = self.command("serve").output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(begun.elapsed() < longest, "it is said in time");
        let text = String::from_utf8(output.stderr).unwrap();
        // What is waited for is logged before, as JSON.
        let said: Vec<_> = text.lines().filter(|line| !line.starts_with('{')).collect();
        assert_eq!(said.len(), 1, "{text}");
        said[0].to_owned()
    }

    /// The status of an answer, once there is one.
    async fn status(&self, path: &str) -> u16 {
        self.status_at(self.address, path).await
    }

    async fn status_at(&self, address: SocketAddr, path: &str) -> u16 {
        let url = format!("http://{address}{path}");
        for _ in 0..1_000 {
            if let Ok(answer) = reqwest::get(&url).await {
                return answer.status().as_u16();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("no answer from {url}");
    }
}

#[tokio::test]
async fn what_is_missing_or_refused_is_said_in_one_line() {
    let scene = Scene::set().await;
    let url = scene.dir().join("secrets/database/url");
    let good = std::fs::read_to_string(&url).unwrap();
    let (base, query) = good.split_once('?').unwrap();

    std::fs::write(&url, good.replacen("postgres@", "nobody@", 1)).unwrap();
    assert!(scene.refusal_of_login().contains("role \"nobody\" does not exist"));
    std::fs::write(&url, format!("{base}_not_there?{query}")).unwrap();
    assert!(scene.refusal_of_login().contains("does not exist (code 3D000)"));
    std::fs::remove_file(&url).unwrap();
    assert!(scene.refusal().contains("secret database/url cannot be read: entity not found"));
    std::fs::remove_file(scene.dir().join("secrets/patient-service-identity/key.p8")).unwrap();
    assert!(scene.refusal().contains("secret patient-service-identity/key.p8 cannot be read"));
    std::fs::write(scene.dir().join("settings.json"), "{}").unwrap();
    assert!(scene.refusal().contains("settings.json: missing field"));
    std::fs::remove_file(scene.dir().join("settings.json")).unwrap();
    assert!(scene.refusal().contains("settings.json: No such file"));
    scene.test.teardown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_does_not_answer_yet_is_waited_for() {
    let scene = Scene::set().await;
    let url = scene.dir().join("secrets/database/url");
    let good = std::fs::read_to_string(&url).unwrap();
    let (base, socket_dir) = good.split_once("?host=").unwrap();
    let database = free_address();
    let remote = base.replacen("@localhost", &format!("@{database}"), 1);
    std::fs::write(&url, format!("{remote}?sslmode=disable")).unwrap();

    let mut process = Running::start(scene.command("serve").stderr(Stdio::null()));
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(process.is_alive(), "it waits");
    let listener = TcpListener::bind(database).await.unwrap();
    let socket = Path::new(socket_dir).join(".s.PGSQL.5432");
    let forward = tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let socket = socket.clone();
            tokio::spawn(async move {
                let mut server = UnixStream::connect(socket).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    assert_eq!(scene.status("/readyz").await, 200);
    process.cut();
    forward.abort();
    scene.test.teardown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_wrapped_under_the_key_that_is_meant_and_no_other() {
    let scene = Scene::set().await;
    let [first, second] = [b"a test's key-encryption key: 32B", b"the next key-encryption key: 32B"];
    let [first_id, second_id] = [first, second].map(kek_id);
    let rewrap = |args: &[&str]| {
        let output = scene.command("rewrap").args(args).stdout(Stdio::piped()).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    scene.secret("kek/current", second);
    let (code, _, said) = rewrap(&["--under", &second_id]);
    assert_eq!(code, Some(1));
    assert!(said.contains("which the secret kek does not hold"), "{said}");

    scene.secret("kek/previous", first);
    let (code, _, said) = rewrap(&["--under", &first_id]);
    assert_eq!(code, Some(1));
    let why = format!("has {second_id} as its current key here, not {first_id}");
    assert!(said.contains(&why) && said.lines().count() == 1, "{said}");
    for anew in [1, 0] {
        let (code, told, said) = rewrap(&["--under", &second_id]);
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(told, format!("patient-service: {anew} keys wrapped anew; all 1 are under {second_id}\n"));
    }
    assert_eq!(rewrap(&["--under"]).0, Some(1));
    std::fs::remove_file(scene.dir().join("secrets/kek/previous")).unwrap();
    assert_eq!(rewrap(&[]).0, Some(0));
    scene.test.teardown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn told_to_terminate_it_lingers_and_then_ends_well() {
    let scene = Scene::set().await;
    let mut process = Running::start(scene.command("serve").stderr(Stdio::null()));
    assert_eq!(scene.status("/readyz").await, 200, "although auth does not answer");
    assert!(scene.command("healthcheck").status().unwrap().success());

    let begun = Instant::now();
    process.signal("TERM");
    while scene.status("/readyz").await == 200 {
        assert!(begun.elapsed() < Duration::from_secs(1), "readiness goes at once");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(TcpStream::connect(scene.address).await.is_ok(), "who comes is still served");
    assert_eq!(scene.status("/livez").await, 200);
    assert!(!scene.command("healthcheck").stderr(Stdio::null()).status().unwrap().success());
    assert_eq!(process.ended().await, Some(0));
    assert!(begun.elapsed() >= http_kit::stop::LINGER);
    scene.test.teardown().await;
}

/// Makes an authority, and files of a part of 127.0.0.1 that is known by it.
fn part(folder: &Path, believed: &str) -> String {
    #[expect(clippy::disallowed_methods, reason = "certificates are checked by the machine's own clock")]
    let now = chrono::Utc::now();
    let valid = now..now + chrono::TimeDelta::days(3);
    let authority = issue::authority("Test", valid.clone()).unwrap();
    let hosts = vec!["127.0.0.1".to_owned()];
    let subject = Subject { name: "patient-service", hosts, uses: &[Use::Server, Use::Client] };
    let issued = Signer::new("Test", &authority.key).unwrap().issue(subject, valid).unwrap();
    issued.write(folder, &(authority.certificate.clone() + believed)).unwrap();
    authority.certificate
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_tls_it_is_asked_how_it_is_at_its_admin_port_and_reads_certificates_again() {
    let scene = Scene::set().await;
    let admin = free_address();
    let settings = ServiceSettings {
        admin_listen: Some(Address(admin.to_string())),
        tls: Some(InternalTls { secret: "tls".to_owned() }),
        ..scene.settings()
    };
    scene.tell(&settings);
    let refusal = scene.refusal();
    assert!(refusal.contains("the secret tls cannot be used: ") && refusal.contains("tls.crt: No such file"));

    let folder = scene.dir().join("secrets/tls");
    let old = part(&folder, "");
    let as_before = tempfile::tempdir().unwrap();
    for file in ["tls.crt", "tls.key", "ca.crt"] {
        std::fs::copy(folder.join(file), as_before.path().join(file)).unwrap();
    }
    let mut process = Running::start(scene.command("serve").stderr(Stdio::null()));
    let begun = Instant::now();
    while scene.status_at(admin, "/readyz").await != 200 {
        assert!(begun.elapsed() < Duration::from_secs(20), "it does not get ready");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(scene.command("healthcheck").status().unwrap().success());
    let lives = async |credentials: &Credentials| {
        let config = tls::ClientConfig::clone(&credentials.client());
        let client = reqwest::Client::builder().tls_backend_preconfigured(config).no_proxy().build().unwrap();
        client.get(format!("https://{}/livez", scene.address)).send().await.is_ok()
    };
    let before = Credentials::read(as_before.path()).unwrap();
    assert!(lives(&before).await);
    assert!(
        reqwest::get(format!("http://{}/livez", scene.address)).await.is_err(),
        "without TLS one is served"
    );

    part(&folder, &old);
    let after = Credentials::read(&folder).unwrap();
    let begun = Instant::now();
    while !lives(&after).await {
        assert!(begun.elapsed() < Duration::from_secs(5), "another certificate is not seen");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!lives(&before).await, "it shows a certificate that they do not know yet");

    process.signal("TERM");
    while scene.status_at(admin, "/readyz").await == 200 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(scene.status_at(admin, "/livez").await, 200);
    assert!(lives(&after).await, "who comes is still served");
    assert!(!scene.command("healthcheck").stderr(Stdio::null()).status().unwrap().success());
    assert_eq!(process.ended().await, Some(0));
    scene.test.teardown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whom_the_version_before_registered_is_found_once_it_serves() {
    let scene = Scene::set().await;
    let db = scene.test.db();
    index::register_old(db, "a").await;
    let mut process = Running::start(scene.command("serve").stderr(Stdio::null()));
    assert_eq!(scene.status("/readyz").await, 200);
    assert_eq!(index::found(db, &index::named("maria")).await, ["a"]);
    assert!(index::old_owners(db).await.is_empty());
    process.cut();
    scene.test.teardown().await;
}
