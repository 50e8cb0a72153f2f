//! What is planned for the samples, for a reviewer to read, and the rules that matter.

mod backup;
mod encryption;
mod every_stack;
mod limits;
mod rewrap;
mod waits;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde_json::{Value, json};
use settings::{SecretRef, ServiceName};
use stack::spec::{GatewayTls, ParentRef};
use stack::{IngressBy, Stack, names};

use super::{Capabilities, Context, Kek, Tags, labels, plan, service_account};
use crate::object::Object;

fn sample(name: &str) -> Stack {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests/samples").join(name).with_extension("yaml");
    Stack::from_yaml(&fs::read_to_string(file).unwrap()).unwrap()
}

/// The sample with every field, as it is applied to a namespace.
pub(crate) fn full() -> Stack {
    let mut stack = sample("full");
    "clinic".clone_into(&mut stack.namespace);
    stack
}

fn everything() -> Capabilities {
    Capabilities { http_route: true, pod_monitor: true, prometheus_rule: true, cloud_native_pg: true }
}

/// Each of the stack's own Secrets is there, and two that users named.
fn checksums(stack: &Stack) -> BTreeMap<String, String> {
    let own = names::parts().map(|part| names::object(&stack.name, &part));
    own.chain(["smtp".to_owned(), "proxy".to_owned()])
        .map(|name| (name.clone(), format!("sum-of-{name}")))
        .collect()
}

/// No key takes the place of another.
static AT_REST: Kek = Kek { rewrap: None, restored: Vec::new() };

fn context<'a>(stack: &'a Stack, checksums: &'a BTreeMap<String, String>) -> Context<'a> {
    let tag = Some(stack.image.tag.clone());
    Context {
        stack,
        owner: OwnerReference {
            api_version: stack::API_VERSION.to_owned(),
            kind: stack::KIND.to_owned(),
            name: stack.name.clone(),
            uid: "0b6e1b5c-6f5e-4d5f-9c55-8a52ab2a9c1d".to_owned(),
            controller: Some(true),
            // As kube's `controller_owner_ref` makes it.
            block_owner_deletion: None,
        },
        tags: Tags { migrations: tag.clone(), services: tag.clone(), gateway: tag },
        capabilities: everything(),
        checksums,
        kek: &AT_REST,
        operator_image: None,
    }
}

/// Does something with a stack's context, in which every turn has come.
pub(crate) fn with<T>(stack: &Stack, work: impl FnOnce(&Context<'_>) -> T) -> T {
    work(&context(stack, &checksums(stack)))
}

fn planned(stack: &Stack) -> Vec<Object> {
    with(stack, plan)
}

fn find<'a>(objects: &'a [Object], kind: &str, name: &str) -> &'a Value {
    let found = objects.iter().find(|object| object.resource.kind == kind && object.name == name);
    &found.unwrap_or_else(|| panic!("no {kind} {name}")).body
}

fn pod(deployment: &Value) -> &Value {
    &deployment["spec"]["template"]["spec"]
}

/// JSON in JSON is read and shown as what it is, so that a reviewer sees its members; of the gateway's routes only how many there are.
fn readable(mut value: Value) -> Value {
    match &mut value {
        Value::String(text) if text.starts_with('{') => {
            if let Ok(mut inner) = serde_json::from_str::<Value>(text) {
                if let Some(routes) = inner.get_mut("routes") {
                    *routes = json!(format!("{} routes", routes.as_array().map_or(0, Vec::len)));
                }
                return readable(inner);
            }
        }
        Value::Object(members) => members.values_mut().for_each(|member| *member = readable(member.take())),
        Value::Array(items) => items.iter_mut().for_each(|item| *item = readable(item.take())),
        _ => {}
    }
    value
}

/// Takes away what every object has, and [`every_stack`] looks at: namespace, owner, and the stack's own labels.
fn without_the_usual(mut body: Value) -> Value {
    if let Some(metadata) = body["metadata"].as_object_mut() {
        metadata.retain(|name, _| !["namespace", "ownerReferences"].contains(&&**name));
        if let Some(labels) = metadata["labels"].as_object_mut() {
            labels.retain(|name, _| name == labels::VERSION || !is_usual(name));
            if labels.is_empty() {
                metadata.remove("labels");
            }
        }
    }
    body
}

fn is_usual(label: &str) -> bool {
    label.starts_with("app.kubernetes.io/") || label == labels::STACK
}

fn yaml(objects: Vec<&Object>) -> String {
    objects.into_iter().fold(String::new(), |mut text, object| {
        let body = without_the_usual(readable(object.body.clone()));
        write!(text, "---\n{}", serde_saphyr::to_string(&body).unwrap()).unwrap();
        text
    })
}

/// The objects of one part of the stack.
fn of_part<'a>(objects: &'a [Object], part: &str) -> Vec<&'a Object> {
    let label = |object: &Object| object.body["metadata"]["labels"]["app.kubernetes.io/name"] == part;
    objects.iter().filter(|object| label(object)).collect()
}

fn list(objects: &[Object]) -> String {
    // The end of a Job's name is a digest of what it does.
    let line = |object: &Object| match (object.resource.kind.as_str(), object.name.rsplit_once('-')) {
        ("Job", Some((name, _))) => format!("Job {name}-…"),
        _ => object.reference().to_string(),
    };
    objects.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_there_is_of_the_samples() {
    insta::assert_snapshot!("what_there_is_of_the_minimal_sample", list(&planned(&sample("minimal"))));
    insta::assert_snapshot!("what_there_is_of_the_full_sample", list(&planned(&full())));
}

#[test]
fn a_service_by_default() {
    insta::assert_snapshot!(yaml(of_part(&planned(&sample("minimal")), "appointment-service")));
}

/// Those that differ: with scaling, environment and probes; with the users' Secrets; with signing keys; and what is not a service.
#[test]
fn each_part_of_the_full_sample() {
    let objects = planned(&full());
    let services = ["patient-service", "notification-service", "auth-service"];
    let others = [names::API_GATEWAY, names::DEFAULT_DENY, names::DATABASE_CLIENTS];
    for part in services.into_iter().chain(others).chain([names::METRICS, names::ALERTS, names::DASHBOARD]) {
        insta::assert_snapshot!(format!("full_{part}"), yaml(of_part(&objects, part)));
    }
}

#[test]
fn a_gateway_by_default() {
    insta::assert_snapshot!(yaml(of_part(&planned(&sample("minimal")), names::API_GATEWAY)));
}

#[test]
fn a_layer_whose_turn_has_not_come_has_no_pods() {
    let stack = full();
    let checksums = checksums(&stack);
    let deployments = |tags| {
        let objects = plan(&Context { tags, ..context(&stack, &checksums) });
        let scaled = ["Deployment", "HorizontalPodAutoscaler", "PodDisruptionBudget"];
        objects
            .iter()
            .filter(|object| scaled.contains(&&*object.resource.kind))
            .map(|object| object.name.clone())
            .collect::<BTreeSet<_>>()
    };
    assert!(deployments(Tags::default()).is_empty());
    let services = deployments(Tags { services: Some("1".to_owned()), ..Tags::default() });
    assert_eq!(services.len(), 7);
    assert!(!services.contains("full-api-gateway"));
}

#[test]
fn a_service_that_is_off_leaves_nothing() {
    let mut stack = sample("minimal");
    stack.services.get_mut(&ServiceName::BillingService).unwrap().enabled = false;
    let objects = planned(&stack);
    assert!(objects.iter().all(|object| !object.name.ends_with("billing-service")));
    assert!(
        !objects
            .iter()
            .any(|object| object.body.to_string().contains("\"app.kubernetes.io/name\":\"billing-service\""))
    );
}

#[test]
fn a_changed_secret_rolls_those_that_mount_it_and_nobody_else() {
    let stack = full();
    let before = planned(&stack);
    let rolled = |secret: &str| {
        let mut checksums = checksums(&stack);
        checksums.insert(secret.to_owned(), "changed".to_owned());
        let after = plan(&context(&stack, &checksums));
        let pairs = before.iter().zip(&after).filter(|(before, after)| before != after);
        pairs.map(|(object, _)| object.reference().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(rolled("full-signing-keys"), ["Deployment full-auth-service"]);
    assert_eq!(rolled("full-database-billing"), ["Deployment full-billing-service"]);
    assert_eq!(rolled("smtp"), ["Deployment full-notification-service"]);
    assert_eq!(rolled("proxy"), ["Deployment full-patient-service"], "it stands in the environment");
    assert_eq!(rolled("full-api-gateway-identity"), ["Deployment full-api-gateway"]);
    assert_eq!(rolled("full-api-gateway-tls"), ["Deployment full-api-gateway"]);
    assert_eq!(rolled("full-patient-service-tls"), ["Deployment full-patient-service"]);
    assert_eq!(rolled("full-kek").len(), 7);
    assert_eq!(rolled("full-first-admin"), [""; 0], "it is read when there is no user yet");
}

/// Its token is worth nothing any more. Nobody else has one.
#[test]
fn an_account_that_is_made_anew_rolls_who_has_its_token_and_nobody_else() {
    let stack = full();
    let planned = |accounts: &[(&str, &str)]| {
        let mut checksums = checksums(&stack);
        let uids = accounts.iter().map(|(name, uid)| (service_account::known_as(name), (*uid).to_owned()));
        checksums.extend(uids);
        plan(&context(&stack, &checksums))
    };
    let before = planned(&[("full-api-gateway", "1"), ("full-auth-service", "2")]);
    let rolled = |accounts: &[(&str, &str)]| {
        let after = planned(accounts);
        let pairs = before.iter().zip(&after).filter(|(before, after)| before != after);
        pairs.map(|(object, _)| object.reference().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(rolled(&[("full-api-gateway", "1"), ("full-auth-service", "3")]), [""; 0]);
    assert_eq!(
        rolled(&[("full-api-gateway", "4"), ("full-auth-service", "2")]),
        ["Deployment full-api-gateway"]
    );
}

#[test]
fn changed_settings_roll_a_service_and_a_changed_route_nothing() {
    let stack = full();
    let rolled = |changed: &Stack| {
        let (before, after) = (planned(&stack), planned(changed));
        let pairs = before.into_iter().zip(after).filter(|(before, after)| before != after);
        pairs.map(|(object, _)| object.reference().to_string()).collect::<Vec<_>>()
    };
    let mut mail = stack.clone();
    mail.integrations.mail.as_mut().unwrap().port = 465;
    assert_eq!(
        rolled(&mail),
        [
            "NetworkPolicy full-notification-service",
            "ConfigMap full-notification-service",
            "Deployment full-notification-service",
        ]
    );
    let mut limits = stack.clone();
    limits.gateway.rate_limits.per_user = None;
    assert_eq!(rolled(&limits), ["ConfigMap full-api-gateway"]);
}

#[test]
fn only_the_gateway_has_a_token_and_only_auth_the_signing_keys() {
    let objects = planned(&full());
    for object in objects.iter().filter(|object| object.resource.kind == "Deployment") {
        let pod = pod(&object.body);
        let secrets: Vec<_> = pod["volumes"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|volume| volume["secret"]["secretName"].as_str())
            .collect();
        assert_eq!(
            pod["automountServiceAccountToken"],
            object.name.ends_with("api-gateway"),
            "{}",
            object.name
        );
        assert_eq!(
            secrets.contains(&"full-signing-keys"),
            object.name.ends_with("auth-service"),
            "{}",
            object.name
        );
        assert_eq!(
            secrets.contains(&"smtp"),
            object.name.ends_with("notification-service"),
            "{}",
            object.name
        );
        assert!(!secrets.contains(&"full-internal-ca"), "{}: its key is the operator's", object.name);
        let certificates: Vec<_> = secrets.iter().filter(|secret| secret.ends_with("-tls")).collect();
        assert_eq!(certificates, [&format!("{}-tls", object.name)], "nobody shows another's");
        let others = secrets.iter().filter(|secret| secret.contains("-database-")).count();
        assert_eq!(others, usize::from(!object.name.ends_with("api-gateway")), "{}", object.name);
    }
    for account in objects.iter().filter(|object| object.resource.kind == "ServiceAccount") {
        assert_eq!(account.body["automountServiceAccountToken"], false);
    }
}

/// Somebody who calls the gateway with TLS gets no further than its port, and its certificate may change without another pod.
#[test]
fn a_gateway_may_speak_tls_itself() {
    let mut stack = sample("minimal");
    let named = |key: &str| SecretRef { secret: "front".to_owned(), key: key.to_owned() };
    stack.gateway.tls = Some(GatewayTls { certificate: named("chain"), private_key: named("key") });
    let objects = planned(&stack);
    let port = &find(&objects, "Service", "minimal-api-gateway")["spec"]["ports"][0];
    assert_eq!((&port["name"], &port["appProtocol"]), (&json!("https"), &json!("https")));
    let deployment = find(&objects, "Deployment", "minimal-api-gateway");
    let container = &pod(deployment)["containers"][0];
    let args = container["args"].to_string();
    assert!(args.contains("--tls-cert=/var/run/healthcare/secrets/front/chain"), "{args}");
    assert!(args.contains("--tls-key=/var/run/healthcare/secrets/front/key"), "{args}");
    assert!(container["volumeMounts"].to_string().contains("/secrets/front\""));
    let annotations = deployment["spec"]["template"]["metadata"]["annotations"].to_string();
    assert!(!annotations.contains("front"), "it is read again");
}

/// A kubelet has no certificate of the stack's, and callers who fill a part up must not end it.
#[test]
fn every_part_is_asked_how_it_is_at_its_admin_port() {
    for object in planned(&full()).iter().filter(|object| object.resource.kind == "Deployment") {
        let container = &pod(&object.body)["containers"][0];
        for (probe, path) in
            [("startupProbe", "/livez"), ("readinessProbe", "/readyz"), ("livenessProbe", "/livez")]
        {
            let asked = &container[probe]["httpGet"];
            assert_eq!(asked, &json!({ "path": path, "port": "admin", "scheme": "HTTP" }), "{}", object.name);
        }
    }
}

#[test]
fn what_the_cluster_does_not_know_is_not_planned() {
    let stack = full();
    let checksums = checksums(&stack);
    let objects = plan(&Context { capabilities: Capabilities::default(), ..context(&stack, &checksums) });
    for object in &objects {
        assert!(!object.resource.group.contains("monitoring.coreos.com"), "{}", object.reference());
    }
}

#[test]
fn gateways_of_the_gateway_api_take_the_place_of_the_ingress() {
    let mut stack = full();
    let parent =
        ParentRef { name: "public".to_owned(), namespace: Some("edge".to_owned()), section_name: None };
    stack.gateway.ingress.as_mut().unwrap().by = IngressBy::HttpRoute { parents: vec![parent] };
    let objects = planned(&stack);
    assert!(objects.iter().all(|object| object.resource.kind != "Ingress"));
    assert_eq!(
        find(&objects, "HTTPRoute", "full-api-gateway")["spec"],
        json!({
            "parentRefs": [{ "name": "public", "namespace": "edge" }],
            "hostnames": ["clinic.example.org"],
            "rules": [{ "backendRefs": [{ "name": "full-api-gateway", "port": 8080 }] }],
        })
    );
}

/// The API server counts no changes of a Service: what is set of one and not compared could be changed by anybody.
#[test]
fn whatever_is_set_of_a_service_is_compared() {
    let mut stack = full();
    stack.gateway.service.r#type = stack::spec::GatewayServiceType::LoadBalancer;
    let objects = planned(&stack);
    let services = objects.iter().filter(|object| object.resource.kind == "Service");
    for service in services {
        let spec =
            |spec: &Value| serde_json::from_value::<crate::thin::ThinSpec>(spec.clone()).unwrap().compared();
        let whole = spec(&service.body["spec"]);
        for member in service.body["spec"].as_object().unwrap().keys() {
            let mut without = service.body["spec"].clone();
            without.as_object_mut().unwrap().remove(member);
            assert_ne!(spec(&without), whole, "{member} of {}", service.name);
        }
    }
}

#[test]
fn what_the_stack_does_not_want_is_not_planned() {
    let mut stack = full();
    stack.network_policy.enabled = false;
    stack.monitoring.enabled = false;
    let objects = planned(&stack);
    for unwanted in ["NetworkPolicy", "PodMonitor", "PrometheusRule"] {
        assert!(objects.iter().all(|object| object.resource.kind != unwanted), "{unwanted}");
    }
    assert!(objects.iter().all(|object| object.name != "full-dashboard"));
}
