//! [`Operator`]: the operator, installed as its users install it.
//!
//! Each test has one of its own, which looks after its own namespace, as is the default: nobody's edits, kills and counters get into
//! another test's way. It costs two seconds.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams};
use kube::{Api, Client, ResourceExt};
use tokio::sync::OnceCell;

use crate::clinic::Draft;
use crate::cluster::{Cluster, defined};
use crate::namespace::Namespace;
use crate::wait::eventually;

/// Where the cluster's images come from; nobody pulls them, since every node has them.
pub const REGISTRY: &str = "docker.io/healthcare-test";
/// The version of the images, and of everything else.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The release, and the operator's Deployment.
pub const RELEASE: &str = "healthcare-operator";
const STARTED_IN: Duration = Duration::from_mins(1);
const ADMIN_PORT: u16 = 9464;

/// An operator that looks after a namespace of its own.
#[derive(Clone)]
pub struct Operator {
    /// Where it is. Gone with the last one who speaks of it.
    pub namespace: Arc<Namespace>,
    pub(crate) client: Client,
}

impl Operator {
    /// Installs one in a new namespace, and waits until it is ready.
    ///
    /// # Panics
    /// If it does not get ready.
    pub async fn install(namespace: &str) -> Self {
        Self::install_with(namespace, &[]).await
    }

    /// The same with further arguments of Helm's, such as `--set=replicas=2`.
    ///
    /// # Panics
    /// If it does not get ready.
    pub async fn install_with(namespace: &str, arguments: &[&str]) -> Self {
        Self::define().await;
        let operator = Self::not_installed(Namespace::restricted(namespace)).await;
        operator.upgrade(arguments);
        operator.ready().await;
        operator
    }

    /// A namespace to which one will be installed in some other way.
    pub async fn not_installed(namespace: Namespace) -> Self {
        Self { namespace: Arc::new(namespace), client: Cluster::get().client().await }
    }

    /// Sees to it that the cluster knows the resource. The definition belongs to the cluster, and so to no test: it is there once.
    ///
    /// # Panics
    /// If the API server does not take it.
    pub async fn define() {
        static DEFINED: OnceCell<()> = OnceCell::const_new();
        let define = async || {
            let cluster = Cluster::get();
            let definition = "--filename=crds/healthcarestack.yaml";
            cluster.kubectl(&["apply", "--server-side", "--force-conflicts", definition]);
            defined(&cluster.client().await).await;
        };
        DEFINED.get_or_init(define).await;
    }

    /// `helm upgrade --install`, from the chart as it stands here. Does not wait.
    ///
    /// # Panics
    /// If Helm fails.
    pub fn upgrade(&self, arguments: &[&str]) {
        let registry = format!("--set=image.registry={REGISTRY}");
        let mut command = vec!["upgrade", "--install", RELEASE, "charts/healthcare-operator"];
        command.extend(["--namespace", &self.namespace.name, &registry, "--set=crd.install=false"]);
        command.extend(arguments);
        Cluster::get().helm(&command);
    }

    /// Waits until every replica is ready.
    ///
    /// # Panics
    /// If that takes too long.
    pub async fn ready(&self) {
        let api: Api<Deployment> = self.api();
        eventually("the operator", STARTED_IN, async || {
            let deployment = api.get(RELEASE).await.map_err(|error| error.to_string())?;
            let status = deployment.status.clone().unwrap_or_default();
            let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas);
            let is_current = status.observed_generation == deployment.metadata.generation;
            if is_current && status.updated_replicas == wanted && status.available_replicas == wanted {
                Ok(())
            } else {
                Err(format!("{status:?}"))
            }
        })
        .await;
    }

    /// A stack that it will look after.
    pub fn stack(&self, name: &str) -> Draft {
        Draft::new(self.clone(), name)
    }

    /// Its pods.
    ///
    /// # Panics
    /// If the API server does not tell.
    pub async fn pods(&self) -> Vec<Pod> {
        let ours = ListParams::default().labels("app.kubernetes.io/name=healthcare-operator");
        self.api::<Pod>().list(&ours).await.expect("pods").items
    }

    /// Ends its pods at once, as a crash would.
    ///
    /// # Panics
    /// If the API server refuses.
    pub async fn kill(&self) {
        for pod in self.pods().await {
            self.api::<Pod>()
                .delete(&pod.name_any(), &DeleteParams::default().grace_period(0))
                .await
                .expect("a pod's end");
        }
    }

    /// What it has logged, of all its pods.
    pub fn log(&self) -> String {
        let selector = "--selector=app.kubernetes.io/name=healthcare-operator";
        self.namespace.kubectl(&["logs", selector, "--tail=-1", "--prefix"])
    }

    /// A count from its metrics: the sum of all lines that begin so, over all its pods.
    ///
    /// # Panics
    /// If it does not answer.
    pub async fn metric(&self, beginning: &str) -> u64 {
        let mut sum = 0;
        for pod in self.pods().await {
            let address = pod.status.and_then(|status| status.pod_ip).expect("a pod's address");
            let page = reqwest::get(format!("http://{address}:{ADMIN_PORT}/metrics")).await;
            let page = page.expect("metrics").text().await.expect("metrics");
            let lines = page.lines().filter(|line| line.starts_with(beginning));
            sum += lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum::<u64>();
        }
        sum
    }

    fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        <K as kube::Resource>::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.namespace.name)
    }
}
