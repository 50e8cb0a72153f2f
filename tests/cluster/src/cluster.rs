//! [`Cluster`]: a real Kubernetes, started once by the test process that asks for it.
//!
//! It is held by a script whose standard input is ours. However this process ends, killed or not, that input ends too, and the script takes
//! the cluster down. The script holds a lock: a second test process waits until the first one's cluster is gone.
//!
//! With [`KEPT`] in the environment the tests run on the cluster of that kubeconfig instead, and leave it up: for whoever writes a test, and
//! for a cluster of somebody else's making. The images must be there.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::ListParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, ResourceExt};

use crate::image::renamed;
use crate::wait::eventually;

/// Until a kind whose definition was applied is served.
const DEFINED_IN: Duration = Duration::from_secs(30);

/// The environment variable that names the kubeconfig of a cluster which is up already.
pub const KEPT: &str = "TEST_KUBECONFIG";

static CLUSTER: OnceLock<Cluster> = OnceLock::new();

/// A real Kubernetes with the project's images on it.
#[derive(Debug)]
pub struct Cluster {
    kubeconfig: PathBuf,
    /// Takes the cluster down when its standard input, which lives as long as we do, ends. None if it is to stay.
    holder: Option<Child>,
}

impl Cluster {
    /// The cluster of this test process; the first call boots it.
    ///
    /// # Panics
    /// If it does not come up.
    pub fn get() -> &'static Self {
        CLUSTER.get_or_init(|| Self::kept().unwrap_or_else(Self::boot))
    }

    #[expect(clippy::disallowed_methods, reason = "how the tests are started")]
    fn kept() -> Option<Self> {
        let kubeconfig = PathBuf::from(std::env::var(KEPT).ok()?);
        Some(Self { kubeconfig, holder: None })
    }

    fn boot() -> Self {
        let mut holder = Command::new(script())
            .arg("hold")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C at the terminal ends us; the script then ends in order.
            .process_group(0)
            .spawn()
            .expect("tests/cluster/kubernetes/cluster starts");
        let output = BufReader::new(holder.stdout.take().expect("its output"));
        let kubeconfig = output
            .lines()
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("KUBECONFIG=").map(PathBuf::from))
            .expect("a cluster on this machine: see above why it did not come up");
        let cluster = Self { kubeconfig, holder: Some(holder) };
        cluster.import(&archives());
        cluster
    }

    /// Whether it was up before the tests, so that there may be something left of earlier ones.
    pub(crate) const fn is_kept(&self) -> bool {
        self.holder.is_none()
    }

    /// A client of the cluster's administrator, for the runtime that it is called on.
    ///
    /// # Panics
    /// If the kubeconfig cannot be used.
    pub async fn client(&self) -> kube::Client {
        client(&self.kubeconfig).await
    }

    /// Where the administrator's kubeconfig is.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// A program of the clusters', which asks none. It runs in the repository.
    pub fn program(name: &str) -> Command {
        let mut command = Command::new(tool(name));
        command.current_dir(repository());
        command
    }

    /// A program of the cluster's (`kubectl`, `helm`, …), as its administrator.
    pub fn tool(&self, name: &str) -> Command {
        let mut command = Self::program(name);
        command.env("KUBECONFIG", &self.kubeconfig);
        command
    }

    /// What kubectl says.
    ///
    /// # Panics
    /// If it fails; with its words.
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        said(self.tool("kubectl").args(arguments))
    }

    /// What Helm says. It runs in the repository, so that charts are `charts/…`.
    ///
    /// # Panics
    /// If it fails; with its words.
    pub fn helm(&self, arguments: &[&str]) -> String {
        said(self.tool("helm").args(arguments))
    }

    /// Loads image archives into every node.
    ///
    /// # Panics
    /// If one cannot be loaded.
    pub fn import(&self, archives: &[PathBuf]) {
        said(Command::new(script()).arg("import").args(archives));
    }

    /// Loads one of the project's images (or the tests' PostgreSQL) into every node by another name.
    ///
    /// # Panics
    /// If it cannot be loaded.
    pub fn import_as(&self, image: &str, reference: &str) {
        let folder = tempfile::tempdir().expect("a folder");
        self.import(&[renamed(image, reference, folder.path())]);
    }

    /// Ends a node (2 or higher: the first one is the control plane) at once, as a power failure would.
    ///
    /// # Panics
    /// If it does not end.
    pub fn kill_node(&self, number: u8) {
        said(Command::new(script()).args(["kill-node", &number.to_string()]));
    }

    /// Starts a node, with the disk that it had if it was there before. Only pods that tolerate a taint with this key come there.
    ///
    /// # Panics
    /// If it does not get ready.
    pub fn start_node(&self, number: u8, taint: &str) {
        said(Command::new(script()).args(["start-node", &number.to_string(), taint]));
        self.import(&archives());
    }
}

/// A client by a kubeconfig, for the runtime that it is called on.
///
/// # Panics
/// If it cannot be used.
pub async fn client(kubeconfig: &Path) -> kube::Client {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).expect("the kubeconfig");
    let options = KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await;
    kube::Client::try_from(config.expect("the kubeconfig")).expect("a client")
}

/// Waits until the API server serves every kind that has a definition. (`kubectl wait` fails on a definition that has no conditions yet.)
///
/// # Panics
/// If that takes too long.
pub async fn defined(client: &kube::Client) {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    eventually("every kind to be served", DEFINED_IN, async || {
        let all = definitions.list(&ListParams::default()).await.map_err(|error| error.to_string())?;
        let missing = all.items.into_iter().filter(|definition| !is_served(definition));
        let missing: Vec<_> = missing.map(|definition| definition.name_any()).collect();
        if missing.is_empty() { Ok(()) } else { Err(missing.join(", ")) }
    })
    .await;
}

fn is_served(definition: &CustomResourceDefinition) -> bool {
    let conditions = definition.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.is_some_and(|all| all.iter().any(|one| one.type_ == "Established" && one.status == "True"))
}

/// A program of the cluster's.
pub(crate) fn tool(name: &str) -> PathBuf {
    cache().join("cluster/bin").join(name)
}

/// The folder with definitions of other software's kinds, from a module that `kubernetes/definitions.txt` names.
///
/// # Panics
/// If it is not there.
pub fn definitions(module: &str) -> PathBuf {
    let path = cache().join("cluster/definitions").join(module);
    assert!(path.exists(), "{}: `make test-cluster` gets it", path.display());
    path
}

/// The archive of one of the project's images.
pub(crate) fn archive(image: &str) -> PathBuf {
    cache().join("images").join(format!("{image}.tar"))
}

/// The root of the project.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new("/"))
}

/// The images of `scripts/test-images`.
fn archives() -> Vec<PathBuf> {
    let folder = cache().join("images");
    let files = fs::read_dir(&folder).expect("images: `make test-cluster` makes them");
    files
        .map(|file| file.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "tar"))
        .collect()
}

/// Runs a command that must succeed, and gives what it wrote.
pub(crate) fn said(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().expect("the command starts");
    let stderr = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{command:?}: {status}\n{stderr}");
    String::from_utf8_lossy(&stdout).into_owned()
}

pub(crate) fn script() -> PathBuf {
    repository().join("tests/cluster/kubernetes/cluster")
}

/// The same folder as the scripts': where a download or a build stays for the next run.
#[expect(clippy::disallowed_methods, reason = "where this machine keeps caches")]
fn cache() -> PathBuf {
    let home = || PathBuf::from(std::env::var("HOME").expect("HOME")).join(".cache");
    std::env::var("XDG_CACHE_HOME").map_or_else(|_| home(), PathBuf::from).join("healthcare-stack")
}
