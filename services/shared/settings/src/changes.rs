//! [`changes`]: where two documents differ, by path.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// The paths at which they differ, as faults name them (`spec.gateway.routes[2].timeout`), in order. What is there in one alone is named, not
/// what is in it; so is a list of another length.
pub fn changes(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<String> {
    let mut paths = Vec::new();
    of_objects("", before, after, &mut paths);
    paths
}

fn of_objects(path: &str, before: &Map<String, Value>, after: &Map<String, Value>, paths: &mut Vec<String>) {
    for name in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        // A null is as if it were not there.
        let there = |object: &Map<String, Value>| object.get(name).filter(|value| !value.is_null()).cloned();
        between(path, there(before), there(after), paths);
    }
}

fn between(path: String, before: Option<Value>, after: Option<Value>, paths: &mut Vec<String>) {
    match (before, after) {
        (before, after) if before == after => {}
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            of_objects(&path, &before, &after, paths);
        }
        (Some(Value::Array(before)), Some(Value::Array(after))) if before.len() == after.len() => {
            for (index, (before, after)) in before.into_iter().zip(after).enumerate() {
                between(format!("{path}[{index}]"), Some(before), Some(after), paths);
            }
        }
        _ => paths.push(path),
    }
}
