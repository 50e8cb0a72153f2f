//! The `CustomResourceDefinition`, from the types in [`crate::spec`], in a form that an API server takes without a warning.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;
use serde_json::{Value, json};

use crate::spec::{HealthcareStack, ManagedDatabase, Storage, rules};

/// Formats that an API server knows (k8s.io/apiextensions-apiserver, `pkg/apiserver/validation/formats.go`); it warns of others.
const KNOWN_FORMATS: [&str; 5] = ["int32", "int64", "float", "double", "date-time"];

/// The `CustomResourceDefinition` of `HealthcareStack`.
pub fn crd() -> CustomResourceDefinition {
    let mut crd = HealthcareStack::crd();
    for version in &mut crd.spec.versions {
        if let Some(schema) = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut()) {
            tidy(schema);
            let properties = schema.properties.get_or_insert_default();
            properties.get_mut("spec").into_iter().for_each(choose_database);
        }
    }
    crd
}

/// The same as a YAML file, with a line that says where it comes from.
pub fn crd_yaml() -> Result<String, Box<dyn std::error::Error>> {
    let mut crd = serde_json::to_value(crd())?;
    write_whole_numbers_whole(&mut crd);
    let yaml = serde_saphyr::to_string(&crd)?;
    Ok(format!("# Generated from crds/src/spec by `make generate`. Do not edit.\n{yaml}"))
}

/// Bounds are floats in the Kubernetes types; `maximum: 100` reads better than `100.0`.
fn write_whole_numbers_whole(value: &mut Value) {
    match value {
        Value::Number(number) => {
            if let Some(whole) = number.as_f64().filter(|float| float.fract() == 0.0)
                && let Ok(whole) = format!("{whole:.0}").parse::<i64>()
            {
                *value = whole.into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(write_whole_numbers_whole),
        Value::Object(members) => members.values_mut().for_each(write_whole_numbers_whole),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// Takes out
/// - formats that an API server warns of;
/// - `nullable`: without it a null is as if it were not there, which is what it means here;
/// - defaults of whole objects: what nobody mentioned is filled in by [`crate::Stack`] and does not appear in the stored resource;
/// - line breaks within a paragraph of a description;
///
/// and says of each reference to a Secret that it is one value, and what it may not be.
fn tidy(schema: &mut JSONSchemaProps) {
    schema.format.take_if(|format| !KNOWN_FORMATS.contains(&format.as_str()));
    schema.nullable = None;
    schema.default.take_if(|default| default.0.is_null() || default.0.is_object() || default.0.is_array());
    if let Some(description) = &mut schema.description {
        *description = description
            .split("\n\n")
            .map(|paragraph| paragraph.replace('\n', " "))
            .collect::<Vec<_>>()
            .join("\n\n");
    }
    if is_secret_ref(schema) {
        schema.x_kubernetes_map_type = Some("atomic".to_owned());
        schema.x_kubernetes_validations =
            serde_json::to_value(rules::secret()).and_then(serde_json::from_value).unwrap_or_default();
    }
    schema.properties.iter_mut().flat_map(|properties| properties.values_mut()).for_each(tidy);
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        tidy(items);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        tidy(values);
    }
}

/// `settings::SecretRef`, which knows nothing of Kubernetes.
fn is_secret_ref(schema: &JSONSchemaProps) -> bool {
    let names = schema.properties.iter().flat_map(|properties| properties.keys());
    names.eq(["key", "secret"])
}

/// Writes down what database a stack has that names none, and how large: what cannot change must not follow a default that may.
fn choose_database(spec: &mut JSONSchemaProps) {
    let mut default = |path: &[&str], value: Value| {
        let member =
            path.iter().try_fold(&mut *spec, |schema, name| schema.properties.as_mut()?.get_mut(*name));
        if let Some(member) = member {
            member.default = Some(JSON(value));
        }
    };
    let storage = json!(Storage::default());
    default(&["database"], json!({ "managed": ManagedDatabase::default() }));
    default(&["database", "managed", "storage"], storage.clone());
    default(&["database", "cloudNativePG", "storage"], storage);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::in_words;

    #[test]
    fn every_pattern_has_words_for_people() {
        fn walk(path: &str, schema: &JSONSchemaProps) {
            if let Some(pattern) = &schema.pattern {
                assert!(in_words(pattern).is_some(), "{path}: {pattern} is not in spec/forms.rs");
            }
            for (name, member) in schema.properties.iter().flatten() {
                walk(&format!("{path}.{name}"), member);
            }
            if let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items {
                walk(path, items);
            }
        }
        for version in crd().spec.versions {
            let schema = version.schema.and_then(|schema| schema.open_api_v3_schema).expect("a schema");
            walk("spec", &schema.properties.expect("properties")["spec"]);
        }
    }
}
