//! Drift: what somebody changes or deletes of a stack is soon as it was; what is not the operator's is left alone; and who insists is told
//! of, not fought.

use std::cmp::Reverse;
use std::time::{Duration, Instant};

use cluster_tests::{Clinic, eventually};
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::core::DynamicObject;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use stack::condition::{kind, reason};

/// A second is what is promised; how often that is kept, `make bench-operator` measures. Here other tests run beside.
const SOON: Duration = Duration::from_secs(10);
/// Long enough for the operator to have taken something back, if it would.
const A_WHILE: Duration = Duration::from_secs(3);
const LABEL: &str = "app.kubernetes.io/part-of";

/// A way to change the objects of one stack.
struct Hand<'a>(&'a Clinic);

impl Hand<'_> {
    fn api(&self, object: &DynamicObject) -> Api<DynamicObject> {
        Api::namespaced_with(self.0.client(), &self.0.namespace().name, &Clinic::kind_of(object))
    }

    async fn patch(&self, object: &DynamicObject, patch: &Value) {
        let by_hand = PatchParams { field_manager: Some("by-hand".to_owned()), ..PatchParams::default() };
        self.api(object).patch(&object.name_any(), &by_hand, &Patch::Merge(patch)).await.unwrap();
    }

    async fn get(&self, object: &DynamicObject) -> Result<DynamicObject, String> {
        self.api(object).get(&object.name_any()).await.map_err(|error| error.to_string())
    }

    /// Waits until what is in an object is as it is in this one.
    async fn is_repaired(&self, object: &DynamicObject, pointer: &str) -> Duration {
        let begun = Instant::now();
        let wanted = at(object, pointer);
        let what = format!("{} {} {pointer}", kind(object), object.name_any());
        eventually(&what, SOON, async || {
            let now = at(&self.get(object).await?, pointer);
            if now == wanted { Ok(()) } else { Err(format!("{now}, not {wanted}")) }
        })
        .await;
        begun.elapsed()
    }

    /// Deletes one, and waits until there is another in its place.
    async fn is_made_again(&self, object: &DynamicObject) -> Duration {
        self.api(object).delete(&object.name_any(), &DeleteParams::background()).await.unwrap();
        let begun = Instant::now();
        eventually(&format!("{} {} again", kind(object), object.name_any()), SOON, async || {
            let now = self.get(object).await?;
            if now.uid() == object.uid() { Err("the old one is still there".to_owned()) } else { Ok(()) }
        })
        .await;
        begun.elapsed()
    }
}

fn kind(object: &DynamicObject) -> &str {
    &object.types.as_ref().unwrap().kind
}

fn at(object: &DynamicObject, pointer: &str) -> Value {
    serde_json::to_value(object).unwrap().pointer(pointer).cloned().unwrap_or_default()
}

/// Something of the spec for some kinds, each with where it is to be seen.
fn edits() -> Vec<(&'static str, &'static str, Value, &'static str)> {
    vec![
        ("Deployment", "patient-service", json!({"spec": {"replicas": 3}}), "/spec/replicas"),
        ("Deployment", "api-gateway", json!({"spec": {"minReadySeconds": 9}}), "/spec/minReadySeconds"),
        ("StatefulSet", "postgres", json!({"spec": {"replicas": 0}}), "/spec/replicas"),
        (
            "Service",
            "patient-service",
            json!({"spec": {"selector": {"app.kubernetes.io/name": "nobody"}}}),
            "/spec/selector",
        ),
        ("ConfigMap", "api-gateway", json!({"data": {"gateway.json": "{}"}}), "/data"),
        (
            "NetworkPolicy",
            "patient-service",
            json!({"spec": {"policyTypes": ["Ingress"]}}),
            "/spec/policyTypes",
        ),
        (
            "Role",
            "api-gateway",
            json!({"rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["*"]}]}),
            "/rules",
        ),
        (
            "ServiceAccount",
            "auth-service",
            json!({"automountServiceAccountToken": true}),
            "/automountServiceAccountToken",
        ),
    ]
}

#[tokio::test]
async fn what_somebody_changes_or_deletes_is_soon_as_it_was() {
    let clinic = Clinic::new("drift").await.small().with(json!({"gateway": {"replicas": 2}})).ready().await;
    let hand = Hand(&clinic);
    let objects = clinic.objects().await;
    let mut took = Vec::new();

    for (kind_, part, patch, pointer) in edits() {
        let name = clinic.object(part);
        let object = objects.iter().find(|object| kind(object) == kind_ && object.name_any() == name);
        let object = object.unwrap_or_else(|| panic!("no {kind_} {name}"));
        hand.patch(object, &patch).await;
        took.push((format!("edit of {kind_}"), hand.is_repaired(object, pointer).await));
    }
    // One object of each kind (of ServiceAccounts, one whose token nobody has).
    // A Job is done once, and a Secret is never written again.
    let mut kinds: Vec<_> = objects.iter().filter(|it| !["Job", "Secret"].contains(&kind(it))).collect();
    kinds.sort_by_key(|object| (kind(object).to_owned(), Reverse(object.name_any())));
    kinds.dedup_by_key(|object| kind(object).to_owned());
    assert!(kinds.len() >= 10, "{:?}", kinds.iter().map(|object| kind(object)).collect::<Vec<_>>());
    for object in &kinds {
        hand.patch(object, &json!({"metadata": {"labels": {LABEL: "somebody"}}})).await;
        let repaired = hand.is_repaired(object, "/metadata/labels").await;
        took.push((format!("label of {}", kind(object)), repaired));
    }
    // A volume that is in use stays until nobody uses it, whoever deletes it.
    for object in kinds.iter().filter(|object| kind(object) != "PersistentVolumeClaim") {
        took.push((format!("deletion of {}", kind(object)), hand.is_made_again(object).await));
    }
    clinic.settled().await;
    took.sort_by_key(|(_, took)| *took);
    println!("the longest repairs: {:?}", &took[took.len() - 5..]);
}

#[tokio::test]
async fn what_is_not_the_operators_is_left_alone_and_who_insists_is_told_of() {
    let clinic = Clinic::new("fields").await.small().ready().await;
    let hand = Hand(&clinic);
    let objects = clinic.objects().await;
    let find = |kind_: &str, part: &str| {
        let name = clinic.object(part);
        objects.iter().find(|object| kind(object) == kind_ && object.name_any() == name).unwrap()
    };

    // Labels of others, and what `kubectl rollout restart` writes.
    let service = find("Deployment", "patient-service");
    hand.patch(service, &json!({"metadata": {"labels": {"team": "front-desk"}, "annotations": {"example.org/note": "hello"}}})).await;
    clinic.namespace().kubectl(&["rollout", "restart", "deployment", &clinic.object("patient-service")]);
    let written = clinic.operator.metric("healthcare_objects_written_total").await;
    clinic
        .edit(json!({"spec": {"services": {"patient": {"env": [{"name": "TEAM", "value": "front-desk"}]}}}}))
        .await;
    eventually("the changed Deployment", SOON, async || {
        let now = clinic.operator.metric("healthcare_objects_written_total").await;
        if now > written { Ok(()) } else { Err("nothing written") }
    })
    .await;
    clinic.settled().await;
    let now = hand.get(service).await.unwrap();
    assert_eq!(now.labels()["team"], "front-desk");
    assert_eq!(now.annotations()["example.org/note"], "hello");
    let template = at(&now, "/spec/template/metadata/annotations");
    assert!(template.get("kubectl.kubernetes.io/restartedAt").is_some(), "{template}");

    // Somebody who takes a field back each time, as another controller would.
    let contested = find("Service", "auth-service");
    let stop = Instant::now() + Duration::from_mins(1);
    let condition = loop {
        hand.patch(contested, &json!({"metadata": {"labels": {LABEL: "somebody"}}})).await;
        if let Some(condition) = clinic.condition(kind::FIELD_CONFLICT).await {
            break condition;
        }
        assert!(Instant::now() < stop, "nobody tells of the conflict: {}", clinic.story());
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(condition.reason, reason::FOUGHT_OVER);
    for word in ["by-hand", "auth-service", "part-of"] {
        assert!(condition.message.contains(word), "{word}: {}", condition.message);
    }
    let repaired = clinic.operator.metric("healthcare_drift_repairs_total").await;
    hand.patch(contested, &json!({"metadata": {"labels": {LABEL: "somebody-else"}}})).await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(
        clinic.operator.metric("healthcare_drift_repairs_total").await,
        repaired,
        "it is still fought over"
    );
    // The rest of the stack is looked after as ever.
    let other = find("Service", "patient-service");
    hand.patch(other, &json!({"metadata": {"labels": {LABEL: "somebody"}}})).await;
    hand.is_repaired(other, "/metadata/labels").await;
}
