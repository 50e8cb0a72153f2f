//! Secrets that users name, wherever in a spec: none is called like the stack's own.

use serde_json::Value;
use settings::SecretRef;

use crate::fault::Faults;
use crate::names;
use crate::spec::HealthcareStackSpec;

/// Looks at the spec as it is written, so that a new reference to a Secret cannot be forgotten here.
pub(super) fn check(stack: &str, spec: &HealthcareStackSpec, faults: &mut Faults) {
    let own: Vec<_> = names::parts().map(|part| names::object(stack, &part)).collect();
    walk("spec", &serde_json::to_value(spec).unwrap_or_default(), &mut |path, secret| {
        if names::is_reserved_secret(secret) || own.iter().any(|name| name == secret) {
            faults.add(
                format!("{path}.secret"),
                format!("{secret} is what the stack calls a Secret of its own; choose another name"),
            );
        }
    });
}

fn walk(path: &str, value: &Value, visit: &mut impl FnMut(&str, &str)) {
    match value {
        Value::Object(members) => match serde_json::from_value::<SecretRef>(value.clone()) {
            Ok(reference) => visit(path, &reference.secret),
            Err(_) => members.iter().for_each(|(name, value)| walk(&format!("{path}.{name}"), value, visit)),
        },
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| walk(&format!("{path}[{index}]"), item, visit));
        }
        _ => {}
    }
}
