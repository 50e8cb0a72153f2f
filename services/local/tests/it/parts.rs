//! [`Parts`]: a stack whose parts are processes, each asked directly; on one machine, by sockets, with the secrets and settings that one
//! process would have.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use contracts::ambient::Random;
use contracts::auth::JwkSet;
use http_kit::identity::generate_key;
use local::data::DataDir;
use reqwest::Method;
use serde_json::json;
use settings::{GATEWAY_NAME, ServiceName};
use stack::{LocalDatabase, Placement, Stack, plan_gateway, plan_service};
use tempfile::TempDir;
use testkit::Reply;
use testkit::running::Running;
use testkit::stack::send;

pub(crate) const ADMIN_PASSWORD: &str = "correct horse battery staple";
/// Built without optimisation on a busy machine, a start may take its time.
const START_MAX: Duration = Duration::from_secs(40);

/// The parts of a stack.
pub(crate) struct Parts {
    stack: Stack,
    placement: Placement,
    stale_seconds: u32,
    gateway: SocketAddr,
    running: BTreeMap<&'static str, Running>,
    data: DataDir,
    dir: TempDir,
}

/// A part that is asked more than once.
#[derive(Clone)]
pub(crate) struct Asked {
    client: reqwest::Client,
    base: String,
}

impl Asked {
    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }
}

impl Parts {
    /// A stack whose parts refuse changes after so many seconds without word of who was logged out. None of them runs yet.
    pub(crate) fn new(stale_seconds: u32) -> Self {
        let dir = testkit::folder::folder("healthcare-parts-").unwrap();
        let data = DataDir::open(&dir.path().join("data"), &Random::system()).unwrap();
        let sample =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manifests/samples/healthcarestack.yaml");
        let placement = Placement::Local {
            data_dir: data.path().to_path_buf(),
            socket_dir: data.socket_dir().to_path_buf(),
            database: LocalDatabase::Sqlite,
        };
        let gateway = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let stack = local::reload::read(&sample).unwrap().stack;
        let parts = Self { stack, placement, stale_seconds, gateway, running: BTreeMap::new(), data, dir };
        parts.introduce_the_gateway();
        parts
    }

    /// In one process it needs no identity of its own.
    fn introduce_the_gateway(&self) {
        let (key, jwk) = generate_key(GATEWAY_NAME).unwrap();
        let identities = self.secret("service-identities", "jwks.json");
        let mut set: JwkSet = serde_json::from_slice(&identities).unwrap();
        set.keys.push(jwk);
        let secrets = self.data.path().join("secrets");
        std::fs::write(secrets.join("service-identities/jwks.json"), serde_json::to_vec(&set).unwrap())
            .unwrap();
        std::fs::create_dir(secrets.join("api-gateway-identity")).unwrap();
        std::fs::write(secrets.join("api-gateway-identity/key.p8"), key).unwrap();
    }

    pub(crate) fn secret(&self, secret: &str, key: &str) -> Vec<u8> {
        std::fs::read(self.data.path().join("secrets").join(secret).join(key)).unwrap()
    }

    /// Starts a service's process.
    pub(crate) fn begin(&mut self, service: ServiceName) {
        let mut settings = plan_service(&self.stack, service, &self.placement);
        settings.auth.revocations_stale_seconds = self.stale_seconds;
        let file = self.dir.path().join(format!("{service}.json"));
        std::fs::write(&file, serde_json::to_vec(&settings).unwrap()).unwrap();
        let mut command = Command::new(program());
        command
            .arg("serve")
            .env("HEALTHCARE_SETTINGS", file)
            .env("HEALTHCARE_ADMIN_PASSWORD", ADMIN_PASSWORD);
        self.spawn(service.as_str(), command);
    }

    fn spawn(&mut self, name: &'static str, mut command: Command) {
        command.env("HEALTHCARE_PART", name).env("HEALTHCARE_SECRETS_DIR", self.data.path().join("secrets"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.running.insert(name, Running::start(&mut command));
    }

    /// Starts these services and the gateway, and waits until each answers.
    pub(crate) async fn start(&mut self, services: &[ServiceName]) {
        for service in services {
            self.begin(*service);
        }
        for service in services {
            self.answers(Some(*service)).await;
        }
        let mut config = plan_gateway(&self.stack, &self.placement);
        config.auth.revocations_stale_seconds = self.stale_seconds;
        let file = self.dir.path().join("gateway.json");
        // JSON is YAML.
        std::fs::write(&file, serde_json::to_vec(&config).unwrap()).unwrap();
        let mut command = Command::new(program());
        command.arg("--config").arg(file).args(["--listen", &self.gateway.to_string()]);
        self.spawn(GATEWAY_NAME, command);
        self.answers(None).await;
    }

    /// Waits until a part answers at all; gives how long that took.
    pub(crate) async fn answers(&self, part: Option<ServiceName>) -> Duration {
        let begun = Instant::now();
        while self.request(part, Method::GET, "/livez").send().await.is_err() {
            assert!(begun.elapsed() < START_MAX, "{part:?} does not answer");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        begun.elapsed()
    }

    /// A request to a service's own socket, or to the gateway.
    pub(crate) fn request(
        &self,
        part: Option<ServiceName>,
        method: Method,
        path: &str,
    ) -> reqwest::RequestBuilder {
        self.asked(part).request(method, path)
    }

    /// A service's own socket, or the gateway.
    pub(crate) fn asked(&self, part: Option<ServiceName>) -> Asked {
        let mut client = reqwest::Client::builder().timeout(Duration::from_secs(15)).no_proxy();
        let mut base = format!("http://{}", self.gateway);
        if let Some(service) = part {
            let address = self.placement.address(&self.stack, service);
            client = client.unix_socket(address.unix_path().unwrap().to_path_buf());
            base = format!("http://{service}");
        }
        Asked { client: client.build().unwrap(), base }
    }

    /// The status of a request with this token, and with a body if one is given.
    pub(crate) async fn status(
        &self,
        part: Option<ServiceName>,
        (method, path): (Method, &str),
        token: &str,
        body: Option<serde_json::Value>,
    ) -> u16 {
        let mut request = self.request(part, method, path).bearer_auth(token);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        send(request).await.status
    }

    /// Asks auth something that needs no token.
    pub(crate) async fn ask_auth(&self, path: &str, body: serde_json::Value) -> Reply {
        let request = self.request(Some(ServiceName::AuthService), Method::POST, path);
        send(request.header("content-type", "application/json").body(body.to_string())).await
    }

    /// Logs the first administrator in: the access token.
    pub(crate) async fn login(&self) -> String {
        let body = json!({"username": "admin", "password": ADMIN_PASSWORD});
        let answer = self.ask_auth("/api/auth/login", body).await.expect(200);
        answer.json()["token"].as_str().unwrap().to_owned()
    }

    /// Tells a part's process a signal.
    pub(crate) fn signal(&self, service: ServiceName, signal: &str) {
        self.running[service.as_str()].signal(signal);
    }

    /// Ends a part's process as a power cut does.
    pub(crate) fn cut(&mut self, service: ServiceName) {
        drop(self.running.remove(service.as_str()));
    }
}

/// The program, built from what stands here now.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--package", "local", "--example", "part"])
            // What is measured is measured as it is shipped.
            .args((!cfg!(debug_assertions)).then_some("--release"))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status();
        assert!(built.is_ok_and(|status| status.success()), "the program does not build");
        // …/debug/deps/it-1234 → …/debug/examples/part
        let test = std::env::current_exe().unwrap();
        test.parent().and_then(Path::parent).unwrap().join("examples/part")
    })
}
