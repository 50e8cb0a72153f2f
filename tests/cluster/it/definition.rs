//! The definition of `HealthcareStack` changes with the operator's release, and back; and a stack that was stored under another one, which
//! this operator cannot read, stops none of the others.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use cluster_tests::{ApiServer, Replica, Told, eventually, repository};
use kube::Api;
use kube::core::{ApiResource, DynamicObject};
use serde_json::{Value, json};
use stack::condition::{kind, reason};
use stack::spec::{Condition, ConditionStatus, HealthcareStack};

/// An API server ends watches of a kind whose definition changes; they begin again, after half a minute at the latest.
const SOON: Duration = Duration::from_mins(1);
const DEFINITION: &str = "customresourcedefinition/healthcarestacks.healthcarestack.dev";
const SPEC: &str = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";
const NAMESPACE: &str = "healthcare";

fn resource(name: &str, spec: &Value) -> Value {
    json!({"apiVersion": stack::API_VERSION, "kind": stack::KIND, "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec})
}

/// The operator's chart as a later release may have it, whose stacks have a member more.
fn next_chart(folder: &Path) -> String {
    let chart = folder.join("healthcare-operator");
    let copied = Command::new("cp")
        .arg("-r")
        .arg(repository().join("charts/healthcare-operator"))
        .arg(&chart)
        .status();
    assert!(copied.unwrap().success());
    let file = chart.join("files/healthcarestack.yaml");
    let mut definition: Value = serde_saphyr::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    *definition.pointer_mut(&format!("{SPEC}/paused")).unwrap() =
        json!({"type": "boolean", "default": false, "description": "Another text."});
    definition.pointer_mut(SPEC).unwrap()["motto"] = json!({"type": "string", "maxLength": 64});
    fs::write(&file, definition.to_string()).unwrap();
    chart.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_definition_comes_with_the_release_goes_back_with_it_and_never_away() {
    let server = ApiServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let (now, next) = ("charts/healthcare-operator", next_chart(folder.path()));
    let upgrade = |chart: &str, further: &[&str]| {
        let upgrade = [
            "upgrade",
            "--install",
            "healthcare-operator",
            chart,
            "--namespace=healthcare",
            "--create-namespace",
        ];
        Told::of(server.tool("helm").args([&upgrade[..], further].concat()))
    };
    let _ = server.healthcare(&["status", "clinic"]).expect(2).names(&["install the operator first"]);
    // Somebody else's, at first: Helm says so, and takes it over when it is told to.
    server.kubectl(&["apply", "--server-side", "--filename=crds/healthcarestack.yaml"]);
    let _ = upgrade(now, &[])
        .expect(1)
        .names(&["invalid ownership metadata", "healthcarestacks.healthcarestack.dev"]);
    let _ = upgrade(now, &["--set=crd.install=false"]).expect(0);
    let _ = upgrade(now, &["--take-ownership", "--set=crd.install=true"]).expect(0);
    let known = || {
        server.kubectl(&[
            "get",
            DEFINITION,
            "--output=jsonpath={.spec.versions[0].schema.openAPIV3Schema.properties.spec.properties.motto}",
        ])
    };
    assert_eq!(known(), "");
    eventually("the definition to be in force", SOON, async || {
        server.apply(&resource("old", &json!({"currency": "EUR"})))
    })
    .await;
    let strictly = server.apply(&resource("new", &json!({"motto": "To the patients"}))).unwrap_err();
    assert!(strictly.contains("motto"), "{strictly}");

    let _ = upgrade(&next, &[]).expect(0);
    assert!(known().contains("maxLength"), "{}", known());
    let with_motto = resource("new", &json!({"motto": "To the patients"}));
    eventually("the new member to be in force", SOON, async || server.apply(&with_motto)).await;
    let currency = || {
        server.kubectl(&[
            "get",
            "healthcarestack/old",
            "--namespace=healthcare",
            "--output=jsonpath={.spec.currency}",
        ])
    };
    assert_eq!(currency(), "EUR");

    server.helm(&["rollback", "healthcare-operator", "--namespace=healthcare"]);
    assert_eq!(known(), "");
    let motto = || {
        server.kubectl(&[
            "get",
            "healthcarestack/new",
            "--namespace=healthcare",
            "--output=jsonpath={.spec.motto}",
        ])
    };
    eventually(
        "stacks without the member",
        SOON,
        async || if motto().is_empty() { Ok(()) } else { Err(motto()) },
    )
    .await;

    // Stacks outlive the release, and so does what defines them.
    server.helm(&["uninstall", "healthcare-operator", "--namespace=healthcare", "--no-hooks"]);
    assert_eq!(currency(), "EUR");
}

/// What the operator says of a stack, which it need not be able to read.
async fn ready(server: &ApiServer, operator: &Replica, name: &str) -> Condition {
    let kind = ApiResource::erase::<HealthcareStack>(&());
    let stacks: Api<DynamicObject> = Api::namespaced_with(server.client().await, NAMESPACE, &kind);
    eventually(&format!("something said of {name}"), SOON, async || {
        let stack = stacks.get(name).await.map_err(|error| error.to_string())?;
        let conditions = stack.data["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let conditions =
            conditions.into_iter().map(|condition| serde_json::from_value::<Condition>(condition).unwrap());
        let current = conditions.filter(|it| it.observed_generation == stack.metadata.generation);
        current.into_iter().find(|it| it.r#type == kind::READY).ok_or_else(|| operator.log())
    })
    .await
}

fn edit(server: &ApiServer, name: &str, spec: &Value) {
    let patch = format!("--patch={}", json!({"spec": spec}));
    server.kubectl(&["patch", "healthcarestack", name, "--namespace=healthcare", "--type=merge", &patch]);
}

#[tokio::test]
async fn a_stack_that_cannot_be_read_says_so_and_stops_no_other() {
    let server = ApiServer::start().await;
    server.helm(&[
        "install",
        "healthcare-operator",
        "charts/healthcare-operator",
        "--namespace=healthcare",
        "--create-namespace",
    ]);
    let account = ("healthcare", "healthcare-operator");
    let operator = server.operator(account, &[]).await;
    eventually("a stack", SOON, async || server.apply(&resource("well", &json!({})))).await;
    assert_eq!(ready(&server, &operator, "well").await.reason, reason::DATABASE_UNREACHABLE);

    // Stored under a definition that takes more than this operator reads.
    let change = |paused: &Value| {
        let change = json!([{"op": "replace", "path": format!("{SPEC}/paused"), "value": paused}]);
        server.kubectl(&["patch", DEFINITION, "--type=json", &format!("--patch={change}")]);
    };
    let before = format!(
        "--output=jsonpath={{{}}}",
        SPEC.replace("/spec/versions/0", ".spec.versions[0]").replace('/', ".") + ".paused"
    );
    let before: Value = serde_json::from_str(&server.kubectl(&["get", DEFINITION, &before])).unwrap();
    change(&json!({"x-kubernetes-int-or-string": true}));
    let damaged = resource("damaged", &json!({"paused": "at night"}));
    eventually("the looser definition to be in force", SOON, async || server.apply(&damaged)).await;
    change(&before);

    let condition = ready(&server, &operator, "damaged").await;
    assert_eq!((condition.status, condition.reason.as_str()), (ConditionStatus::False, reason::INVALID));
    assert!(condition.message.contains("spec.paused"), "{}", condition.message);
    edit(&server, "well", &json!({"gateway": {"replicas": 2}}));
    assert_eq!(ready(&server, &operator, "well").await.reason, reason::DATABASE_UNREACHABLE);

    // One that starts when it is there already.
    drop(operator);
    let operator = server.operator(account, &[]).await;
    edit(&server, "well", &json!({"gateway": {"replicas": 3}}));
    assert_eq!(ready(&server, &operator, "well").await.reason, reason::DATABASE_UNREACHABLE);
    assert_eq!(ready(&server, &operator, "damaged").await.reason, reason::INVALID);

    edit(&server, "damaged", &json!({"paused": true}));
    assert_eq!(ready(&server, &operator, "damaged").await.reason, reason::PAUSED);
}
