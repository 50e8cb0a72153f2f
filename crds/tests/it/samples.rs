//! The samples that people start from.

use std::collections::BTreeSet;

use serde_json::Value;
use stack::spec::HealthcareStackSpec;
use stack::{Database, Scale, Stack};

use crate::sample;

#[test]
fn each_sample_is_a_stack() {
    for entry in crate::root().join("manifests/samples").read_dir().unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        if let Err(invalid) = Stack::from_yaml(&text) {
            panic!("{}:\n{invalid}", path.display());
        }
    }
}

/// README and docs/install.md say `--namespace` with each; kubectl refuses a resource that names another.
#[test]
fn no_sample_names_a_namespace_so_that_each_goes_where_it_is_applied() {
    for entry in crate::root().join("manifests/samples").read_dir().unwrap() {
        let path = entry.unwrap().path();
        let document: Value = serde_saphyr::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert!(document["metadata"]["namespace"].is_null(), "{}", path.display());
    }
}

#[test]
fn a_stack_that_says_nothing_has_every_default() {
    let stack = Stack::from_yaml(&sample("minimal")).unwrap();
    assert_eq!(stack.enabled().count(), 7);
    assert!(stack.services.values().all(|service| service.scale == Scale::Fixed(1)));
    assert!(matches!(&stack.database, Database::Managed(managed) if managed.version == 17));
    assert_eq!((stack.time_zone.name(), stack.currency.code()), ("UTC", "USD"));
    assert_eq!(stack.image.tag, stack.version);
    assert_eq!(stack.auth.access_token_lifetime.to_string(), "10m");
    assert_eq!(stack.gateway.rate_limits.per_user.map(|limit| limit.burst), Some(400));
    assert!(stack.gateway.access_log);
}

#[test]
fn access_tokens_that_an_earlier_version_let_live_longer_live_ten_minutes() {
    let stack = crate::stack("auth: { accessTokenLifetime: 45m }");
    assert_eq!(stack.auth.access_token_lifetime.to_string(), "10m");
}

/// docs/resilience.md shows every policy with its default.
#[test]
fn the_defaults_that_the_documentation_shows_are_the_defaults() {
    let page = crate::read("docs/resilience.md");
    let shown = page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let shown = Stack::from_yaml(&sample("minimal").replace("spec: {}", shown)).unwrap();
    let bare = crate::stack("gateway: { routes: [{ path: /api/patients, service: patient }] }");
    assert_eq!(shown.service_calls, settings::ServiceCalls::default());
    assert_eq!((shown.service_calls, shown.gateway), (bare.service_calls, bare.gateway));
}

#[test]
fn a_stack_without_a_spec_is_one_that_says_nothing() {
    let without = sample("minimal").replace("spec: {}", "");
    let null = sample("minimal").replace("spec: {}", "spec:");
    let stack = Stack::from_yaml(&sample("minimal")).unwrap();
    assert_eq!(Stack::from_yaml(&without).unwrap(), stack);
    assert_eq!(Stack::from_yaml(&null).unwrap(), stack);
}

/// `full.yaml` is the reference: whoever adds a field adds it there. Alternatives of a choice stand there as comments.
#[test]
fn the_full_sample_has_every_field() {
    let document: Value = serde_saphyr::from_str(&sample("full")).unwrap();
    let mut shown = BTreeSet::new();
    collect_value("", &document["spec"], &mut shown);
    let crd = serde_json::to_value(stack::crd()).unwrap();
    let mut known = BTreeSet::new();
    collect_schema(
        "",
        &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"],
        &mut known,
    );
    // The seven services have one shape; patient shows it. `replicas` is shown elsewhere than `autoscaling`.
    let shown_elsewhere = |field: &str| {
        let service = field.strip_prefix("services.").and_then(|rest| rest.split_once('.'));
        let database = field.strip_prefix("database.").and_then(|rest| rest.split('.').next());
        matches!(service, Some((name, _)) if name != "patient")
            || matches!(database, Some("managed" | "external"))
            || ["services.patient.replicas"].contains(&field)
            || field.starts_with("gateway.autoscaling")
            || field.starts_with("database.restoreFrom.volume")
            || field.starts_with("gateway.ingress.parentRefs")
            || field.starts_with("gateway.tls")
    };
    let missing: Vec<_> = known.difference(&shown).filter(|field| !shown_elsewhere(field)).collect();
    assert!(missing.is_empty(), "manifests/samples/full.yaml does not show {missing:#?}");
}

#[test]
fn a_resource_and_its_yaml_are_the_same_stack() {
    for name in ["minimal", "healthcarestack", "full"] {
        let text = sample(name);
        let document: Value = serde_saphyr::from_str(&text).unwrap();
        let spec: HealthcareStackSpec = serde_json::from_value(document["spec"].clone()).unwrap();
        let mut resource =
            stack::spec::HealthcareStack::new(document["metadata"]["name"].as_str().unwrap(), spec);
        resource.metadata.namespace = document["metadata"]["namespace"].as_str().map(str::to_owned);
        assert_eq!(Stack::from_resource(&resource).unwrap(), Stack::from_yaml(&text).unwrap(), "{name}");
    }
}

fn collect_value(path: &str, value: &Value, fields: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let path = join(path, name);
                collect_value(&path, value, fields);
                fields.insert(path);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect_value(path, item, fields)),
        _ => {}
    }
}

fn collect_schema(path: &str, schema: &Value, fields: &mut BTreeSet<String>) {
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        let path = join(path, name);
        collect_schema(&path, member, fields);
        fields.insert(path);
    }
    if schema["items"].is_object() {
        collect_schema(path, &schema["items"], fields);
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
