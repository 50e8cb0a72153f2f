//! [`changes`]: what a person changed in a document, by path. Not what comes of it: that is for whoever applies it to say.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// The paths at which two documents differ, as faults name them (`spec.gateway.routes[2].timeout`). What is there in one alone is named, not what is
/// in it; so is a list of another length. Documents that cannot be read differ nowhere.
pub fn changes(before: &str, after: &str) -> Vec<String> {
    let read = |text| serde_saphyr::from_str::<Map<String, Value>>(text);
    let mut paths = Vec::new();
    if let (Ok(before), Ok(after)) = (read(before), read(after)) {
        of_objects("", &before, &after, &mut paths);
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_has_the_path_that_a_fault_would_have() {
        let before =
            "{spec: {timeZone: UTC, gateway: {routes: [{path: /a, timeout: 5s}, {path: /b}], tls: null}}}";
        for (after, expected) in [
            (before, &[][..]),
            (
                "# In other words.\nspec:\n  gateway: {routes: [{timeout: 5s, path: /a}, {path: /b}]}\n  timeZone: UTC",
                &[],
            ),
            (
                "{spec: {timeZone: CET, gateway: {routes: [{path: /a, timeout: 5s}, {path: /b, timeout: 4s}]}}}",
                &["spec.gateway.routes[1].timeout", "spec.timeZone"],
            ),
            ("{spec: {timeZone: UTC, gateway: {routes: [{path: /b}]}}}", &["spec.gateway.routes"]),
            ("{spec: {timeZone: UTC}, kind: x}", &["kind", "spec.gateway"]),
            ("{spec: [", &[]),
        ] {
            assert_eq!(changes(before, after), expected, "{after}");
        }
    }
}
