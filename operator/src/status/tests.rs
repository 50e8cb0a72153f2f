//! What is said of a stack that is seen like this.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde_json::json;
use stack::Stack;

use super::*;
use crate::facts::{Record, facts};
use crate::kinds::Kind;
use crate::live::{Seen, State, Workload};
use crate::object::Object;
use crate::plan::{Capabilities, Context, Kek, Tags, plan};
use crate::rollout::decide;
use crate::thin::Thin;

const VERSION: &str = "0.2.0";

fn stack(spec: &str) -> Stack {
    let yaml = format!(
        "apiVersion: healthcarestack.dev/v1alpha1\nkind: HealthcareStack\nmetadata: {{name: clinic, namespace: clinic}}\nspec: {{version: {VERSION}, {spec}}}"
    );
    Stack::from_yaml(&yaml).unwrap()
}

fn key(group: &str, kind: &str, part: &str) -> crate::live::Key {
    (Kind::id(group, kind).unwrap(), names::object("clinic", part).into())
}

fn seen(workload: Workload) -> Seen {
    let state = State::Workload(Box::new(workload));
    Seen { version: 1, fingerprint: 1, applied: None, owner: None, deleting: false, state }
}

/// Everything runs.
fn healthy(stack: &Stack) -> Sight {
    let workload = || Workload {
        observed: true,
        tag: Some(VERSION.to_owned()),
        desired: 1,
        total: 1,
        updated: 1,
        ready: 1,
        available: 1,
        ..Workload::default()
    };
    let parts = stack.enabled().map(ServiceName::as_str).chain([names::API_GATEWAY]);
    let deployments = parts.map(|part| (key("apps", "Deployment", part), seen(workload())));
    deployments.chain([(key("apps", "StatefulSet", names::POSTGRES), seen(workload()))]).collect()
}

/// With the gateway's object of a kind seen like this.
fn with(mut sight: Sight, group: &str, kind: &str, object: serde_json::Value) -> Sight {
    let thin: Thin = serde_json::from_value(object).unwrap();
    let key = key(group, kind, names::API_GATEWAY);
    let seen = Seen::of_thin(&thin, key.0.kind());
    sight.insert(key, seen);
    sight
}

fn said(stack: &Stack, sight: &Sight, planned: &[Object], rotating: bool) -> HealthcareStackStatus {
    said_of(stack, sight, planned, rotating, None)
}

fn said_of(
    stack: &Stack,
    sight: &Sight,
    planned: &[Object],
    rotating: bool,
    stuck: Option<&Stuck>,
) -> HealthcareStackStatus {
    let facts = facts(stack, 1, Record::default(), planned, sight, false);
    let decision = decide(&facts);
    let report = Report { stack, facts: &facts, decision: &decision, sight, stuck, contests: &[], rotating };
    status(report, 1, &HealthcareStackStatus::default(), DateTime::UNIX_EPOCH)
}

/// A condition as `True AsExpected`, and its message.
fn condition<'a>(status: &'a HealthcareStackStatus, r#type: &str) -> (String, &'a str) {
    let found = status.conditions.iter().find(|condition| condition.r#type == r#type).unwrap();
    (format!("{:?} {}", found.status, found.reason), &found.message)
}

fn all(status: &HealthcareStackStatus) -> [String; 4] {
    [kind::READY, kind::PROGRESSING, kind::DEGRADED, kind::GATEWAY_READY]
        .map(|r#type| condition(status, r#type).0)
}

#[test]
fn a_stack_that_is_whole_is_ready() {
    let stack = stack("");
    let status = said(&stack, &healthy(&stack), &[], false);
    assert_eq!(all(&status), ["True AsExpected", "False AsExpected", "False AsExpected", "True AsExpected"]);
    assert_eq!(status.gateway_url.as_deref(), Some("http://clinic-api-gateway.clinic:8080"));
}

#[test]
fn a_gateway_without_the_address_that_was_asked_for_is_waited_for() {
    let stack = stack("gateway: {service: {type: LoadBalancer}}");
    let service = |given: serde_json::Value| {
        let object =
            json!({"spec": {"type": "LoadBalancer"}, "status": {"loadBalancer": {"ingress": given}}});
        with(healthy(&stack), "", "Service", object)
    };
    let waiting = said(&stack, &service(json!([])), &[], false);
    assert_eq!(
        all(&waiting),
        ["False AddressPending", "True AddressPending", "False AsExpected", "False AddressPending"]
    );
    assert_eq!(waiting.last_healthy_version.as_deref(), Some(VERSION), "it is no version's fault");
    for (given, url) in [
        (json!([{"ip": "192.0.2.7"}]), "http://192.0.2.7:8080"),
        (json!([{"ip": "2001:db8::7"}]), "http://[2001:db8::7]:8080"),
    ] {
        let status = said(&stack, &service(given), &[], false);
        assert_eq!(condition(&status, kind::READY).0, "True AsExpected");
        assert_eq!(status.gateway_url.as_deref(), Some(url));
    }
}

#[test]
fn a_gateway_whose_pods_are_not_ready_says_so_before_anything_else() {
    let stack = stack("gateway: {service: {type: LoadBalancer}}");
    let mut sight = healthy(&stack);
    sight.insert(
        key("apps", "Deployment", names::API_GATEWAY),
        seen(Workload { desired: 1, ..Workload::default() }),
    );
    assert_eq!(condition(&said(&stack, &sight, &[], false), kind::GATEWAY_READY).0, "False RollingOut");
}

#[test]
fn an_ingress_that_shows_no_address_is_a_note_and_nothing_more() {
    let stack = stack("gateway: {ingress: {host: clinic.example.org}}");
    let status = said(&stack, &healthy(&stack), &[], false);
    assert_eq!(all(&status), ["True AsExpected", "False AsExpected", "False AsExpected", "True AsExpected"]);
    assert!(condition(&status, kind::GATEWAY_READY).1.contains("shows no address"));
}

#[test]
fn a_route_that_a_gateway_refuses_degrades_the_stack() {
    let stack = stack("gateway: {ingress: {host: clinic.example.org, parentRefs: [{name: public}]}}");
    let refused = json!({"type": "Accepted", "status": "False", "reason": "NoMatchingParent", "message": "no listener"});
    let object = json!({"status": {"parents": [{"parentRef": {"name": "public"}, "conditions": [refused]}]}});
    let sight = with(healthy(&stack), "gateway.networking.k8s.io", "HTTPRoute", object);
    let status = said(&stack, &sight, &[], false);
    assert_eq!(
        all(&status),
        [
            "False RouteNotAccepted",
            "False RouteNotAccepted",
            "True RouteNotAccepted",
            "False RouteNotAccepted"
        ]
    );
    assert!(condition(&status, kind::READY).1.ends_with("NoMatchingParent: no listener"));
}

#[test]
fn a_rotation_is_progress_and_harms_nobody() {
    let stack = stack("");
    let status = said(&stack, &healthy(&stack), &[], true);
    assert_eq!(all(&status), ["True AsExpected", "True Rotating", "False AsExpected", "True AsExpected"]);
}

#[test]
fn a_restore_is_told_while_it_is_under_way_and_when_it_failed() {
    let stack = stack(
        "database: {managed: {}, restoreFrom: {volume: {claimName: old}, keySecretRef: {name: old-kek}}}",
    );
    let mut checksums = BTreeMap::new();
    checksums.insert(names::object("clinic", names::DATABASE_ADMIN), "sum".to_owned());
    let planned = plan(&Context {
        stack: &stack,
        owner: OwnerReference::default(),
        tags: Tags::default(),
        capabilities: Capabilities::default(),
        checksums: &checksums,
        kek: &Kek::default(),
        operator_image: None,
    });
    let jobs = planned.iter().filter(|object| object.resource.kind == "Job");
    let seen_so = |restore: Workload| {
        let mut sight = healthy(&stack);
        for job in jobs.clone() {
            let is_restore = crate::facts::part(job) == names::RESTORE;
            let workload =
                if is_restore { restore.clone() } else { Workload { complete: true, ..Workload::default() } };
            sight.insert((Kind::id("batch", "Job").unwrap(), job.name.as_str().into()), seen(workload));
        }
        said(&stack, &sight, &planned, false)
    };
    let under_way = seen_so(Workload::default());
    assert_eq!(condition(&under_way, kind::READY).0, "False Restoring");
    assert_eq!(condition(&under_way, kind::DATABASE_READY).0, "False Restoring");
    let failed = seen_so(Workload { failed: Some("no such backup".to_owned()), ..Workload::default() });
    assert_eq!(condition(&failed, kind::DEGRADED).0, "True RestoreFailed");
    assert!(condition(&failed, kind::DATABASE_READY).1.contains("no such backup"));
    let done = seen_so(Workload { complete: true, ..Workload::default() });
    assert_eq!(condition(&done, kind::DATABASE_READY).0, "True AsExpected");
}

#[test]
fn what_keeps_the_database_from_coming_up_is_said_of_the_database_too() {
    let stack = stack("");
    let mut sight = healthy(&stack);
    sight.insert(
        key("apps", "StatefulSet", names::POSTGRES),
        seen(Workload { desired: 1, ..Workload::default() }),
    );
    let stuck = |part: &str| Stuck {
        part: part.to_owned(),
        problem: Problem { reason: reason::VOLUME_PENDING, message: "no class".to_owned() },
    };
    let status = said_of(&stack, &sight, &[], false, Some(&stuck(names::POSTGRES)));
    assert_eq!(condition(&status, kind::READY).0, "False VolumePending");
    assert_eq!(condition(&status, kind::DATABASE_READY), ("False VolumePending".to_owned(), "no class"));
    let status = said_of(&stack, &sight, &[], false, Some(&stuck("patient-service")));
    assert_eq!(condition(&status, kind::DATABASE_READY).0, "False DatabaseUnreachable");
}

/// A reason that nothing gives is a promise that nobody keeps.
#[test]
fn every_reason_is_given() {
    fn sources(folder: &std::path::Path, text: &mut String) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, text);
            } else if path.extension().is_some_and(|it| it == "rs") && !path.ends_with("tests.rs") {
                text.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }
    let mut given = String::new();
    sources(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut given);
    let reasons = include_str!("../../../crds/src/condition.rs").split_once("pub mod reason").unwrap().1;
    let names: Vec<_> = reasons
        .lines()
        .filter_map(|line| line.trim().strip_prefix("pub const ")?.split_once(':'))
        .map(|(name, _)| name)
        .collect();
    assert!(names.len() > 25, "{names:?}");
    for name in names {
        assert!(given.contains(&format!("reason::{name}")), "{name}");
    }
}

#[test]
fn keys_that_cannot_be_wrapped_anew_are_told_while_the_stack_stays_ready() {
    let stack = stack("");
    let kek = Kek { rewrap: Some("00c0ffee00c0ffee".to_owned()), restored: Vec::new() };
    let planned = crate::plan::tests::with(&stack, |context| {
        let objects = plan(&Context { kek: &kek, ..context.clone() });
        objects.into_iter().filter(|object| object.name.contains("-rewrap-")).collect::<Vec<_>>()
    });
    let at = |workload: Workload| {
        let mut sight = healthy(&stack);
        for job in &planned {
            sight.insert(
                (Kind::id("batch", "Job").unwrap(), job.name.as_str().into()),
                seen(workload.clone()),
            );
        }
        said(&stack, &sight, &planned, true)
    };
    let under_way = at(Workload::default());
    assert_eq!(all(&under_way), ["True AsExpected", "True Rotating", "False AsExpected", "True AsExpected"]);
    let message = condition(&under_way, kind::PROGRESSING).1;
    assert!(message.starts_with("keys are being rotated: Job clinic-rewrap-"), "{message}");
    let failed = at(Workload { failed: Some("BackoffLimitExceeded".to_owned()), ..Workload::default() });
    assert_eq!(
        all(&failed),
        ["True AsExpected", "False AsExpected", "True RotationFailed", "True AsExpected"]
    );
    let message = condition(&failed, kind::DEGRADED).1;
    assert!(
        message.contains("the previous one stays") && message.ends_with("BackoffLimitExceeded"),
        "{message}"
    );
}
