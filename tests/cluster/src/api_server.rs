//! [`ApiServer`]: an etcd and an API server, and nothing else: no controllers, no nodes, no other test.
//!
//! It is there in seconds. Here a test may change a definition, let an operator look after every namespace, or read from the audit log who
//! has written what; on the cluster all of that would get into other tests' way. The operator runs beside it as a process of this machine
//! ([`Replica`]): it is the program of its image, and has the rights that its chart gives it.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cluster::{client, repository, said, tool};
use crate::image::operator_program;
use crate::plugin::{Told, kubectl_with_plugin};
use crate::wait::eventually;

const STARTED_IN: Duration = Duration::from_mins(1);
/// Who the test is there. It is a secret of nobody's: the server listens on this machine alone, for as long as the test runs.
const TOKEN: &str = "the-tests-own";
/// What of an operator's doing is written down.
const AUDIT: &str = r#"{"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"], "rules": [
    {"level": "Metadata", "verbs": ["create", "update", "patch", "delete"], "userGroups": ["system:serviceaccounts"]},
    {"level": "None"}]}"#;

/// An etcd and an API server. They end with this handle, or with the test process.
#[derive(Debug)]
pub struct ApiServer {
    folder: TempDir,
    address: String,
    processes: Vec<Child>,
}

/// A write that an operator asked for.
#[derive(Clone, Debug)]
pub struct Write {
    /// Whose token it came with: [`Replica::credential`].
    pub credential: String,
    /// `patch clinics/healthcarestacks/clinic`.
    pub what: String,
    /// What it was answered.
    pub code: u64,
}

impl ApiServer {
    /// One with nothing in it.
    ///
    /// # Panics
    /// If it does not come up.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let [store, peers, port] = [(); 3].map(|()| free_port());
        let mut server = Self { folder, address: format!("https://127.0.0.1:{port}"), processes: Vec::new() };
        server.start_etcd(store, peers);
        server.start_api(store, port);
        fs::write(server.kubeconfig(), server.kubeconfig_of("default", TOKEN)).expect("a kubeconfig");
        eventually("an API server", STARTED_IN, async || {
            let told = Told::of(server.tool("kubectl").args(["get", "--raw=/readyz"]));
            if told.code == Some(0) { Ok(()) } else { Err(server.log("kube-apiserver")) }
        })
        .await;
        server
    }

    fn start_etcd(&mut self, store: u16, peers: u16) {
        let (store, peers) = (format!("http://127.0.0.1:{store}"), format!("http://127.0.0.1:{peers}"));
        self.run(
            "etcd",
            &[
                "--unsafe-no-fsync",
                "--log-level=warn",
                &format!("--data-dir={}", self.path("etcd").display()),
                &format!("--listen-client-urls={store}"),
                &format!("--advertise-client-urls={store}"),
                &format!("--listen-peer-urls={peers}"),
                &format!("--initial-advertise-peer-urls={peers}"),
                &format!("--initial-cluster=default={peers}"),
            ],
        );
    }

    fn start_api(&mut self, store: u16, port: u16) {
        let key = self.path("service-accounts.key");
        said(Command::new("openssl").args(["genrsa", "-out"]).arg(&key).arg("2048"));
        fs::write(self.path("tokens.csv"), format!("{TOKEN},test,test,system:masters\n")).expect("a file");
        fs::write(self.path("audit.yaml"), AUDIT).expect("a file");
        let at = |option: &str, name: &str| format!("--{option}={}", self.path(name).display());
        self.run(
            "kube-apiserver",
            &[
                &format!("--etcd-servers=http://127.0.0.1:{store}"),
                &format!("--secure-port={port}"),
                "--bind-address=127.0.0.1",
                &at("cert-dir", "certificates"),
                &at("token-auth-file", "tokens.csv"),
                "--authorization-mode=RBAC",
                "--service-account-issuer=https://test",
                &at("service-account-key-file", "service-accounts.key"),
                &at("service-account-signing-key-file", "service-accounts.key"),
                "--service-cluster-ip-range=10.64.0.0/12",
                "--disable-admission-plugins=ServiceAccount",
                "--profiling=false",
                &at("audit-policy-file", "audit.yaml"),
                &at("audit-log-path", "audit.log"),
                "--audit-log-mode=blocking",
            ],
        );
    }

    fn run(&mut self, name: &str, arguments: &[&str]) {
        let log = File::create(self.path(&format!("{name}.log"))).expect("a file");
        // The kernel ends it if we do not come to that.
        let child = Command::new("setpriv")
            .arg("--pdeathsig=KILL")
            .arg(tool(name))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file"))
            .stderr(log)
            .spawn();
        self.processes.push(child.expect("it starts: `cluster build` builds it"));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn log(&self, name: &str) -> String {
        let text = fs::read_to_string(self.path(&format!("{name}.log"))).unwrap_or_default();
        text.lines().rev().take(5).collect::<Vec<_>>().join("\n")
    }

    /// Where the administrator's kubeconfig is.
    pub fn kubeconfig(&self) -> PathBuf {
        self.path("kubeconfig")
    }

    /// A client of the administrator's.
    pub async fn client(&self) -> kube::Client {
        client(&self.kubeconfig()).await
    }

    /// A program of the cluster's (`kubectl`, `helm`), as the administrator. It runs in the repository.
    pub fn tool(&self, name: &str) -> Command {
        let mut command = Command::new(tool(name));
        command.env("KUBECONFIG", self.kubeconfig()).current_dir(repository());
        command
    }

    /// What kubectl says.
    ///
    /// # Panics
    /// If it fails; with its words.
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        said(self.tool("kubectl").args(arguments))
    }

    /// What Helm says.
    ///
    /// # Panics
    /// If it fails; with its words.
    pub fn helm(&self, arguments: &[&str]) -> String {
        said(self.tool("helm").args(arguments))
    }

    /// What `kubectl healthcare` tells here.
    pub fn healthcare(&self, arguments: &[&str]) -> Told {
        Told::of(kubectl_with_plugin().env("KUBECONFIG", self.kubeconfig()).arg("healthcare").args(arguments))
    }

    /// Applies a resource.
    ///
    /// # Errors
    /// The API server's words.
    ///
    /// # Panics
    /// If kubectl does not run.
    pub fn apply(&self, resource: &Value) -> Result<(), String> {
        let file = self.path("applied.json");
        fs::write(&file, resource.to_string()).expect("a file");
        let told = Told::of(self.tool("kubectl").args(["apply", "--server-side", "--filename"]).arg(&file));
        if told.code == Some(0) { Ok(()) } else { Err(told.err) }
    }

    /// Starts the operator with the rights of a `ServiceAccount`, in whose namespace it is.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn operator(&self, account: (&str, &str), arguments: &[&str]) -> Replica {
        let (namespace, name) = account;
        let token = self.kubectl(&["create", "token", name, "--namespace", namespace, "--duration=1h"]);
        let port = free_port();
        let kubeconfig = self.path(&format!("replica-{port}.kubeconfig"));
        fs::write(&kubeconfig, self.kubeconfig_of(namespace, token.trim())).expect("a kubeconfig");
        let log = self.path(&format!("replica-{port}.log"));
        let out = File::create(&log).expect("a file");
        let process = Command::new("setpriv")
            .arg("--pdeathsig=KILL")
            .arg(operator_program())
            .args(["run", "--log-format=text", &format!("--name=replica-{port}")])
            .arg(format!("--metrics-listen=127.0.0.1:{port}"))
            .args(arguments)
            .env("KUBECONFIG", kubeconfig)
            .stdin(Stdio::null())
            .stdout(out.try_clone().expect("a file"))
            .stderr(out)
            .spawn()
            .expect("the operator starts");
        let replica = Replica { process, log, port, credential: credential(token.trim()) };
        eventually("an operator that answers", STARTED_IN, async || {
            replica.metric("healthcare_leads").await.map(drop).ok_or_else(|| replica.log())
        })
        .await;
        replica
    }

    /// What operators have written so far, in the order in which the API server was done with it.
    ///
    /// # Panics
    /// If there is no audit log.
    pub fn writes(&self) -> Vec<Write> {
        let text = fs::read_to_string(self.path("audit.log")).expect("an audit log");
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).map(|event| written(&event)).collect()
    }

    fn kubeconfig_of(&self, namespace: &str, token: &str) -> String {
        let authority = self.path("certificates/apiserver.crt");
        json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": self.address, "certificate-authority": authority}}],
            "users": [{"name": "test", "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": namespace}}],
        })
        .to_string()
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// The operator as a process of this machine. It ends with this handle, or with the test process.
#[derive(Debug)]
pub struct Replica {
    /// What its writes are known by.
    pub credential: String,
    process: Child,
    log: PathBuf,
    port: u16,
}

impl Replica {
    /// One of its metrics; none if it does not answer.
    pub async fn metric(&self, name: &str) -> Option<u64> {
        let page = reqwest::get(format!("http://127.0.0.1:{}/metrics", self.port)).await.ok()?;
        let page = page.text().await.ok()?;
        page.lines().find(|line| line.starts_with(name))?.rsplit(' ').next()?.parse().ok()
    }

    /// Whether it says that it leads.
    pub async fn leads(&self) -> bool {
        self.metric("healthcare_leads").await == Some(1)
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Freezes it as it stands, whatever it is doing, as a machine without memory or a debugger would.
    ///
    /// # Panics
    /// If it cannot be frozen.
    pub fn freeze(&self) {
        said(Command::new("kill").args(["-STOP", &self.process.id().to_string()]));
    }

    /// Lets it go on.
    ///
    /// # Panics
    /// If it cannot.
    pub fn thaw(&self) {
        said(Command::new("kill").args(["-CONT", &self.process.id().to_string()]));
    }

    /// How it ended, if it has.
    ///
    /// # Panics
    /// If that cannot be known.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().expect("a child of ours")
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_port() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    free.expect("a free port").port()
}

/// What the audit log calls a token by: its id.
fn credential(token: &str) -> String {
    let claims = token.split('.').nth(1).expect("a JWT");
    let claims = data_encoding::BASE64URL_NOPAD.decode(claims.as_bytes()).expect("a JWT");
    let claims: Value = serde_json::from_slice(&claims).expect("a JWT");
    format!("JTI={}", claims["jti"].as_str().expect("an id"))
}

fn written(event: &Value) -> Write {
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let object = ["namespace", "resource", "name", "subresource"]
        .map(|part| text(&format!("/objectRef/{part}")))
        .into_iter()
        .filter(|part| !part.is_empty());
    Write {
        credential: text("/user/extra/authentication.kubernetes.io~1credential-id/0").to_owned(),
        what: format!("{} {}", text("/verb"), object.collect::<Vec<_>>().join("/")),
        code: event["responseStatus"]["code"].as_u64().unwrap_or_default(),
    }
}
