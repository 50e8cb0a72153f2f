//! Prints the schema of the `healthcare-stack` chart's values, whose `spec` is the resource's: `make generate` writes it to
//! charts/healthcare-stack/values.schema.json.

use serde_json::{Map, Value, json};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let crd = serde_json::to_value(stack::crd())?;
    let spec = crd
        .pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec")
        .ok_or("the resource has no schema of its spec")?;
    println!("{:#}", values(json_schema(spec)));
    Ok(())
}

/// The chart's values: the spec, and the shortcuts, which are as the members of the spec that they stand for. Empty: not given.
fn values(spec: Value) -> Value {
    let or_empty = |path: &str| {
        let like = spec.pointer(path).cloned().unwrap_or(Value::Bool(false));
        json!({ "anyOf": [{ "const": "" }, like] })
    };
    let ingress = "/properties/gateway/properties/ingress/properties";
    let texts = json!({ "type": "object", "additionalProperties": { "type": "string" } });
    json!({
        "$schema": "https://json-schema.org/draft-07/schema#",
        "title": "Values of the healthcare-stack chart",
        "description": "Generated from crds/src/spec by `make generate`. Do not edit.",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "global": { "type": "object" },
            "name": { "type": "string", "maxLength": 40 },
            "host": or_empty(&format!("{ingress}/host")),
            "ingressClassName": or_empty(&format!("{ingress}/className")),
            "tlsSecretName": or_empty(&format!("{ingress}/tls/properties/secretName")),
            "replicas": { "type": "integer", "minimum": 1, "maximum": 100 },
            "timeZone": or_empty("/properties/timeZone"),
            "currency": or_empty("/properties/currency"),
            "deletionPolicy": spec.pointer("/properties/deletionPolicy"),
            "labels": texts,
            "annotations": texts,
            "test": {
                "type": "object",
                "additionalProperties": false,
                "properties": { "enabled": { "type": "boolean" } },
            },
            "spec": spec,
        },
    })
}

/// A Kubernetes schema as a JSON Schema. Members that the API server would drop are refused here: most are typing mistakes.
fn json_schema(schema: &Value) -> Value {
    let Value::Object(members) = schema else { return schema.clone() };
    let mut result = Map::new();
    for (name, value) in members {
        let value = match (name.as_str(), value) {
            ("properties", Value::Object(properties)) => {
                properties.iter().map(|(name, property)| (name.clone(), json_schema(property))).collect()
            }
            ("items" | "additionalProperties", value) => json_schema(value),
            (name, _) if name.starts_with("x-kubernetes-") => continue,
            (_, value) => value.clone(),
        };
        result.insert(name.clone(), value);
    }
    if members.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true)) {
        result.insert("type".to_owned(), json!(["integer", "string"]));
    }
    if result.contains_key("properties") {
        result.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
    Value::Object(result)
}
