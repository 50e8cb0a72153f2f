//! Which Secrets a pod waits for before it starts.

use std::collections::BTreeSet;

use stack::Stack;
use stack::spec::Tracing;

use super::{find, full, planned, pod};

/// The Secrets that a Deployment's pods start without.
fn not_waited_for(stack: &Stack, name: &str) -> BTreeSet<String> {
    let objects = planned(stack);
    let volumes = pod(find(&objects, "Deployment", name))["volumes"].as_array().unwrap();
    let optional = volumes.iter().map(|volume| &volume["secret"]).filter(|secret| secret["optional"] == true);
    optional.map(|secret| secret["secretName"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_pod_waits_for_what_it_cannot_do_without_and_for_nothing_else() {
    let mut stack = full();
    let name = stack.name.clone();
    let of = |stack: &Stack, part: &str| not_waited_for(stack, &format!("{name}-{part}"));
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(of(&stack, "api-gateway"), set(&["collector", "collector-ca", "redis-client"]));
    assert_eq!(of(&stack, "patient-service"), set(&["collector", "collector-ca"]));
    // Whoever has a password logs in without the identity provider.
    assert_eq!(of(&stack, "auth-service"), set(&["collector", "collector-ca", "staff-login"]));
    // Whoever books does so without the calendars outside.
    let calendars = ["collector", "collector-ca", "dr-smith-calendar", "google"];
    assert_eq!(of(&stack, "appointment-service"), set(&calendars));

    // One that mail cannot be sent without.
    let tracing = serde_json::json!({
        "endpoint": "https://collector:4318", "ca": { "secret": "smtp", "key": "ca.crt" },
    });
    stack.observability.tracing = Some(serde_json::from_value::<Tracing>(tracing).unwrap());
    assert_eq!(of(&stack, "notification-service"), set(&[]));
    assert_eq!(of(&stack, "patient-service"), set(&["smtp"]));
    let objects = planned(&stack);
    let notification = format!("{name}-notification-service");
    let volumes = pod(find(&objects, "Deployment", &notification))["volumes"].to_string();
    assert_eq!(volumes.matches(r#""secretName":"smtp""#).count(), 1, "{volumes}");
}
