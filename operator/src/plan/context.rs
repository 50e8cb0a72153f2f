//! [`Context`]: all that a plan is made from.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use settings::ServiceName;
use stack::{Stack, names};

/// All that a plan is made from. The same context gives the same objects.
#[derive(Clone, Debug)]
pub struct Context<'a> {
    /// What is asked for.
    pub stack: &'a Stack,
    /// What the objects belong to, so that they go when it goes.
    pub owner: OwnerReference,
    /// Which image tag each layer runs now.
    pub tags: Tags,
    /// What the cluster has beside Kubernetes itself.
    pub capabilities: Capabilities,
    /// A digest of each Secret's data, by the Secret's object name; and the uid of each account, as [`known_as`](super::service_account::known_as)
    /// calls it. What mounts a Secret carries its digest, what has an account's token its uid, and so rolls when that changes.
    pub checksums: &'a BTreeMap<String, String>,
    /// What is known of the key-encryption keys.
    pub kek: &'a Kek,
    /// The operator's own image, if it was told: some of what it plans runs it.
    pub operator_image: Option<&'a str>,
}

/// What is known of the stack's key-encryption keys: how they are called, and no more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kek {
    /// The one under which every key is to be wrapped now, while one takes the place of another and has come so far.
    pub rewrap: Option<String>,
    /// Those that came with the backup that the stack was filled from.
    pub restored: Vec<String>,
}

/// Which image tag each layer runs. `None`: its turn has not come yet, and nothing of it is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags {
    /// The migration Jobs.
    pub migrations: Option<String>,
    /// The seven services.
    pub services: Option<String>,
    /// The gateway.
    pub gateway: Option<String>,
}

/// Kinds that the cluster knows because other software was installed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// `HTTPRoute` of the Gateway API.
    pub http_route: bool,
    /// `PodMonitor` of the Prometheus operator. Not `ServiceMonitor`: no Service has the admin port, so that none can show it to strangers.
    pub pod_monitor: bool,
    /// `PrometheusRule` of the Prometheus operator.
    pub prometheus_rule: bool,
    /// `Cluster` of CloudNativePG.
    pub cloud_native_pg: bool,
}

impl Context<'_> {
    /// The services of which pods may run: those that are switched on; and all that may have keys, while keys are wrapped anew.
    pub(super) fn services(&self) -> impl Iterator<Item = ServiceName> {
        ServiceName::ALL
            .into_iter()
            .filter(|service| self.kek.rewrap.is_some() || self.stack.is_enabled(*service))
    }

    /// The object name of one of the stack's parts.
    pub fn name(&self, part: &str) -> String {
        names::object(&self.stack.name, part)
    }

    /// Metadata of an object that belongs to the stack and goes with it.
    pub fn owned(&self, part: &str, name: String) -> ObjectMeta {
        ObjectMeta { owner_references: Some(vec![self.owner.clone()]), ..self.kept(part, name) }
    }

    /// Metadata of an object that outlives the stack unless `deletionPolicy` says otherwise: keys and data.
    pub fn kept(&self, part: &str, name: String) -> ObjectMeta {
        ObjectMeta {
            name: Some(name),
            namespace: Some(self.stack.namespace.clone()),
            labels: Some(super::labels::all(&self.stack.name, part)),
            ..ObjectMeta::default()
        }
    }

    /// The operator's own image. If it was not told, it lies with the stack's other images, under this program's version: what it plans for
    /// itself, an older one may not understand.
    pub fn operator_image(&self) -> String {
        let told = self.operator_image.map(str::to_owned);
        told.unwrap_or_else(|| self.image("healthcare-operator", env!("CARGO_PKG_VERSION")))
    }

    /// The image of one of the stack's containers.
    pub fn image(&self, container: &str, tag: &str) -> String {
        format!("{}/{container}:{tag}", self.stack.image.registry)
    }
}
