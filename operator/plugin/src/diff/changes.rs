//! [`Change`]: what becomes of one object. Pure.

use std::collections::BTreeMap;

use operator::object::{Object, ObjectRef};
use serde_json::Value;

/// What becomes of one object.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) object: ObjectRef,
    /// As YAML, for people; `None`: it is not there.
    pub(super) before: Option<String>,
    /// As YAML, for people; `None`: it goes.
    pub(super) after: Option<String>,
    /// Whether pods are replaced by it.
    pub(super) restarts: bool,
}

/// The objects that differ, in the order of their kinds and names.
pub(super) fn between(before: Vec<Object>, after: Vec<Object>) -> Vec<Change> {
    let by_reference = |objects: Vec<Object>| -> BTreeMap<ObjectRef, Value> {
        objects.into_iter().map(|object| (object.reference(), readable(object.body))).collect()
    };
    let mut before = by_reference(before);
    let mut changes = Vec::new();
    for (object, after) in by_reference(after) {
        let before = before.remove(&object);
        if before.as_ref() != Some(&after) {
            let restarts = before.as_ref().is_some_and(|before| template(before) != template(&after));
            changes.push(Change {
                object,
                before: before.as_ref().map(yaml),
                after: Some(yaml(&after)),
                restarts,
            });
        }
    }
    let gone = |(object, before): (ObjectRef, Value)| Change {
        object,
        before: Some(yaml(&before)),
        after: None,
        restarts: false,
    };
    changes.extend(before.into_iter().map(gone));
    changes.sort_by(|a, b| a.object.cmp(&b.object));
    changes
}

fn template(object: &Value) -> Option<&Value> {
    object.get("spec")?.get("template")
}

/// Configuration travels as JSON in a string. It is shown as what it is, so that its lines can be compared.
fn readable(mut object: Value) -> Value {
    let data = object.get_mut("data").and_then(Value::as_object_mut);
    for value in data.into_iter().flat_map(|data| data.values_mut()) {
        let inner = value
            .as_str()
            .filter(|text| text.starts_with('{'))
            .and_then(|text| serde_json::from_str(text).ok());
        if let Some(inner) = inner {
            *value = inner;
        }
    }
    object
}

/// Plain JSON can always be written as YAML.
fn yaml(object: &Value) -> String {
    serde_saphyr::to_string(object).unwrap_or_default()
}
