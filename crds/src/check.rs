//! Checks a document against the resource's own schema, as the API server does, and finds every fault at once.
//!
//! Beside the faults it gives what is left of the document when they are taken out, so that the rules of [`crate::validate`] can be
//! tried on the rest. Not a JSON Schema implementation: just what [`crate::crd`] uses.

use std::collections::BTreeSet;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use regex_lite::Regex;
use serde_json::{Map, Value};

use crate::fault::Faults;
use crate::spec::in_words;

/// What is sound in `value`, or nothing if it is not of the schema's type.
pub(crate) fn check(
    schema: &JSONSchemaProps,
    value: &Value,
    path: &str,
    faults: &mut Faults,
) -> Option<Value> {
    if schema.x_kubernetes_int_or_string == Some(true) {
        return check_int_or_string(schema, value, path, faults);
    }
    match (schema.type_.as_deref(), value) {
        (Some("object"), Value::Object(members)) => check_object(schema, members, path, faults),
        (Some("array"), Value::Array(items)) => check_array(schema, items, path, faults),
        (Some("string"), Value::String(text)) => {
            check_string(schema, text, path, faults).then(|| value.clone())
        }
        (Some("integer"), Value::Number(number)) if number.is_i64() || number.is_u64() => {
            check_number(schema, number, path, faults).then(|| value.clone())
        }
        (Some("boolean"), Value::Bool(_)) => Some(value.clone()),
        (expected, _) => {
            let form = schema.pattern.as_deref().and_then(in_words);
            faults.add(path, format!("must be {}, not {}", form.unwrap_or(noun(expected)), noun_of(value)));
            None
        }
    }
}

fn check_object(
    schema: &JSONSchemaProps,
    members: &Map<String, Value>,
    path: &str,
    faults: &mut Faults,
) -> Option<Value> {
    let mut sound = Map::new();
    for (name, value) in members {
        let path = format!("{path}.{name}");
        let known = schema.properties.as_ref().and_then(|properties| properties.get(name));
        let Some(member) = known.or_else(|| additional(schema)) else {
            faults.add(path, no_such_field(schema, name));
            continue;
        };
        // As the API server has it: a null is as if it were not there.
        if !value.is_null()
            && let Some(value) = check(member, value, &path, faults)
        {
            sound.insert(name.clone(), value);
        }
    }
    if let Some(max) = schema.max_properties
        && i64::try_from(members.len()).is_ok_and(|len| len > max)
    {
        faults.add(path, format!("must have at most {max} members"));
        return None;
    }
    let mut complete = true;
    for name in schema.required.iter().flatten() {
        if members.get(name).is_none_or(Value::is_null) {
            faults.add(format!("{path}.{name}"), "is required");
        }
        complete &= sound.contains_key(name);
    }
    complete.then_some(Value::Object(sound))
}

fn additional(schema: &JSONSchemaProps) -> Option<&JSONSchemaProps> {
    match &schema.additional_properties {
        Some(JSONSchemaPropsOrBool::Schema(values)) => Some(values),
        _ => None,
    }
}

fn check_array(schema: &JSONSchemaProps, items: &[Value], path: &str, faults: &mut Faults) -> Option<Value> {
    if let Some(max) = schema.max_items
        && i64::try_from(items.len()).is_ok_and(|len| len > max)
    {
        faults.add(path, format!("must have at most {max} items"));
        return None;
    }
    if let Some(min) = schema.min_items
        && i64::try_from(items.len()).is_ok_and(|len| len < min)
    {
        faults.add(path, format!("must have at least {min} item"));
        return None;
    }
    let Some(JSONSchemaPropsOrArray::Schema(item_schema)) = &schema.items else {
        return Some(Value::Array(items.to_vec()));
    };
    let (kept, sound): (Vec<usize>, Vec<Value>) = items
        .iter()
        .enumerate()
        .filter_map(|(index, item)| {
            check(item_schema, item, &format!("{path}[{index}]"), faults).map(|item| (index, item))
        })
        .unzip();
    check_unique(schema, items, path, faults);
    if kept.len() < items.len() {
        faults.kept(path, kept);
    }
    Some(Value::Array(sound))
}

/// List types of server-side apply: items of a set differ, and so do the keys of a map's.
fn check_unique(schema: &JSONSchemaProps, items: &[Value], path: &str, faults: &mut Faults) {
    let key = match schema.x_kubernetes_list_type.as_deref() {
        Some("set") => None,
        Some("map") => schema.x_kubernetes_list_map_keys.as_ref().and_then(|keys| keys.first()),
        _ => return,
    };
    let mut seen = BTreeSet::new();
    for (index, item) in items.iter().enumerate() {
        let (path, value) = match key {
            None => (format!("{path}[{index}]"), Some(item)),
            Some(key) => (format!("{path}[{index}].{key}"), item.get(key)),
        };
        if let Some(text) = value.and_then(Value::as_str)
            && !seen.insert(text)
        {
            faults.add(path, format!("{text} is there already"));
        }
    }
}

fn check_string(schema: &JSONSchemaProps, text: &str, path: &str, faults: &mut Faults) -> bool {
    let length = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
    let fault = if let Some(choices) = &schema.enum_
        && !choices.iter().any(|choice| choice.0 == *text)
    {
        let choices: Vec<_> = choices.iter().filter_map(|choice| choice.0.as_str()).collect();
        format!("must be one of {}", choices.join(", "))
    } else if let Some(max) = schema.max_length
        && length > max
    {
        format!("must be at most {max} characters long")
    } else if let Some(min) = schema.min_length
        && length < min
    {
        format!("must be at least {min} characters long")
    } else if let Some(pattern) = &schema.pattern
        && !Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(text))
    {
        must_match(pattern)
    } else {
        return true;
    };
    faults.add(path, fault);
    false
}

fn must_match(pattern: &str) -> String {
    in_words(pattern).map_or_else(|| format!("must match {pattern}"), |words| format!("must be {words}"))
}

fn check_number(
    schema: &JSONSchemaProps,
    number: &serde_json::Number,
    path: &str,
    faults: &mut Faults,
) -> bool {
    let value = number.as_f64().unwrap_or(f64::MAX);
    let fault = if let Some(min) = schema.minimum
        && value < min
    {
        format!("must be at least {min}")
    } else if let Some(max) = schema.maximum
        && value > max
    {
        format!("must be at most {max}")
    } else {
        return true;
    };
    faults.add(path, fault);
    false
}

fn check_int_or_string(
    schema: &JSONSchemaProps,
    value: &Value,
    path: &str,
    faults: &mut Faults,
) -> Option<Value> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_i64() || number.is_u64() => number.to_string(),
        _ => {
            faults.add(path, format!("must be a whole number or a string, not {}", noun_of(value)));
            return None;
        }
    };
    check_string(schema, &text, path, faults).then(|| value.clone())
}

fn noun(kind: Option<&str>) -> &'static str {
    match kind {
        Some("object") => "an object",
        Some("array") => "a list",
        Some("string") => "a string",
        Some("integer") => "a whole number",
        Some("boolean") => "true or false",
        _ => "something else",
    }
}

fn noun_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a fraction",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Says so, and which field was probably meant.
fn no_such_field(schema: &JSONSchemaProps, name: &str) -> String {
    let near = |known: &&String| known.eq_ignore_ascii_case(name) || distance(known, name) <= 2;
    match schema.properties.iter().flat_map(|properties| properties.keys()).find(near) {
        Some(known) => format!("there is no such field; did you mean {known}?"),
        None => "there is no such field".to_owned(),
    }
}

/// Levenshtein's distance of two names.
fn distance(a: &str, b: &str) -> usize {
    if a.len().abs_diff(b.len()) > 2 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
