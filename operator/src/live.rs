//! [`Live`]: what the watches last saw of every object of every stack, in as few bytes as will do.
//!
//! It tells two things: whether an object is still as it was when it was applied ([`Seen::fingerprint`]), and how far a workload has come
//! ([`Workload`]). No object is kept whole: a thousand stacks have sixty thousand objects.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use kube::core::PartialObjectMeta;

use crate::MANAGER;
use crate::apply::APPLIED;
use crate::kinds::{Kind, KindId, Mark, View};
use crate::thin::Thin;
use crate::way::Way;

/// The namespace of a stack, and what labels call it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StackId {
    /// Its namespace.
    pub namespace: String,
    /// What its objects' labels call it.
    pub label: String,
}

/// An object of a stack.
pub type Key = (KindId, Box<str>);

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

/// How far a Deployment, StatefulSet, Job or database cluster has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Workload {
    /// Whether its status speaks of its newest spec.
    pub observed: bool,
    /// The tag of its first container's image.
    pub tag: Option<String>,
    /// Pods that there should be.
    pub desired: u32,
    /// Pods that there are, old ones among them.
    pub total: u32,
    /// Pods of the newest template.
    pub updated: u32,
    /// Pods that are ready.
    pub ready: u32,
    /// Pods that have been ready for long enough.
    pub available: u32,
    /// It has come to its end: a Job that is complete.
    pub complete: bool,
    /// It got no further, and why.
    pub failed: Option<String>,
    /// Pods could not be made, and why: a quota, an admission policy.
    pub refused: Option<String>,
}

impl Workload {
    /// All pods are of the newest template and available, and none is left of an older one.
    pub const fn is_rolled_out(&self) -> bool {
        self.observed
            && self.updated >= self.desired
            && self.available >= self.desired
            && self.total <= self.updated
    }

    fn of(thin: &Thin) -> Self {
        let (spec, status) = (&thin.spec, &thin.status);
        let count = |number: Option<i32>| number.and_then(|number| u32::try_from(number).ok()).unwrap_or(0);
        let image =
            spec.template.as_ref().and_then(|template| template.spec.containers.first()?.image.as_deref());
        let failed = status.holds("Failed").or_else(|| {
            status.fails("Progressing").filter(|it| it.reason.as_deref() == Some("ProgressDeadlineExceeded"))
        });
        let words = |it: &crate::thin::ThinCondition| {
            it.message.clone().or_else(|| it.reason.clone()).unwrap_or_default()
        };
        Self {
            observed: thin.metadata.generation.is_none_or(|generation| {
                status.observed_generation.is_none_or(|observed| observed >= generation)
            }) && (status.observed_generation.is_some()
                || status.conditions.iter().any(|it| it.r#type == "Complete" || it.r#type == "Failed")
                || status.ready_instances.is_some()),
            tag: image.and_then(tag).map(str::to_owned),
            desired: spec.replicas.or(spec.instances).map_or(1, |desired| count(Some(desired))),
            total: count(status.replicas),
            updated: count(status.updated_replicas),
            ready: count(status.ready_replicas.or(status.ready_instances)),
            available: count(status.available_replicas),
            complete: status.holds("Complete").is_some(),
            failed: failed.map(words),
            refused: status.holds("ReplicaFailure").map(words),
        }
    }
}

/// `0.1.0` of `registry.example.org:5000/patient-service:0.1.0`.
fn tag(image: &str) -> Option<&str> {
    let (_, tag) = image.split('@').next()?.rsplit_once(':')?;
    (!tag.contains('/')).then_some(tag)
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
fn applied(metadata: &ObjectMeta) -> Option<Box<str>> {
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

/// What the watches last saw, of all stacks.
#[derive(Clone, Debug, Default)]
pub struct Live(Arc<Mutex<Stacks>>);

#[derive(Debug, Default)]
struct Stacks {
    seen: HashMap<StackId, BTreeMap<Key, Seen>>,
    /// By the namespace that a watch is of, if it is of one.
    gone: HashMap<(KindId, Option<String>), Gone>,
    /// Lists that have ended, of whatever kind.
    lists: u64,
}

/// What a watch has told of what is gone: a few bytes for the watch, none for what went. It tells in the order of versions, so that nothing
/// up to its last deletion is news any more.
#[derive(Clone, Copy, Debug, Default)]
struct Gone {
    /// The version of the last deletion.
    version: u64,
    /// Which of [`Stacks::lists`] was its last one.
    list: u64,
}

/// When a write began, in lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Began(u64);

/// What a watch's news came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// Known already: the echo of what the operator wrote itself, or a status that moved without getting anywhere.
    Nothing,
    /// Something that a reconcile should look at.
    Changed,
}

impl Live {
    /// Keeps what a watch shows of an object, unless something newer was seen already.
    pub fn keep(&self, stack: &StackId, key: Key, seen: Seen) -> News {
        self.lock().keep(stack, key, seen)
    }

    /// A write begins.
    pub fn begin(&self) -> Began {
        Began(self.lock().lists)
    }

    /// Keeps what was answered to a write. If the watch has dropped the object meanwhile, it is not put back: what the watch shows after that
    /// is kept in any case, and what it has shown before is past.
    pub fn answer(&self, stack: &StackId, key: Key, seen: Seen, began: Began) {
        let mut state = self.lock();
        let is_known = state.seen.get(stack).is_some_and(|objects| objects.contains_key(&key));
        if is_known || !state.is_past(stack, key.0, seen.version, began) {
            state.keep(stack, key, seen);
        }
    }

    /// A watch (of this namespace, or of all) shows that an object is gone, and since which version.
    pub fn drop_object(&self, namespace: Option<&str>, stack: &StackId, key: &Key, version: u64) -> News {
        let mut state = self.lock();
        let gone = state.gone.entry((key.0, namespace.map(str::to_owned))).or_default();
        gone.version = gone.version.max(version);
        state.remove(stack, key, |_| true)
    }

    /// An object was not there when it was asked for: what was known of it up to this version is past.
    pub fn drop_known(&self, stack: &StackId, key: &Key, version: u64) -> News {
        self.lock().remove(stack, key, |seen| seen.version <= version)
    }

    /// After a list of a kind: what is not in it is gone. Answers the stacks that lost something.
    pub fn keep_only(
        &self,
        kind: KindId,
        namespace: Option<&str>,
        listed: &std::collections::HashSet<(StackId, Box<str>)>,
    ) -> Vec<StackId> {
        let mut losers = Vec::new();
        let mut state = self.lock();
        state.lists += 1;
        let list = state.lists;
        state.gone.entry((kind, namespace.map(str::to_owned))).or_default().list = list;
        state.seen.retain(|stack, objects| {
            if namespace.is_some_and(|namespace| namespace != stack.namespace) {
                return true;
            }
            let before = objects.len();
            objects.retain(|(of, name), _| *of != kind || listed.contains(&(stack.clone(), name.clone())));
            if objects.len() < before {
                losers.push(stack.clone());
            }
            !objects.is_empty()
        });
        losers
    }

    /// All that is known of a stack's objects.
    pub fn of_stack(&self, stack: &StackId) -> BTreeMap<Key, Seen> {
        self.lock().seen.get(stack).cloned().unwrap_or_default()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Stacks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stacks {
    fn keep(&mut self, stack: &StackId, key: Key, seen: Seen) -> News {
        let objects = self.seen.entry(stack.clone()).or_default();
        match objects.get_mut(&key) {
            Some(known) if known.version >= seen.version => News::Nothing,
            Some(known) => {
                let same = known.fingerprint == seen.fingerprint
                    && known.deleting == seen.deleting
                    && known.state == seen.state;
                *known = seen;
                if same { News::Nothing } else { News::Changed }
            }
            None => {
                objects.insert(key, seen);
                News::Changed
            }
        }
    }

    /// Whether the watch would have shown the object if it were still there in this version: it has told of a later deletion, or has listed
    /// what there is since the write began.
    fn is_past(&self, stack: &StackId, kind: KindId, version: u64, Began(began): Began) -> bool {
        [None, Some(stack.namespace.clone())]
            .into_iter()
            .filter_map(|namespace| self.gone.get(&(kind, namespace)))
            .any(|gone| version <= gone.version || began < gone.list)
    }

    fn remove(&mut self, stack: &StackId, key: &Key, is_meant: impl Fn(&Seen) -> bool) -> News {
        let Some(objects) = self.seen.get_mut(stack) else { return News::Nothing };
        if !objects.get(key).is_some_and(is_meant) {
            return News::Nothing;
        }
        objects.remove(key);
        if objects.is_empty() {
            self.seen.remove(stack);
        }
        News::Changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn deployment(version: &str, generation: i64, more: serde_json::Value) -> Thin {
        let mut value = json!({
            "metadata": {
                "name": "clinic-patient-service", "uid": "1", "resourceVersion": version, "generation": generation,
                "labels": {"app.kubernetes.io/name": "patient-service"}
            },
            "spec": {"replicas": 2, "template": {"spec": {"containers": [{"image": "r:5000/patient-service:0.1.0", "env": []}]}}},
            "status": {"observedGeneration": generation, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2}
        });
        merge(&mut value, more);
        serde_json::from_value(value).expect("a deployment")
    }

    fn merge(into: &mut serde_json::Value, from: serde_json::Value) {
        match (into, from) {
            (serde_json::Value::Object(into), serde_json::Value::Object(from)) => {
                for (key, value) in from {
                    merge(into.entry(key).or_insert(serde_json::Value::Null), value);
                }
            }
            (into, from) => *into = from,
        }
    }

    fn seen(thin: &Thin) -> Seen {
        of_kind("apps", "Deployment", thin)
    }

    fn of_kind(group: &str, kind: &str, thin: &Thin) -> Seen {
        Seen::of_thin(thin, Kind::id(group, kind).expect("known").kind())
    }

    fn id() -> StackId {
        StackId { namespace: "clinic".to_owned(), label: "clinic".to_owned() }
    }

    fn key() -> Key {
        (KindId::of("Deployment"), "clinic-patient-service".into())
    }

    impl KindId {
        fn of(kind: &str) -> Self {
            crate::kinds::Kind::id("apps", kind).expect("known")
        }
    }

    #[test]
    fn a_status_that_moves_is_no_change_of_the_object() {
        let before = seen(&deployment("1", 1, json!({})));
        let after = seen(&deployment("2", 1, json!({"status": {"readyReplicas": 1}})));
        assert_eq!(before.fingerprint, after.fingerprint);
        assert_ne!(before.state, after.state);
    }

    #[test]
    fn a_volume_that_is_bound_has_not_been_changed_and_one_that_is_made_larger_has() {
        let claim = |more| of_kind("", "PersistentVolumeClaim", &deployment("1", 1, more)).fingerprint;
        let sized = |size| json!({"spec": {"resources": {"requests": {"storage": size}}}});
        let mut bound = sized("1Gi");
        bound["metadata"] = json!({"resourceVersion": "2", "annotations": {
            "pv.kubernetes.io/bind-completed": "yes",
            "volume.kubernetes.io/selected-node": "node1",
            "volume.beta.kubernetes.io/storage-provisioner": "local-path",
        }});
        assert_eq!(claim(bound), claim(sized("1Gi")));
        assert_ne!(claim(sized("2Gi")), claim(sized("1Gi")));
    }

    /// The API server counts no changes of a Service, and its status moves.
    #[test]
    fn a_service_that_is_given_an_address_has_not_been_changed_and_one_that_leads_elsewhere_has() {
        let service = |spec: serde_json::Value, status: serde_json::Value| {
            let object =
                json!({"metadata": {"uid": "1", "resourceVersion": "1"}, "spec": spec, "status": status});
            of_kind("", "Service", &serde_json::from_value(object).expect("a service"))
        };
        let spec = |member: &str, value: serde_json::Value| {
            let mut spec = json!({"type": "LoadBalancer", "selector": {"a": "b"}, "externalTrafficPolicy": "Local",
                "ports": [{"port": 8080, "nodePort": 30080}], "clusterIP": "10.0.0.1"});
            spec[member] = value;
            spec
        };
        let before = service(spec("clusterIP", json!("10.0.0.1")), json!({}));
        let given = json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}});
        let after = service(spec("clusterIP", json!("10.0.0.1")), given);
        assert_eq!(before.fingerprint, after.fingerprint);
        assert_ne!(before.state, after.state);
        for (member, value) in [
            ("type", json!("ClusterIP")),
            ("selector", json!({"a": "c"})),
            ("ports", json!([])),
            ("externalTrafficPolicy", json!("Cluster")),
        ] {
            assert_ne!(before.fingerprint, service(spec(member, value), json!({})).fingerprint, "{member}");
        }
    }

    #[test]
    fn a_changed_spec_label_or_annotation_is_a_change() {
        let before = seen(&deployment("1", 1, json!({})));
        for more in [
            json!({"metadata": {"generation": 2}}),
            json!({"metadata": {"labels": {"app.kubernetes.io/name": "x"}}}),
            json!({"metadata": {"annotations": {"a": "b"}}}),
            json!({"metadata": {"uid": "2"}}),
        ] {
            assert_ne!(before.fingerprint, seen(&deployment("2", 1, more.clone())).fingerprint, "{more}");
        }
    }

    #[test]
    fn an_older_sight_never_replaces_a_newer_one() {
        let live = Live::default();
        let newer = seen(&deployment("10", 2, json!({})));
        assert_eq!(live.keep(&id(), key(), newer.clone()), News::Changed);
        assert_eq!(live.keep(&id(), key(), seen(&deployment("9", 1, json!({})))), News::Nothing);
        assert_eq!(live.of_stack(&id())[&key()], newer);
    }

    #[test]
    fn what_a_list_does_not_have_is_gone() {
        let live = Live::default();
        live.keep(&id(), key(), seen(&deployment("1", 1, json!({}))));
        assert!(live.keep_only(key().0, Some("elsewhere"), &[].into()).is_empty());
        assert_eq!(live.keep_only(key().0, None, &[].into()), [id()]);
        assert!(live.of_stack(&id()).is_empty());
    }

    #[test]
    fn what_the_watch_has_dropped_is_not_put_back_by_the_answer_to_an_earlier_write() {
        for namespace in [None, Some("clinic")] {
            let live = Live::default();
            let began = live.begin();
            // Made, and deleted by somebody, before the answer to the making was read.
            live.keep(&id(), key(), seen(&deployment("10", 1, json!({}))));
            assert_eq!(live.drop_object(namespace, &id(), &key(), 11), News::Changed);
            live.answer(&id(), key(), seen(&deployment("10", 1, json!({}))), began);
            assert!(live.of_stack(&id()).is_empty(), "of a watch of {namespace:?}");
            // And what is made after that is there.
            live.answer(&id(), key(), seen(&deployment("12", 1, json!({}))), live.begin());
            assert_eq!(live.of_stack(&id()).len(), 1);
        }
    }

    #[test]
    fn a_deletion_elsewhere_or_of_another_kind_tells_nothing() {
        let live = Live::default();
        let began = live.begin();
        live.drop_object(Some("elsewhere"), &id(), &key(), 20);
        live.drop_object(None, &id(), &(Kind::id("batch", "Job").expect("known"), "x".into()), 20);
        live.answer(&id(), key(), seen(&deployment("10", 1, json!({}))), began);
        assert_eq!(live.of_stack(&id()).len(), 1);
    }

    #[test]
    fn what_a_list_no_longer_has_is_not_put_back_by_the_answer_to_an_earlier_write() {
        let live = Live::default();
        live.keep(&id(), key(), seen(&deployment("9", 1, json!({}))));
        let began = live.begin();
        live.keep_only(key().0, None, &[].into());
        live.answer(&id(), key(), seen(&deployment("10", 1, json!({}))), began);
        assert!(live.of_stack(&id()).is_empty());
        live.answer(&id(), key(), seen(&deployment("10", 1, json!({}))), live.begin());
        assert_eq!(live.of_stack(&id()).len(), 1, "what is made after the list is there");
    }

    #[test]
    fn what_was_not_there_is_dropped_unless_it_was_seen_since() {
        let live = Live::default();
        live.keep(&id(), key(), seen(&deployment("12", 1, json!({}))));
        assert_eq!(live.drop_known(&id(), &key(), 11), News::Nothing);
        assert_eq!(live.of_stack(&id()).len(), 1);
        assert_eq!(live.drop_known(&id(), &key(), 12), News::Changed);
        assert!(live.of_stack(&id()).is_empty());
    }

    #[test]
    fn a_rollout_is_over_when_every_pod_is_new_and_available() {
        let over = |more| Workload::of(&deployment("1", 2, more)).is_rolled_out();
        assert!(over(json!({})));
        assert!(!over(json!({"status": {"observedGeneration": 1}})));
        assert!(!over(json!({"status": {"replicas": 3}})), "an old pod is left");
        assert!(!over(json!({"status": {"availableReplicas": 1}})));
        assert!(!over(json!({"status": {"updatedReplicas": 1}})));
    }

    #[test]
    fn a_deployment_that_gets_no_further_has_failed() {
        let condition = |status, reason| json!({"status": {"conditions": [{"type": "Progressing", "status": status, "reason": reason, "message": "m"}]}});
        assert_eq!(
            Workload::of(&deployment("1", 1, condition("False", "ProgressDeadlineExceeded")))
                .failed
                .as_deref(),
            Some("m")
        );
        assert_eq!(
            Workload::of(&deployment("1", 1, condition("True", "NewReplicaSetAvailable"))).failed,
            None
        );
    }

    #[test]
    fn the_tag_is_what_follows_the_last_colon() {
        assert_eq!(tag("r:5000/a:0.1.0"), Some("0.1.0"));
        assert_eq!(tag("r:5000/a"), None);
        assert_eq!(tag("a:0.1.0@sha256:00"), Some("0.1.0"));
    }

    #[test]
    fn a_digest_counts_only_if_nobody_wrote_afterwards() {
        let with = |other: serde_json::Value| {
            let ours = json!({"manager": MANAGER, "operation": "Apply", "time": "2026-11-23T10:00:05Z"});
            applied(
                &deployment(
                    "1",
                    1,
                    json!({"metadata": {
                        "annotations": {APPLIED: "d"}, "managedFields": [ours, other]
                    }}),
                )
                .metadata,
            )
        };
        let edit = |time: &str| json!({"manager": "kubectl-edit", "operation": "Update", "time": time});
        assert_eq!(with(edit("2026-11-23T10:00:04Z")).as_deref(), Some("d"));
        assert_eq!(with(edit("2026-11-23T10:00:05Z")), None);
        assert_eq!(with(edit("2026-11-23T10:00:06Z")), None);
        let status = json!({"manager": "k", "operation": "Update", "subresource": "status", "time": "2026-11-23T10:00:06Z"});
        assert_eq!(with(status).as_deref(), Some("d"));
    }
}
