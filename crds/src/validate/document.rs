//! The document around the spec: YAML, `apiVersion`, `kind`, `metadata`; and the schema's part of the checking.

use std::sync::LazyLock;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;
use serde_json::{Map, Value};
use serde_saphyr::UserMessageFormatter;

use super::{DEFAULT_NAMESPACE, validate};
use crate::check::check;
use crate::fault::Faults;
use crate::spec::HealthcareStackSpec;
use crate::{API_VERSION, Invalid, KIND, Stack, crd};

/// Larger documents are refused before they are parsed. An API server has a like bound (etcd's 1.5 MiB).
const BYTES_MAX: usize = 1 << 20;

/// The schema of `spec`, as the API server has it.
static SPEC_SCHEMA: LazyLock<JSONSchemaProps> = LazyLock::new(|| {
    let version = crd().spec.versions.into_iter().next();
    let schema = version.and_then(|version| version.schema?.open_api_v3_schema);
    schema.and_then(|schema| schema.properties?.remove("spec")).unwrap_or_default()
});

pub(super) fn read(text: &str) -> Result<Stack, Invalid> {
    let mut faults = Faults::default();
    let stack = parse(text, &mut faults).and_then(|document| read_document(&document, &mut faults));
    faults.none_or(stack)
}

fn parse(text: &str, faults: &mut Faults) -> Option<Map<String, Value>> {
    if text.len() > BYTES_MAX {
        faults.add("", format!("the document must be at most {BYTES_MAX} bytes long"));
        return None;
    }
    match serde_saphyr::from_str(text) {
        Ok(Value::Object(document)) => Some(document),
        Ok(_) => {
            faults.add(
                "",
                format!("the document must be an object with apiVersion: {API_VERSION} and kind: {KIND}"),
            );
            None
        }
        Err(error) => {
            let error = error.without_snippet().render_with_formatter(&UserMessageFormatter);
            faults.add("", format!("this cannot be read as YAML: {error}"));
            None
        }
    }
}

fn read_document(document: &Map<String, Value>, faults: &mut Faults) -> Option<Stack> {
    check_constant(document, "apiVersion", API_VERSION, faults);
    check_constant(document, "kind", KIND, faults);
    for name in document.keys() {
        if !["apiVersion", "kind", "metadata", "spec", "status"].contains(&name.as_str()) {
            faults.add(name, "there is no such field");
        }
    }
    let metadata = metadata(document, faults);
    let nothing = Value::Object(Map::new());
    let spec = document.get("spec").filter(|spec| !spec.is_null()).unwrap_or(&nothing);
    read_spec(&metadata.name, &metadata.namespace, spec, faults)
}

/// The spec by its schema, then by the rules.
pub(super) fn read_spec(name: &str, namespace: &str, spec: &Value, faults: &mut Faults) -> Option<Stack> {
    let spec: HealthcareStackSpec = match serde_json::from_value(check(&SPEC_SCHEMA, spec, "spec", faults)?) {
        Ok(spec) => spec,
        // What passes the schema can be read; if a type and its schema ever disagree, this tells.
        Err(error) => {
            faults.add("spec", error.to_string());
            return None;
        }
    };
    let mut rules = Faults::default();
    let stack = validate(name, namespace, &spec, &mut rules);
    faults.add_unless_known(rules);
    stack
}

fn check_constant(document: &Map<String, Value>, name: &str, wanted: &str, faults: &mut Faults) {
    match document.get(name) {
        None => faults.add(name, format!("is required: {wanted}")),
        Some(Value::String(is)) if is == wanted => {}
        Some(_) => faults.add(name, format!("must be {wanted}")),
    }
}

struct Metadata {
    name: String,
    namespace: String,
}

fn metadata(document: &Map<String, Value>, faults: &mut Faults) -> Metadata {
    let mut text = |name: &str| match document.get("metadata").and_then(|metadata| metadata.get(name)) {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(_) => {
            faults.add(format!("metadata.{name}"), "must be a string");
            None
        }
    };
    let (name, namespace) = (text("name"), text("namespace"));
    if !document.get("metadata").is_some_and(Value::is_object) {
        faults.add("metadata", "must be an object with a name");
    } else if name.is_none() {
        faults.add("metadata.name", "is required");
    }
    Metadata {
        name: name.unwrap_or_default(),
        namespace: namespace.unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned()),
    }
}

/// As the API server has it for the name of a custom resource: an RFC 1123 subdomain. [`crate::names`] makes objects' names of any.
pub(super) fn check_name(name: &str, faults: &mut Faults) {
    if name.len() > 253 || !name.split('.').all(is_label) {
        faults.add(
            "metadata.name",
            "must be 1 to 253 small letters, digits, dashes and dots, with a letter or digit first, last, and beside each dot",
        );
    }
}

/// As the API server has it for the name of a namespace: an RFC 1123 label.
pub(super) fn check_namespace(name: &str, faults: &mut Faults) {
    if name.len() > 63 || !is_label(name) {
        faults.add(
            "metadata.namespace",
            "must be 1 to 63 small letters, digits and dashes, with no dash first or last",
        );
    }
}

fn is_label(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
}
