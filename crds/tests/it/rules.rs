//! The rules in CEL: each refuses what it is for, and none refuses what is sound. The same documents go to a real API server in
//! tests/cluster.

use std::collections::BTreeSet;

use contracts::permission::Permission;
use contracts::stand_in::Tells;
use kube_cel::{CompiledSchema, ErrorKind, ValidationErrors, Validator, compile_schema};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use settings::ServiceName;
use stack::Stack;

/// A spec that is refused.
#[derive(Deserialize)]
struct New {
    name: String,
    spec: Value,
    at: String,
    says: String,
}

/// A change that is refused.
#[derive(Deserialize)]
struct Changed {
    name: String,
    from: Value,
    to: Value,
    at: String,
    says: String,
}

fn table<T: DeserializeOwned>(name: &str) -> Vec<T> {
    serde_saphyr::from_str(&crate::read(&format!("crds/tests/refused/{name}.yaml"))).unwrap()
}

struct Rules {
    compiled: CompiledSchema,
    validator: Validator,
}

impl Rules {
    fn of_the_definition() -> Self {
        Self { compiled: compile_schema(&schema()), validator: Validator::new() }
    }

    fn check(&self, spec: &Value, old: Option<&Value>) -> Result<(), ValidationErrors> {
        let document = |spec: &Value| json!({ "spec": spec });
        self.validator.validate_compiled(&self.compiled, &document(spec), old.map(document).as_ref())
    }
}

fn schema() -> Value {
    let mut crd = serde_json::to_value(stack::crd()).unwrap();
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].take()
}

/// Says so unless one of the errors is there; gives the rules that were broken.
fn broken(name: &str, errors: Result<(), ValidationErrors>, at: &str, says: &str) -> BTreeSet<String> {
    let errors = errors.expect_err(name);
    for error in &errors {
        assert_eq!(error.kind, ErrorKind::ValidationFailure, "{name}: {error}");
    }
    assert!(
        errors.iter().any(|error| error.field_path == at && error.message.contains(says)),
        "{name}: {errors}"
    );
    errors.into_iter().map(|error| error.rule).collect()
}

/// Every rule that is written down, once.
fn written(schema: &Value, rules: &mut Vec<Value>) {
    match schema {
        Value::Object(members) => members.iter().for_each(|(name, member)| match name.as_str() {
            "x-kubernetes-validations" => rules.extend(member.as_array().unwrap().iter().cloned()),
            _ => written(member, rules),
        }),
        Value::Array(items) => items.iter().for_each(|item| written(item, rules)),
        _ => {}
    }
}

#[test]
fn each_rule_refuses_what_it_is_for() {
    let rules = Rules::of_the_definition();
    let mut refused = BTreeSet::new();
    for case in table::<New>("new") {
        refused.extend(broken(&case.name, rules.check(&case.spec, None), &case.at, &case.says));
    }
    for case in table::<Changed>("changed") {
        if let Err(errors) = rules.check(&case.from, None) {
            panic!("{}: {errors}", case.name);
        }
        refused.extend(broken(&case.name, rules.check(&case.to, Some(&case.from)), &case.at, &case.says));
    }
    let mut all = Vec::new();
    written(&schema(), &mut all);
    for rule in all {
        let text = rule["rule"].as_str().unwrap();
        assert!(refused.contains(text), "no case in crds/tests/refused for {text}");
    }
}

#[test]
fn each_rule_says_what_and_why() {
    let mut all = Vec::new();
    written(&schema(), &mut all);
    for rule in all {
        let message = rule["message"].as_str().unwrap();
        assert!(!message.is_empty() && !message.contains('\n') && rule["reason"].is_string(), "{rule}");
    }
}

const SECRET: &str = "{ encryption: { transit: { address: 'https://v:8200', key: clinic, token: { secret: vault, key: token } } } }";
const TRANSIT: &str = "{ encryption: { provider: Transit, transit: { address: 'https://v:8200', key: clinic, \
                       token: { secret: vault, key: token } } } }";
const TRANSIT_MOVED: &str = "{ encryption: { provider: Transit, transit: { address: 'http://localhost', key: clinic, \
                             namespace: north, token: { secret: other, key: token }, hold: 1m } } }";

/// What is no change is refused by none either.
#[test]
fn no_rule_refuses_a_sample() {
    let rules = Rules::of_the_definition();
    for name in ["minimal", "healthcarestack", "production", "full"] {
        let document: Value = serde_saphyr::from_str(&crate::sample(name)).unwrap();
        let spec = &document["spec"];
        for old in [None, Some(spec)] {
            if let Err(errors) = rules.check(spec, old) {
                panic!("{name}: {errors}");
            }
        }
    }
}

#[test]
fn no_rule_refuses_a_change_that_can_be() {
    let rules = Rules::of_the_definition();
    for (from, to) in [
        ("{}", "{ database: { managed: {} } }"),
        (
            "{}",
            "{ database: { managed: { storage: { size: 20Gi }, resources: { limits: { memory: 1Gi } } } } }",
        ),
        (
            "{ database: { cloudNativePG: { version: 16 } } }",
            "{ database: { cloudNativePG: { version: 17, instances: 1 } } }",
        ),
        ("{ database: { managed: {}, backup: { volume: {} } } }", "{ database: { managed: {} } }"),
        ("{ currency: USD }", "{}"),
        ("{ timeZone: UTC }", "{ timeZone: Europe/Berlin, deletionPolicy: Delete, paused: true }"),
        (
            "{ services: { patient: { replicas: 2 } } }",
            "{ services: { patient: { autoscaling: { max: 5 } } } }",
        ),
        // An engine takes over in two steps, gives back in two, and may move meanwhile.
        ("{}", SECRET),
        (SECRET, TRANSIT),
        (TRANSIT, TRANSIT_MOVED),
        (TRANSIT, SECRET),
        (SECRET, "{}"),
    ] {
        let spec = |text: &str| -> Value { serde_saphyr::from_str(text).unwrap() };
        if let Err(errors) = rules.check(&spec(to), Some(&spec(from))) {
            panic!("{from} → {to}: {errors}");
        }
    }
}

/// One rule, in Rust and in CEL: what may stand in for an answer goes by all that it may tell.
#[test]
fn what_may_stand_in_for_an_answer_is_the_same_on_both_sides() {
    let rules = Rules::of_the_definition();
    let permissions = Permission::ALL.iter().copied().filter(|permission| !permission.is_internal());
    let permissions: Vec<_> = permissions.map(Some).chain([None]).collect();
    for (service, path) in [
        (ServiceName::PatientService, "/api/patients"),
        (ServiceName::AppointmentService, "/api/appointments"),
        (ServiceName::BillingService, "/api/bills"),
        (ServiceName::MedicalRecordsService, "/api/records"),
        (ServiceName::NotificationService, "/api/notifications"),
        (ServiceName::ProviderService, "/api/providers"),
        (ServiceName::AuthService, "/api/auth/users"),
    ] {
        for permission in &permissions {
            let tells = Tells::of([service], *permission);
            for (fallback, may) in [
                (json!({ "static": { "body": "[]" } }), tells == Tells::Nothing),
                (json!({ "staleRead": { "maxAge": "5m" } }), tells != Tells::Treatment),
                (json!({ "staleRead": { "maxAge": "301s" } }), tells == Tells::Nothing),
            ] {
                let route = json!({
                    "path": path, "service": service.short(), "fallback": fallback,
                    "permissions": permission.iter().map(|one| one.as_str()).collect::<Vec<_>>(),
                });
                let spec = json!({ "gateway": { "routes": [route] } });
                let stack = json!({
                    "apiVersion": stack::API_VERSION, "kind": stack::KIND, "metadata": { "name": "clinic" }, "spec": spec
                });
                assert_eq!(rules.check(&spec, None).is_ok(), may, "in CEL: {spec}");
                assert_eq!(Stack::from_yaml(&stack.to_string()).is_ok(), may, "in Rust: {spec}");
            }
        }
    }
}

/// What the API server refuses, a stack in one process refuses too, and speaks of the same place.
#[test]
fn what_a_rule_refuses_is_no_stack() {
    for case in table::<New>("new").into_iter().chain(table("malformed")) {
        let text = json!({
            "apiVersion": stack::API_VERSION, "kind": stack::KIND, "metadata": { "name": "clinic" }, "spec": case.spec
        });
        let invalid = Stack::from_yaml(&text.to_string()).expect_err(&case.name);
        let related = |path: &str| path.starts_with(&case.at) || case.at.starts_with(path);
        assert!(invalid.faults().iter().any(|fault| related(&fault.path)), "{}: {invalid}", case.name);
    }
}
