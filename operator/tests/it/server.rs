//! [`Server`]: the managed PostgreSQL of a stack, run on this machine from what is planned for a cluster.
//!
//! Scripts, settings, Secrets and the commands of Jobs are the planned ones. Only their folders and the port are others, and the server's
//! name leads to this machine (`PGHOSTADDR`), while its certificate is checked for the name.

mod files;
mod pods;

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use contracts::ambient::Random;
use contracts::kek::kek_id;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use operator::plan::{Capabilities, Context, Kek, Tags, plan};
use operator::secrets::{self, Change, Escrowed, Request, Sources, checksums};
use serde_json::Value;
use stack::Stack;
use tempfile::TempDir;
use testkit::S3Server;

pub(crate) use files::list;
use files::{carry, give, unprivileged};

const STACK: &str = "
apiVersion: healthcarestack.dev/v1alpha1
kind: HealthcareStack
metadata: {name: clinic, namespace: east}
spec:
  database:
    managed: {resources: {limits: {memory: 256Mi}}}
    backup: {keep: 2, volume: {size: 1Gi}}
";
const RESTORED: &str = "
    restoreFrom: {volume: {claimName: clinic-backup}, keySecretRef: {name: old-kek}}
";
const ENGINE: &str =
    "  encryption: {provider: Transit, transit: {address: 'https://vault', key: clinic, token: {secret: vault, key: token}}}
";
const START_TIMEOUT: Duration = Duration::from_mins(1);

/// Ends the server when its standard input ends: with the test, however that ends.
const SUPERVISOR: &str =
    "sh \"$CONFIG/start.sh\" </dev/null & server=$!; cat >/dev/null; kill -TERM $server; wait $server";

/// A stack's database.
pub(crate) struct Server {
    stack: Stack,
    secrets: BTreeMap<String, Secret>,
    rotate: BTreeMap<String, String>,
    sources: Sources,
    kek: Kek,
    random: Random,
    now: DateTime<Utc>,
    dir: TempDir,
    port: u16,
    running: Mutex<Option<Child>>,
}

impl Server {
    /// One whose files are made, and that takes connections.
    pub(crate) fn start() -> Self {
        Self::of(STACK, Sources::default())
    }

    /// The same, of a stack that begins with a backup of another, whose key comes along.
    pub(crate) fn start_restored(other: &Self) -> Self {
        Self::of(&format!("{}{RESTORED}", STACK.trim_end()), other.escrowed())
    }

    /// The same, of a stack whose keys a transit engine wraps.
    pub(crate) fn start_restored_with_engine(other: &Self) -> Self {
        Self::of(&format!("{}{RESTORED}{ENGINE}", STACK.trim_end()), other.escrowed())
    }

    /// What is taken over from it.
    fn escrowed(&self) -> Sources {
        let current = self.secret("kek", "current").into_bytes();
        Sources { kek: Some(Escrowed { current, ..Escrowed::default() }), ..Sources::default() }
    }

    /// One whose backups go to a bucket, in scratch folders on the way; or one that begins with a backup of another
    /// from there, whose key comes along.
    pub(crate) fn start_with_bucket(store: &S3Server, of: Option<&Self>) -> Self {
        let (endpoint, credentials) = (
            store.endpoint(),
            "accessKeyId: {secret: bucket, key: id}, secretAccessKey: {secret: bucket, key: key}",
        );
        let place = format!("endpoint: '{endpoint}', bucket: backups, {credentials}");
        let backup = STACK
            .trim_end()
            .replace("volume: {size: 1Gi}", &format!("objectStore: {{{place}, prefix: hospital}}"));
        let from = format!(
            "objectStore: {{{place}, folder: hospital/east/clinic}}, keySecretRef: {{name: old-kek}}"
        );
        let server = match of {
            Some(other) => Self::of(&format!("{backup}\n    restoreFrom: {{{from}}}\n"), other.escrowed()),
            None => Self::of(&backup, Sources::default()),
        };
        let secret = server.path("secrets/bucket");
        fs::create_dir(&secret).unwrap();
        fs::write(secret.join("id"), S3Server::ACCESS_KEY_ID).unwrap();
        fs::write(secret.join("key"), S3Server::SECRET_ACCESS_KEY).unwrap();
        server
    }

    fn of(yaml: &str, sources: Sources) -> Self {
        let dir = TempDir::with_prefix_in("healthcare-operator-", "/tmp").unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = Self {
            stack: Stack::from_yaml(yaml).unwrap(),
            secrets: BTreeMap::new(),
            rotate: BTreeMap::new(),
            sources,
            kek: Kek::default(),
            random: Random::system(),
            now: chrono::DateTime::from(fs::metadata(dir.path()).unwrap().modified().unwrap()),
            dir,
            port,
            running: Mutex::default(),
        };
        for name in ["config", "data", "run", "secrets", "backup/data", "backup/keys"] {
            fs::create_dir_all(server.path(name)).unwrap();
        }
        server.make_secrets();
        server.run();
        server
    }

    /// Asks for a rotation, and takes its next step.
    pub(crate) fn rotate(&mut self, what: &str) {
        self.rotate.insert(what.to_owned(), "now".to_owned());
        self.make_secrets();
    }

    /// Makes or extends the Secrets, and puts them where pods have them.
    pub(crate) fn make_secrets(&mut self) {
        let planned = secrets::plan(&Request {
            stack: &self.stack,
            owner: &OwnerReference::default(),
            existing: &self.secrets,
            sources: &self.sources,
            rotate: &self.rotate,
            settled: true,
            rewrapped: None,
            now: self.now,
            random: &self.random,
        });
        let planned = planned.unwrap();
        self.kek = planned.kek;
        for change in planned.changes {
            let (Change::Create(secret) | Change::Replace(secret)) = change;
            self.secrets.insert(secret.metadata.name.clone().unwrap(), secret);
        }
        for (name, secret) in &self.secrets {
            let dir = self.path("secrets").join(name.strip_prefix("clinic-").unwrap());
            fs::create_dir_all(&dir).unwrap();
            for (key, value) in secret.data.iter().flatten() {
                fs::write(dir.join(key), self.here(&String::from_utf8_lossy(&value.0))).unwrap();
            }
        }
        let tls = self.path("secrets/tls");
        fs::create_dir_all(&tls).unwrap();
        for key in ["tls.crt", "tls.key"] {
            fs::copy(self.path("secrets/database-tls").join(key), tls.join(key)).unwrap();
        }
        fs::set_permissions(tls.join("tls.key"), PermissionsExt::from_mode(0o600)).unwrap();
        give(self.dir.path());
    }

    /// A Secret's value.
    pub(crate) fn secret(&self, part: &str, key: &str) -> String {
        let data = self.secrets[&format!("clinic-{part}")].data.as_ref().unwrap();
        self.here(&String::from_utf8(data[key].0.clone()).unwrap())
    }

    /// What rows call its key-encryption key.
    pub(crate) fn kek_id(&self) -> String {
        let key = data_encoding::BASE64.decode(self.secret("kek", "current").as_bytes()).unwrap();
        kek_id(key.as_slice().try_into().unwrap())
    }

    /// Deletes a Secret, as a person might.
    pub(crate) fn lose(&mut self, part: &str) {
        self.secrets.remove(&format!("clinic-{part}")).unwrap();
    }

    /// A folder that a pod would have.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// With the folders and the port of this machine in the place of a pod's.
    fn here(&self, text: &str) -> String {
        let path = |name: &str| self.path(name).display().to_string();
        let text = text
            // A service is given its own as `database`; here there is one folder for all.
            .replace("/var/run/healthcare/secrets/database/ca.crt", &path("secrets/database-tls/ca.crt"))
            .replace(
                "/var/run/healthcare/secrets/database/pg_service.conf",
                &path("secrets/database-reader/pg_service.conf"),
            )
            .replace("/var/run/healthcare/secrets", &path("secrets"))
            .replace("/var/run/postgresql", &path("run"))
            .replace("/etc/healthcare", &path("config"))
            .replace("/backup/data", &path("backup/data"))
            .replace("/backup/keys", &path("backup/keys"))
            .replace("port=5432", &format!("port={}", self.port))
            .replace("clinic-postgres:5432", &format!("clinic-postgres:{}", self.port));
        if text == "/data" { path("data") } else { text }
    }

    fn planned(&self, kind: &str, name: &str) -> Value {
        let checksums = checksums(self.secrets.values());
        let objects = plan(&Context {
            stack: &self.stack,
            owner: OwnerReference::default(),
            tags: Tags::default(),
            capabilities: Capabilities::default(),
            checksums: &checksums,
            kek: &self.kek,
            operator_image: None,
        });
        let is_it = |object: &&operator::object::Object| {
            object.resource.kind == kind && object.name.starts_with(name)
        };
        objects.iter().find(is_it).unwrap_or_else(|| panic!("no {kind} {name}")).body.clone()
    }

    /// The environment of a planned container, and nothing else but how to find programs and this machine.
    fn command(&self, program: &str, container: &Value) -> Command {
        let mut command = unprivileged(program, self.dir.path());
        command.env("PGHOSTADDR", "127.0.0.1");
        for variable in container["env"].as_array().unwrap() {
            let text = |key: &str| variable[key].as_str().unwrap();
            command.env(text("name"), self.here(text("value")));
        }
        command
    }

    /// Starts it, and waits until it takes connections.
    pub(crate) fn run(&self) {
        for (name, text) in self.planned("ConfigMap", "clinic-postgres")["data"].as_object().unwrap() {
            let more = match name.as_str() {
                "postgresql.conf" => format!("\nport = {}\nlisten_addresses = '127.0.0.1'\n", self.port),
                _ => String::new(),
            };
            let text = self.here(text.as_str().unwrap()) + &more;
            fs::write(self.path("config").join(name), text).unwrap();
        }
        let set = self.planned("StatefulSet", "clinic-postgres");
        let container = &set["spec"]["template"]["spec"]["containers"][0];
        let command = container["command"].as_array().unwrap();
        assert_eq!(
            command.iter().map(|word| word.as_str().unwrap()).collect::<Vec<_>>(),
            ["sh", "/etc/healthcare/start.sh"]
        );
        let log = fs::File::create(self.path("log")).unwrap();
        let mut command = self.command("sh", container);
        command.args(["-c", SUPERVISOR]).env("TLS_CHECK_SECONDS", "0.2").process_group(0);
        command.stdin(Stdio::piped()).stdout(log.try_clone().unwrap()).stderr(log);
        let started = command.spawn().unwrap();
        let _ = self.running().insert(started);
        self.wait_until_ready(container);
    }

    fn wait_until_ready(&self, container: &Value) {
        let probe = container["readinessProbe"]["exec"]["command"].as_array().unwrap();
        let words: Vec<_> = probe.iter().map(|word| self.here(word.as_str().unwrap())).collect();
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            let mut probe = unprivileged(&words[0], self.dir.path());
            if probe.args(&words[1..]).env("PGPORT", self.port.to_string()).status().unwrap().success() {
                return;
            }
            let ended = self.running().as_mut().unwrap().try_wait().unwrap().is_some();
            assert!(!ended && Instant::now() < deadline, "not ready: {}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What it wrote.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap()
    }

    fn running(&self) -> MutexGuard<'_, Option<Child>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops it as Kubernetes does.
    pub(crate) fn stop(&self) {
        let mut running = self.running().take().unwrap();
        drop(running.stdin.take());
        running.wait().unwrap();
    }

    /// Carries another's backups here.
    pub(crate) fn take_backups_of(&self, other: &Self) {
        for volume in ["backup/data", "backup/keys"] {
            carry(&other.path(volume), &self.path(volume));
        }
        give(self.dir.path());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.running().is_some() {
            self.stop();
        }
    }
}
