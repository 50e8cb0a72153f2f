//! [`Clinic`]: a stack on the cluster, with its namespace and its operator.

use std::sync::Arc;
use std::time::Duration;

use blackbox::Client as Caller;
use k8s_openapi::api::core::v1::{Pod, Secret, Service};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::core::{ApiResource, DynamicObject, ObjectList, TypeMeta};
use kube::{Api, Client, ResourceExt};
use operator::kinds::Kind;
use serde_json::{Value, json};
use stack::condition::kind;
use stack::names;
use stack::spec::{Condition, ConditionStatus, HealthcareStack};

use crate::namespace::Namespace;
use crate::operator::{Operator, REGISTRY, VERSION};

/// The label of everything that an operator of ours made.
const MANAGED: &str = "app.kubernetes.io/managed-by=healthcare-operator";
const READY_IN: Duration = Duration::from_mins(3);

/// A stack that is not there yet: the images of this cluster, PostgreSQL in the smallest size, everything else by default.
#[derive(Clone)]
pub struct Draft {
    operator: Operator,
    name: String,
    spec: Value,
}

impl Draft {
    pub(crate) fn new(operator: Operator, name: &str) -> Self {
        let spec = json!({
            "version": VERSION,
            "image": {"registry": REGISTRY},
            "database": {"managed": {
                "version": 15,
                "image": format!("{REGISTRY}/postgres:15"),
                "storage": {"size": "1Gi"},
                "resources": {"requests": {"cpu": "50m", "memory": "256Mi"}, "limits": {"memory": "256Mi"}},
            }},
        });
        Self { operator, name: name.to_owned(), spec }
    }

    /// With this merged into its spec.
    #[must_use]
    pub fn with(mut self, patch: Value) -> Self {
        merge(&mut self.spec, &patch);
        self
    }

    /// With two services only, auth and patient: half of the pods.
    #[must_use]
    pub fn small(self) -> Self {
        let off = json!({"enabled": false});
        self.with(json!({"services": {
            "appointment": off, "billing": off, "records": off, "notification": off, "provider": off,
        }}))
    }

    /// As a resource.
    pub fn resource(&self) -> Value {
        json!({
            "apiVersion": stack::API_VERSION,
            "kind": stack::KIND,
            "metadata": {"name": self.name},
            "spec": self.spec,
        })
    }

    /// Applied. Nobody waits for it.
    ///
    /// # Panics
    /// If the API server refuses it.
    pub fn apply(self) -> Clinic {
        let namespace = Arc::clone(&self.operator.namespace);
        self.apply_at(namespace)
    }

    /// The same in another namespace, which its operator looks after too.
    ///
    /// # Panics
    /// If the API server refuses it.
    pub fn apply_in(self, namespace: Namespace) -> Clinic {
        self.apply_at(Arc::new(namespace))
    }

    fn apply_at(self, namespace: Arc<Namespace>) -> Clinic {
        namespace.apply(&self.resource().to_string());
        Clinic { name: self.name, operator: self.operator, namespace }
    }

    /// Applied, and ready.
    ///
    /// # Panics
    /// If it does not get ready, with what there is to know about it.
    pub async fn ready(self) -> Clinic {
        let clinic = self.apply();
        clinic.settled().await;
        clinic
    }
}

/// A stack on the cluster.
#[derive(Clone)]
pub struct Clinic {
    /// What it is called.
    pub name: String,
    /// Who looks after it.
    pub operator: Operator,
    namespace: Arc<Namespace>,
}

impl Clinic {
    /// A stack `clinic` in a new namespace with an operator of its own.
    ///
    /// # Panics
    /// If the operator does not get ready.
    #[expect(clippy::new_ret_no_self, reason = "it is described first, and then there")]
    pub async fn new(namespace: &str) -> Draft {
        Operator::install(namespace).await.stack("clinic")
    }

    /// A stack that was applied in some other way.
    pub fn existing(operator: &Operator, name: &str) -> Self {
        Self { name: name.to_owned(), operator: operator.clone(), namespace: Arc::clone(&operator.namespace) }
    }

    /// Where it is.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// A view of one kind in its namespace.
    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        <K as kube::Resource>::DynamicType: Default,
    {
        Api::namespaced(self.client(), &self.namespace().name)
    }

    /// The administrator's way to the API server.
    pub fn client(&self) -> Client {
        self.operator.client.clone()
    }

    /// The name of one of its objects: `clinic-patient-service`.
    pub fn object(&self, part: &str) -> String {
        names::object(&self.name, part)
    }

    /// The resource as it stands in the cluster.
    ///
    /// # Panics
    /// If it is not there.
    pub async fn resource(&self) -> HealthcareStack {
        self.api().get(&self.name).await.expect("the stack")
    }

    /// Merges a patch into the resource: `{"spec": {…}}`.
    ///
    /// # Panics
    /// If the API server refuses it.
    pub async fn edit(&self, patch: Value) {
        self.try_edit(patch).await.expect("an edit");
    }

    /// The same; if the API server refuses it, its words.
    ///
    /// # Errors
    /// The API server's words.
    pub async fn try_edit(&self, patch: Value) -> Result<(), String> {
        let api: Api<HealthcareStack> = self.api();
        let edited = api.patch(&self.name, &PatchParams::default(), &Patch::Merge(patch)).await;
        edited.map(drop).map_err(|error| error.to_string())
    }

    /// A condition of the status, if it is there.
    pub async fn condition(&self, kind: &str) -> Option<Condition> {
        let status = self.resource().await.status.unwrap_or_default();
        status.conditions.into_iter().find(|condition| condition.r#type == kind)
    }

    /// Waits until everything that the resource asks for is there and works.
    ///
    /// # Panics
    /// If that takes too long, with what there is to know.
    pub async fn settled(&self) {
        let ready = eventually_or(READY_IN, async || {
            let resource = self.resource().await;
            let status = resource.status.unwrap_or_default();
            let is = |kind: &str, wanted: ConditionStatus| {
                status
                    .conditions
                    .iter()
                    .any(|condition| condition.r#type == kind && condition.status == wanted)
            };
            status.observed_generation == resource.metadata.generation
                && is(kind::READY, ConditionStatus::True)
                && is(kind::PROGRESSING, ConditionStatus::False)
        });
        assert!(ready.await, "{} is not ready after {READY_IN:?}:\n{}", self.name, self.story());
    }

    /// The condition, as soon as it gives this reason.
    ///
    /// # Panics
    /// If that takes longer than `within`, with what there is to know.
    pub async fn says(&self, kind: &str, reason: &str, within: Duration) -> Condition {
        let mut said = None;
        let found = eventually_or(within, async || {
            said = self.condition(kind).await;
            said.as_ref().is_some_and(|condition| condition.reason == reason)
        });
        assert!(found.await, "{kind} does not say {reason} within {within:?}:\n{}", self.story());
        said.expect("it was found")
    }

    /// What there is to know when something does not come about: conditions, pods, events, and the end of the operator's log.
    pub fn story(&self) -> String {
        let name = format!("healthcarestack/{}", self.name);
        let conditions =
            "jsonpath={range .status.conditions[*]}{.type}={.status} {.reason}: {.message}{\"\\n\"}{end}";
        let selector = "--selector=app.kubernetes.io/name=healthcare-operator";
        let here = self.namespace();
        let questions: [(&Namespace, &[&str]); 4] = [
            (here, &["get", &name, "--output", conditions]),
            (here, &["get", "pods", "--output=wide"]),
            (here, &["get", "events", "--sort-by=.lastTimestamp"]),
            (&self.operator.namespace, &["logs", selector, "--tail=20"]),
        ];
        let answers = questions.map(|(namespace, question)| {
            let answer = namespace.ask(question);
            let last: Vec<_> = answer.lines().rev().take(40).collect();
            last.into_iter().rev().collect::<Vec<_>>().join("\n")
        });
        answers.join("\n\n")
    }

    /// The gateway's address within the cluster, which is reached from here too.
    ///
    /// # Panics
    /// If it has none.
    pub async fn gateway(&self) -> String {
        let service: Service = self.api().get(&self.object(names::API_GATEWAY)).await.expect("the gateway");
        let spec = service.spec.expect("a spec");
        format!("http://{}:8080", spec.cluster_ip.expect("an address"))
    }

    /// Somebody without a token, at the gateway's `ClusterIP`.
    pub async fn anybody(&self) -> Caller {
        Caller::new(&self.gateway().await)
    }

    /// The first administrator's password.
    ///
    /// # Panics
    /// If there is none.
    pub async fn admin_password(&self) -> String {
        let secret: Secret = self.api().get(&self.object(names::FIRST_ADMIN)).await.expect("the first admin");
        let data = secret.data.expect("a password");
        String::from_utf8(data["password"].0.clone()).expect("a password")
    }

    /// The first administrator, signed in, at the gateway's `ClusterIP`.
    ///
    /// # Panics
    /// If they cannot sign in.
    pub async fn admin(&self) -> Caller {
        self.anybody().await.sign_in("admin", &self.admin_password().await).await
    }

    /// The pods of a part, such as `patient-service`; those that are on their way out too.
    ///
    /// # Panics
    /// If the API server does not tell.
    pub async fn pods(&self, part: &str) -> Vec<Pod> {
        let of_the_part = format!("app.kubernetes.io/name={part},app.kubernetes.io/instance={}", self.name);
        self.api::<Pod>().list(&ListParams::default().labels(&of_the_part)).await.expect("pods").items
    }

    /// Every pod of services, gateway and database that is to stay: its name and how often its containers were started again. The same answer twice means
    /// that nothing restarted in between.
    ///
    /// # Panics
    /// If the API server does not tell.
    pub async fn running(&self) -> Vec<(String, i32)> {
        let of_the_stack = ListParams::default().labels(&format!("healthcarestack.dev/stack={}", self.name));
        let pods = self.api::<Pod>().list(&of_the_stack).await.expect("pods").items;
        let stays = |pod: &&Pod| {
            let is_job = pod.labels().contains_key("batch.kubernetes.io/job-name");
            !is_job && pod.metadata.deletion_timestamp.is_none()
        };
        let restarts = |pod: &Pod| {
            let status = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
            status.into_iter().flatten().map(|container| container.restart_count).sum()
        };
        let mut running: Vec<_> =
            pods.iter().filter(stays).map(|pod| (pod.name_any(), restarts(pod))).collect();
        running.sort();
        running
    }

    /// Everything that is the stack's: of each kind that the operator makes, what carries the stack's label.
    ///
    /// # Panics
    /// If the API server does not tell.
    pub async fn objects(&self) -> Vec<DynamicObject> {
        let ours =
            ListParams::default().labels(&format!("{},healthcarestack.dev/stack={}", MANAGED, self.name));
        let mut objects = Vec::new();
        for kind in Kind::all().iter().filter(|kind| kind.needs.is_none()) {
            let api = Api::namespaced_with(self.client(), &self.namespace().name, &kind.resource);
            let list: ObjectList<DynamicObject> = api.list(&ours).await.expect("a list");
            objects.extend(list.items.into_iter().map(|object| DynamicObject {
                // Items of a list do not say what they are.
                types: Some(TypeMeta {
                    api_version: kind.resource.api_version.clone(),
                    kind: kind.resource.kind.clone(),
                }),
                ..object
            }));
        }
        objects
    }

    /// What kind an object of [`Self::objects`] is of.
    ///
    /// # Panics
    /// If it is of none that the operator makes.
    pub fn kind_of(object: &DynamicObject) -> ApiResource {
        let types = object.types.as_ref().expect("it says what it is");
        let is_it =
            |kind: &&Kind| kind.resource.api_version == types.api_version && kind.resource.kind == types.kind;
        Kind::all().iter().find(is_it).expect("a kind of ours").resource.clone()
    }

    /// Ends the pods of a part at once, as a crash would.
    ///
    /// # Panics
    /// If the API server refuses.
    pub async fn kill(&self, part: &str) {
        for pod in self.pods(part).await {
            let at_once = DeleteParams::default().grace_period(0);
            match self.api::<Pod>().delete(&pod.name_any(), &at_once).await {
                // One that was on its way out already has gone meanwhile.
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                ended => drop(ended.expect("a pod's end")),
            }
        }
    }
}

/// Whether it becomes true in time.
async fn eventually_or(within: Duration, mut is_so: impl AsyncFnMut() -> bool) -> bool {
    let begun = std::time::Instant::now();
    while begun.elapsed() < within {
        if is_so().await {
            return true;
        }
        tokio::time::sleep(crate::wait::ASK_EVERY).await;
    }
    false
}

/// RFC 7396.
fn merge(into: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *into = patch.clone();
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    for (name, value) in patch {
        if value.is_null() {
            into.as_object_mut().and_then(|members| members.remove(name));
        } else {
            merge(&mut into[name.as_str()], value);
        }
    }
}
