//! [`Seen`]: what is kept of one object, and how it is told that somebody has changed it.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use kube::core::PartialObjectMeta;

use super::Workload;
use crate::MANAGER;
use crate::apply::APPLIED;
use crate::kinds::{Kind, Mark, View};
use crate::thin::Thin;
use crate::way::Way;

/// What was last seen of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The API server's version of it. Newer ones are larger.
    pub version: u64,
    /// Changes whenever somebody changes what could be ours; not when a status moves.
    pub fingerprint: u64,
    /// What it was applied as, if it says so and nobody else has written to it since. See [`crate::apply`].
    pub applied: Option<Box<str>>,
    /// The stack that it goes with, by its uid; `None` if it outlives the stack.
    pub owner: Option<Box<str>>,
    /// It is on its way out.
    pub deleting: bool,
    /// What more there is to know of it.
    pub state: State,
}

/// What more is kept of an object, by its kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Nothing.
    #[default]
    Nothing,
    /// How far it has come.
    Workload(Box<Workload>),
    /// Where it leads to.
    Way(Box<Way>),
    /// Which account it is.
    Account(Box<Account>),
}

/// A `ServiceAccount`: a token of one is no token of another that is made in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The API server's own name for it.
    pub uid: Box<str>,
}

impl State {
    fn of_metadata(metadata: &ObjectMeta, kind: &Kind) -> Self {
        match &metadata.uid {
            Some(uid) if kind.resource.kind == "ServiceAccount" => {
                Self::Account(Box::new(Account { uid: uid.as_str().into() }))
            }
            _ => Self::Nothing,
        }
    }

    fn of(object: &Thin, kind: &Kind) -> Self {
        match kind.resource.kind.as_str() {
            "Deployment" | "StatefulSet" | "Job" | "Cluster" => {
                Self::Workload(Box::new(Workload::of(object)))
            }
            "Ingress" | "HTTPRoute" => Self::Way(Box::new(Way::of(object))),
            "Service" if object.spec.r#type.as_ref().is_some_and(|it| it == "LoadBalancer") => {
                Self::Way(Box::new(Way::of(object)))
            }
            _ => Self::Nothing,
        }
    }
}

impl Seen {
    /// How far it has come, if it is of a kind that gets somewhere.
    pub fn workload(&self) -> Option<&Workload> {
        if let State::Workload(workload) = &self.state { Some(workload) } else { None }
    }

    /// Where it leads to, if it is of a kind that leads to the gateway from outside.
    pub fn way(&self) -> Option<&Way> {
        if let State::Way(way) = &self.state { Some(way) } else { None }
    }

    /// Which account it is, if it is one.
    pub fn account(&self) -> Option<&Account> {
        if let State::Account(account) = &self.state { Some(account) } else { None }
    }

    /// Of an object of which only the metadata was read.
    pub fn of_metadata(object: &PartialObjectMeta<Thin>, kind: &Kind) -> Self {
        Self::of(&object.metadata, kind.mark, None, State::of_metadata(&object.metadata, kind))
    }

    /// Of an object of which more was read than its kind's watch reads: an answer to a write.
    pub fn of_answer(object: &Thin, kind: &Kind) -> Self {
        match kind.view {
            View::Metadata => {
                let metadata = &object.metadata;
                Self::of(metadata, kind.mark, None, State::of_metadata(metadata, kind))
            }
            View::Thin => Self::of_thin(object, kind),
        }
    }

    /// Of an object of which more was read than its metadata.
    pub fn of_thin(object: &Thin, kind: &Kind) -> Self {
        let spec = (kind.mark == Mark::Spec).then(|| hash(&object.spec.compared()));
        Self::of(&object.metadata, kind.mark, spec, State::of(object, kind))
    }

    fn of(metadata: &ObjectMeta, mark: Mark, spec: Option<u64>, state: State) -> Self {
        let owners = metadata.owner_references.as_deref().unwrap_or_default();
        Self {
            version: version(metadata),
            fingerprint: fingerprint(metadata, mark, spec),
            applied: applied(metadata),
            owner: owners
                .iter()
                .find(|owner| owner.kind == stack::KIND)
                .map(|owner| owner.uid.clone().into()),
            deleting: metadata.deletion_timestamp.is_some(),
            state,
        }
    }
}

/// The API server's version of an object, or of its deletion. Newer ones are larger.
pub fn version(metadata: &ObjectMeta) -> u64 {
    metadata.resource_version.as_deref().and_then(|version| version.parse().ok()).unwrap_or(0)
}

fn fingerprint(metadata: &ObjectMeta, mark: Mark, spec: Option<u64>) -> u64 {
    if mark == Mark::ResourceVersion {
        return hash(&(&metadata.uid, &metadata.resource_version));
    }
    let annotations: BTreeMap<_, _> =
        metadata.annotations.iter().flatten().filter(|(key, _)| !is_kubernetes_own(key)).collect();
    let owners: Vec<_> =
        metadata.owner_references.iter().flatten().map(|owner| (&owner.uid, owner.controller)).collect();
    hash(&(
        &metadata.uid,
        if mark == Mark::Generation { metadata.generation } else { None },
        &metadata.labels,
        annotations,
        owners,
        spec,
    ))
}

/// Whether an annotation is what Kubernetes itself notes down: of a Deployment's rollout, of a volume's binding.
fn is_kubernetes_own(annotation: &str) -> bool {
    let domain = annotation.split('/').next().unwrap_or_default();
    ["deployment", "pv", "volume", "volume.beta"]
        .iter()
        .any(|own| domain.strip_suffix(".kubernetes.io") == Some(*own))
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// The digest under which it was applied, unless somebody else wrote to it in that second or later. Statuses and scales do not count.
pub(super) fn applied(metadata: &ObjectMeta) -> Option<Box<str>> {
    let digest = metadata.annotations.as_ref()?.get(APPLIED)?;
    let entries = metadata.managed_fields.as_deref().unwrap_or_default();
    let is_ours = |entry: &&ManagedFieldsEntry| {
        entry.manager.as_deref() == Some(MANAGER)
            && entry.operation.as_deref() == Some("Apply")
            && entry.subresource.is_none()
    };
    let ours = entries.iter().find(is_ours)?.time.as_ref()?;
    let others = entries.iter().filter(|entry| !is_ours(entry) && entry.subresource.is_none());
    let touched = others.into_iter().any(|entry| entry.time.as_ref().is_none_or(|time| time.0 >= ours.0));
    (!touched).then(|| digest.as_str().into())
}
