//! What holds for every stack, however it is called and whatever it asks for.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use settings::ServiceName;
use stack::{Stack, names};

use super::rewrap::planned_rewrapping;
use super::{find, planned, pod};
use crate::object::Object;
use crate::plan::labels;

/// Names that the API server takes for a custom resource.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?",
        "[a-z0-9]{1,20}(\\.[a-z0-9]([-a-z0-9]{0,10}[a-z0-9])?){1,8}",
        "[a-z0-9]{253}",
    ]
}

fn scale() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!({})),
        (1_u32..=4).prop_map(|replicas| json!({ "replicas": replicas })),
        (1_u32..=2, 2_u32..=5).prop_map(|(min, max)| json!({ "autoscaling": { "min": min, "max": max } })),
    ]
}

fn service() -> impl Strategy<Value = Value> {
    (scale(), any::<bool>(), "[A-Z]{1,9}", "[a-z0-9]([-a-z0-9.]{0,80}[a-z0-9])?").prop_map(
        |(mut service, with_env, variable, secret)| {
            if with_env && !names::is_reserved_secret(&secret) {
                service["env"] = json!([
                    { "name": variable, "secret": { "secret": secret, "key": "key" } },
                    { "name": format!("{variable}_PLAIN"), "value": "plain" },
                ]);
            }
            service
        },
    )
}

fn backup() -> impl Strategy<Value = Value> {
    let store = ("[a-z0-9]([-a-z0-9.]{0,80}[a-z0-9])?", any::<bool>(), any::<bool>());
    let store = store.prop_filter_map("reserved", |(secret, own_ca, own_class)| {
        let of = |key: &str| json!({ "secret": secret, "key": key });
        let mut store = json!({
            "endpoint": "https://s3.example.org", "bucket": "backups", "accessKeyId": of("id"), "secretAccessKey": of("key"),
        });
        if own_ca {
            store["ca"] = of("ca.crt");
        }
        if own_class {
            store["scratch"] = json!({ "size": "20Gi", "className": "fast" });
        }
        (!names::is_reserved_secret(&secret)).then_some(store)
    });
    prop_oneof![
        Just(json!({ "volume": {} })),
        store.clone().prop_map(|store| json!({ "objectStore": store })),
        store.prop_map(|store| json!({ "volume": {}, "objectStore": store })),
    ]
}

/// Specs of every kind; those few that break a rule are left out by the caller.
fn spec() -> impl Strategy<Value = Value> {
    let services = proptest::collection::vec(service(), 7);
    let off = proptest::sample::subsequence(vec!["appointment", "billing", "records", "notification"], 0..=4);
    let database = select(vec![
        json!({ "managed": {} }),
        json!({ "cloudNativePG": {} }),
        json!({ "external": { "url": { "secret": "db.example", "key": "url" }, "maxConnections": 1000 } }),
    ]);
    let mail = proptest::option::of(("[a-z]{3,9}(\\.[a-z]{2,60}){1,4}", any::<bool>()));
    let tag = proptest::option::of("[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}");
    (services, off, scale(), any::<[bool; 2]>(), (database, backup()), mail, tag).prop_map(
        |(services, off, mut gateway, [tls, ingress], (mut database, backup), mail, tag)| {
            database["backup"] = backup;
            let keys = ServiceName::ALL.map(ServiceName::short);
            let mut services: serde_json::Map<_, _> =
                keys.into_iter().map(str::to_owned).zip(services).collect();
            for service in off {
                services[service]["enabled"] = json!(false);
            }
            if tls {
                gateway["tls"] = json!({
                    "certificate": { "secret": "cert.example", "key": "tls.crt" },
                    "privateKey": { "secret": "cert.example", "key": "tls.key" },
                });
            }
            if ingress {
                gateway["ingress"] = json!({ "host": "clinic.example.org" });
            }
            let mut spec = json!({ "services": services, "gateway": gateway, "database": database });
            if let Some((secret, private)) = mail {
                let host = if private { "10.0.0.25" } else { "smtp.example.org" };
                spec["integrations"]["mail"] = json!({
                    "host": host, "port": 587, "from": "a@example.org", "username": "a",
                    "password": { "secret": secret, "key": "password" },
                });
            }
            if let Some(tag) = tag {
                spec["image"]["tag"] = json!(tag);
            }
            spec
        },
    )
}

fn stack() -> impl Strategy<Value = Stack> {
    (name(), "[a-z]([-a-z0-9]{0,61}[a-z0-9])?", spec()).prop_filter_map(
        "breaks a rule",
        |(name, namespace, spec)| {
            let document = json!({
                "apiVersion": stack::API_VERSION, "kind": stack::KIND,
                "metadata": { "name": name, "namespace": namespace }, "spec": spec,
            });
            Stack::from_yaml(&document.to_string()).ok()
        },
    )
}

fn is_label_value(value: &str) -> bool {
    value.is_empty() || is_label_name(value)
}

fn is_label_name(value: &str) -> bool {
    value.len() <= 63
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        && value.starts_with(|first: char| first.is_ascii_alphanumeric())
        && value.ends_with(|last: char| last.is_ascii_alphanumeric())
}

/// A DNS label, as Services, containers, volumes and ports must be called.
fn is_dns_label(name: &str) -> bool {
    name.len() <= 63
        && is_label_value(name)
        && name.bytes().all(|byte| !byte.is_ascii_uppercase() && byte != b'.' && byte != b'_')
}

/// Every member called so, wherever it stands.
fn members<'a>(value: &'a Value, name: &str, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get(name));
            object.values().for_each(|member| members(member, name, found));
        }
        Value::Array(items) => items.iter().for_each(|item| members(item, name, found)),
        _ => {}
    }
}

fn all<'a>(value: &'a Value, name: &str) -> Vec<&'a Value> {
    let mut found = Vec::new();
    members(value, name, &mut found);
    found
}

fn check_pod(pod: &Value) -> Result<(), TestCaseError> {
    prop_assert_eq!(&pod["securityContext"]["runAsNonRoot"], true);
    prop_assert_eq!(&pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    prop_assert_eq!(&pod["enableServiceLinks"], false);
    prop_assert!(pod["automountServiceAccountToken"].is_boolean());
    for forbidden in ["hostNetwork", "hostPID", "hostIPC", "hostPath", "hostPort", "privileged"] {
        prop_assert!(all(pod, forbidden).is_empty(), "{forbidden}");
    }
    let containers =
        pod["containers"].as_array().into_iter().chain(pod["initContainers"].as_array()).flatten();
    for container in containers {
        let security = &container["securityContext"];
        prop_assert_eq!(&security["allowPrivilegeEscalation"], false);
        prop_assert_eq!(&security["readOnlyRootFilesystem"], true);
        prop_assert_eq!(&security["capabilities"], &json!({ "drop": ["ALL"] }));
        let volumes: BTreeSet<_> = pod["volumes"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|volume| &volume["name"])
            .map(Value::to_string)
            .collect();
        let mounts: Vec<_> = container["volumeMounts"].as_array().into_iter().flatten().collect();
        let paths: BTreeSet<_> = mounts.iter().map(|mount| mount["mountPath"].to_string()).collect();
        prop_assert_eq!(paths.len(), mounts.len(), "two mounts at one path");
        prop_assert_eq!(
            volumes.len(),
            pod["volumes"].as_array().map_or(0, Vec::len),
            "two volumes of one name"
        );
    }
    for volume in pod["volumes"].as_array().into_iter().flatten() {
        prop_assert!(volume["name"].as_str().is_some_and(is_dns_label), "{volume}");
    }
    Ok(())
}

fn check(stack: &Stack, object: &Object) -> Result<(), TestCaseError> {
    let metadata = &object.body["metadata"];
    prop_assert!(is_dns_label(&object.name), "{}", object.name);
    prop_assert_eq!(&metadata["name"], &object.name);
    prop_assert_eq!(&metadata["namespace"], &stack.namespace);
    let kept = ["PersistentVolumeClaim", "Cluster"].contains(&&*object.resource.kind);
    prop_assert_eq!(metadata.get("ownerReferences").is_none(), kept, "{}", object.reference());
    prop_assert!(kept || metadata["ownerReferences"][0]["name"] == stack.name);
    prop_assert_eq!(&metadata["labels"][labels::STACK], &names::label(&stack.name));
    prop_assert_eq!(&metadata["labels"][labels::MANAGED_BY.0], labels::MANAGED_BY.1);
    prop_assert!(object.resource.kind != "Secret", "Secrets are not planned");
    for labels in all(&object.body, "labels").into_iter().chain(all(&object.body, "matchLabels")) {
        for (name, value) in labels.as_object().into_iter().flatten() {
            prop_assert!(value.as_str().is_some_and(is_label_value), "{name}: {value}");
        }
    }
    for annotations in all(&object.body, "annotations") {
        for name in annotations.as_object().into_iter().flat_map(serde_json::Map::keys) {
            prop_assert!(name.rsplit('/').next().is_some_and(is_label_name), "{name}");
        }
    }
    for pod in all(&object.body, "template") {
        check_pod(&pod["spec"])?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_stack_comes_to_objects_that_the_api_server_takes(stack in stack()) {
        let objects = planned(&stack);
        let unique: BTreeSet<_> = objects.iter().map(Object::reference).collect();
        prop_assert_eq!(unique.len(), objects.len(), "an object twice");
        for object in objects.iter().chain(&planned_rewrapping(&stack)) {
            check(&stack, object)?;
        }
    }

    #[test]
    fn the_same_stack_comes_to_the_same_objects(stack in stack()) {
        prop_assert_eq!(planned(&stack), planned(&stack));
    }

    #[test]
    fn autoscaling_and_replicas_are_never_both_said(stack in stack()) {
        let objects = planned(&stack);
        for deployment in objects.iter().filter(|object| object.resource.kind == "Deployment") {
            let scaled = objects.iter().any(|object| {
                object.resource.kind == "HorizontalPodAutoscaler" && object.body["spec"]["scaleTargetRef"]["name"] == deployment.name
            });
            prop_assert_eq!(scaled, deployment.body["spec"].get("replicas").is_none(), "{}", deployment.name);
        }
    }

    #[test]
    fn every_selector_finds_pods_of_this_plan(stack in stack()) {
        let objects = planned(&stack);
        for service in objects.iter().filter(|object| object.resource.kind == "Service") {
            let kind = if service.name.ends_with("-postgres") { "StatefulSet" } else { "Deployment" };
            let deployment = find(&objects, kind, &service.name);
            let labels = &deployment["spec"]["template"]["metadata"]["labels"];
            for (name, value) in service.body["spec"]["selector"].as_object().unwrap() {
                prop_assert_eq!(&labels[name], value);
            }
            let ports = pod(deployment)["containers"][0]["ports"].as_array().unwrap();
            prop_assert!(ports.iter().any(|port| port["name"] == service.body["spec"]["ports"][0]["targetPort"]));
        }
    }
}
