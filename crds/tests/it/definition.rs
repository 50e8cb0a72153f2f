//! The `CustomResourceDefinition`: current, structural, bounded.

use serde_json::Value;

/// Calls `visit` with each schema in the definition and its path.
fn each_schema(visit: &mut impl FnMut(&str, &Value)) {
    let crd = serde_json::to_value(stack::crd()).unwrap();
    walk("", &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"], visit);
}

fn walk(path: &str, schema: &Value, visit: &mut impl FnMut(&str, &Value)) {
    visit(path, schema);
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        walk(&format!("{path}.{name}"), member, visit);
    }
    for (name, member) in [("[]", &schema["items"]), (".*", &schema["additionalProperties"])] {
        if member.is_object() {
            walk(&format!("{path}{name}"), member, visit);
        }
    }
}

#[test]
fn the_file_is_current() {
    let file = crate::read("crds/healthcarestack.yaml");
    assert!(
        file == stack::crd_yaml().unwrap(),
        "crds/healthcarestack.yaml is not what the types say: run `make generate` (or `cargo run -p stack --example crd`)"
    );
}

/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema>
#[test]
fn the_schema_is_structural() {
    each_schema(&mut |path, schema| {
        let is_int_or_string = schema["x-kubernetes-int-or-string"] == true;
        assert!(schema["type"].is_string() != is_int_or_string, "{path} has no type");
        for forbidden in
            ["$ref", "oneOf", "anyOf", "allOf", "not", "definitions", "patternProperties", "nullable"]
        {
            assert!(schema.get(forbidden).is_none(), "{path} has {forbidden}");
        }
        assert!(schema["uniqueItems"] != true, "{path} has uniqueItems");
        let additional = &schema["additionalProperties"];
        assert!(!additional.is_boolean(), "{path} has additionalProperties: {additional}");
        assert!(
            additional.is_null() || schema["properties"].is_null(),
            "{path} has both kinds of properties"
        );
        if schema["x-kubernetes-list-type"] == "map" {
            for key in schema["x-kubernetes-list-map-keys"].as_array().unwrap() {
                let required = schema["items"]["required"].as_array().unwrap();
                assert!(required.contains(key), "{path}: the key {key} is not required");
            }
        }
    });
}

/// So that rules in CEL can be given a cost, and that nobody fills the store.
#[test]
fn everything_has_a_bound() {
    each_schema(&mut |path, schema| {
        let bounded = match schema["type"].as_str() {
            Some("string") => schema["maxLength"].is_number() || schema["enum"].is_array(),
            Some("integer") => schema["minimum"].is_number() && schema["maximum"].is_number(),
            Some("array") => schema["maxItems"].is_number(),
            Some("object") if schema["additionalProperties"].is_object() => {
                schema["maxProperties"].is_number()
            }
            Some("object" | "boolean") => true,
            _ => schema["maxLength"].is_number(),
        };
        assert!(bounded, "{path} has no bound");
    });
}

/// So that two who apply parts of one stack (server-side apply) do not overwrite each other's, nor mix what belongs together.
#[test]
fn every_list_says_how_it_is_merged() {
    each_schema(&mut |path, schema| {
        assert!(schema["type"] != "array" || schema["x-kubernetes-list-type"].is_string(), "{path}");
    });
}

#[test]
fn every_field_is_explained() {
    each_schema(&mut |path, schema| {
        if !path.ends_with("[]") && !path.ends_with(".*") && !path.starts_with(".metadata") {
            assert!(
                schema["description"].as_str().is_some_and(|text| !text.contains("Auto-generated")),
                "{path}"
            );
        }
    });
}

/// `kubectl apply` keeps the whole definition in an annotation, which has 256 KiB at most.
#[test]
fn kubectl_can_apply_it() {
    assert!(serde_json::to_string(&stack::crd()).unwrap().len() < 200 * 1024);
}

/// People look a reason up when something is wrong.
#[test]
fn every_condition_and_reason_is_explained() {
    let source = include_str!("../../src/condition.rs");
    let explained = include_str!("../../../docs/operator.md");
    let names: Vec<_> =
        source.lines().filter_map(|line| line.split_once(": &str = \"")?.1.strip_suffix("\";")).collect();
    assert!(names.len() > 30, "{names:?}");
    for name in names {
        assert!(explained.contains(&format!("`{name}`")), "{name} is not in docs/operator.md");
    }
}
