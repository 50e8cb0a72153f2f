//! What a transit engine that keeps the key-encryption key makes of a plan.

use settings::{KekProvider, ServiceName};
use stack::{Stack, names};

use super::rewrap::planned_rewrapping;
use super::{checksums, context, find, full, of_part, planned, pod};
use crate::object::Object;
use crate::plan::plan;

/// With an engine that wraps.
fn kept_elsewhere() -> Stack {
    let mut stack = full();
    stack.encryption.provider = KekProvider::Transit;
    stack
}

fn mounted(object: &Object, secret: &str) -> bool {
    let volumes = pod(&object.body)["volumes"].as_array().unwrap();
    volumes.iter().any(|volume| volume["secret"]["secretName"] == secret)
}

#[test]
fn whoever_opens_keys_is_given_the_engines_token_and_nobody_else_is() {
    let stack = kept_elsewhere();
    let objects = planned_rewrapping(&stack);
    let parts = ServiceName::ALL.iter().flat_map(|service| {
        [service.to_string(), names::migrate(*service), names::rewrap(*service)].map(|part| (part, true))
    });
    for (part, is_given) in
        parts.chain([(names::API_GATEWAY.to_owned(), false), (names::POSTGRES.to_owned(), false)])
    {
        let works = |object: &&Object| ["Deployment", "Job", "StatefulSet"].contains(&&*object.resource.kind);
        let found: Vec<_> = of_part(&objects, &part).into_iter().filter(works).collect();
        assert!(!found.is_empty() || part == names::POSTGRES, "{part}");
        assert!(found.iter().all(|object| mounted(object, "vault") == is_given), "{part}");
    }
}

#[test]
fn another_token_replaces_no_pod() {
    let stack = kept_elsewhere();
    let mut sums = checksums(&stack);
    let before = plan(&context(&stack, &sums));
    sums.insert("vault".to_owned(), "another".to_owned());
    assert!(plan(&context(&stack, &sums)) == before);
    // Where it is needed for something that is read once, it does.
    let mut both = stack.clone();
    let mail = both.integrations.mail.as_mut().unwrap();
    mail.password.as_mut().unwrap().secret = "vault".to_owned();
    let after = plan(&context(&both, &sums));
    sums.insert("vault".to_owned(), "a third".to_owned());
    let changed: Vec<_> =
        plan(&context(&both, &sums)).into_iter().filter(|object| !after.contains(object)).collect();
    let changed: Vec<_> = changed.iter().map(|object| object.name.as_str()).collect();
    assert_eq!(changed, ["full-notification-service"]);
}

#[test]
fn keys_are_wrapped_anew_under_whatever_the_engine_has_by_then() {
    let args = |stack: &Stack| {
        let objects = planned_rewrapping(stack);
        let jobs = of_part(&objects, &names::rewrap(ServiceName::PatientService));
        pod(&jobs[0].body)["containers"][0]["args"].clone()
    };
    assert_eq!(args(&full()), serde_json::json!(["rewrap", "--under", "00c0ffee00c0ffee"]));
    assert_eq!(args(&kept_elsewhere()), serde_json::json!(["rewrap"]));
}

#[test]
fn the_network_lets_those_through_who_open_keys() {
    let stack = kept_elsewhere();
    let objects = planned(&stack);
    let policy = find(&objects, "NetworkPolicy", &format!("{}-{}", stack.name, names::DATABASE_CLIENTS));
    assert!(policy["spec"]["egress"].to_string().contains(r#""port":8200"#), "{policy}");
    let mut without = stack.clone();
    without.encryption = settings::Encryption::default();
    let objects = planned(&without);
    let policy = find(&objects, "NetworkPolicy", &format!("{}-{}", stack.name, names::DATABASE_CLIENTS));
    assert!(!policy.to_string().contains("8200"), "{policy}");
}

#[test]
fn a_restore_takes_what_the_engine_has_wrapped() {
    let objects = planned(&kept_elsewhere());
    let jobs = of_part(&objects, names::RESTORE);
    let env = pod(&jobs[0].body)["containers"][0]["env"].to_string();
    assert!(env.contains(r#"{"name":"ENGINE","value":"transit/clinic:v"}"#), "{env}");
}
