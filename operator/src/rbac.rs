//! What the operator needs to be allowed, as data: the chart's Roles are made from it, and a test holds it against what is planned.

use k8s_openapi::api::rbac::v1::PolicyRule;
use serde::Serialize;

use crate::kinds::Kind;

/// Everything that the operator may do, by where.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Permissions {
    /// In each namespace with stacks (a Role there), or everywhere (a `ClusterRole`).
    pub stacks: Vec<PolicyRule>,
    /// In the operator's own namespace.
    pub own: Vec<PolicyRule>,
    /// On what has no namespace: reading names, and nothing else.
    pub cluster: Vec<PolicyRule>,
}

const READ: [&str; 3] = ["get", "list", "watch"];

/// What the operator may do.
pub fn permissions() -> Permissions {
    let mut stacks = vec![
        rule(&[stack::GROUP], &["healthcarestacks"], &["get", "list", "watch", "patch"]),
        rule(&[stack::GROUP], &["healthcarestacks/status"], &["patch"]),
        // What the stack owns does not hold its deletion up (kube's owner references set no `blockOwnerDeletion`), so that no cluster asks for
        // this right today. It is for those that do (OpenShift's OwnerReferencesPermissionEnforcement) should that ever be set.
        rule(&[stack::GROUP], &["healthcarestacks/finalizers"], &["update"]),
    ];
    let mut groups: Vec<&str> = Vec::new();
    for kind in Kind::all() {
        if !groups.contains(&kind.resource.group.as_str()) {
            groups.push(&kind.resource.group);
        }
    }
    for group in groups {
        let kinds =
            Kind::all().iter().filter(|kind| kind.resource.group == group && kind.resource.kind != "Secret");
        let plurals: Vec<_> = kinds.map(|kind| kind.resource.plural.as_str()).collect();
        stacks.push(rule(&[group], &plurals, &["get", "list", "watch", "create", "patch", "delete"]));
    }
    stacks.extend([
        // Its own Secrets are rotated by replacing them in the version that was read.
        rule(&[""], &["secrets"], &["get", "list", "watch", "create", "update", "delete"]),
        // Of the namespace itself, whether it is on its way out: then no finalizer waits for anything.
        rule(&[""], &["namespaces"], &["get"]),
        // Why pods do not come up, and why they are not even made.
        rule(&[""], &["pods", "events"], &["list"]),
        // What it gives the gateway it must have itself.
        rule(&["discovery.k8s.io"], &["endpointslices"], &READ),
        rule(&["events.k8s.io"], &["events"], &["create", "patch"]),
    ]);
    Permissions {
        stacks,
        own: vec![rule(&["coordination.k8s.io"], &["leases"], &["get", "create", "update"])],
        cluster: vec![rule(&["networking.k8s.io"], &["ingressclasses"], &["get"])],
    }
}

fn rule(groups: &[&str], resources: &[&str], verbs: &[&str]) -> PolicyRule {
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    PolicyRule {
        api_groups: Some(owned(groups)),
        resources: Some(owned(resources)),
        verbs: owned(verbs),
        ..PolicyRule::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Capabilities, Context, Kek, Tags, plan};
    use k8s_openapi::api::rbac::v1::Role;
    use stack::Stack;

    fn planned(yaml: &str) -> Vec<crate::object::Object> {
        let stack = Stack::from_yaml(yaml).expect("a sample");
        let tag = Some("0.1.0".to_owned());
        plan(&Context {
            stack: &stack,
            owner: k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference::default(),
            tags: Tags { migrations: tag.clone(), services: tag.clone(), gateway: tag },
            capabilities: Capabilities {
                http_route: true,
                pod_monitor: true,
                prometheus_rule: true,
                cloud_native_pg: true,
            },
            checksums: &[(stack::names::object(&stack.name, stack::names::DATABASE_ADMIN), String::new())]
                .into(),
            kek: &Kek { rewrap: Some("1".to_owned()), restored: Vec::new() },
            operator_image: None,
        })
    }

    fn samples() -> Vec<crate::object::Object> {
        let full = planned(include_str!("../../manifests/samples/full.yaml"));
        let minimal = planned(include_str!("../../manifests/samples/minimal.yaml"));
        full.into_iter().chain(minimal).collect()
    }

    fn allows(group: &str, resource: &str, verb: &str) -> bool {
        permissions().stacks.iter().any(|rule| {
            rule.api_groups.iter().flatten().any(|it| it == group)
                && rule.resources.iter().flatten().any(|it| it == resource)
                && rule.verbs.iter().any(|it| it == verb)
        })
    }

    #[test]
    fn everything_that_is_planned_is_of_a_kind_that_is_watched_and_allowed() {
        for object in samples() {
            let reference = object.reference();
            let id = Kind::id(&reference.group, &reference.kind);
            let kind = id.unwrap_or_else(|| panic!("{reference} is of no kind in kinds.rs")).kind();
            assert_eq!(kind.resource, object.resource, "{reference}");
            for verb in ["get", "create", "patch", "delete", "watch"] {
                assert!(allows(&reference.group, &kind.resource.plural, verb), "{verb} {reference}");
            }
        }
    }

    #[test]
    fn the_operator_has_every_right_that_it_gives_away() {
        let mut roles = 0;
        for object in samples().into_iter().filter(|object| object.resource.kind == "Role") {
            roles += 1;
            let role: Role = serde_json::from_value(object.body).expect("a Role");
            for rule in role.rules.into_iter().flatten() {
                for group in rule.api_groups.iter().flatten() {
                    for resource in rule.resources.iter().flatten() {
                        for verb in &rule.verbs {
                            assert!(allows(group, resource, verb), "{verb} {resource} in {group:?}");
                        }
                    }
                }
            }
        }
        assert!(roles > 0, "the gateway has a Role");
    }

    #[test]
    fn nothing_is_allowed_by_a_star() {
        let Permissions { stacks, own, cluster } = permissions();
        for rule in stacks.iter().chain(&own).chain(&cluster) {
            let words =
                rule.api_groups.iter().flatten().chain(rule.resources.iter().flatten()).chain(&rule.verbs);
            assert!(words.into_iter().all(|word| word != "*"), "{rule:?}");
        }
        assert!(!cluster.iter().flat_map(|rule| rule.resources.iter().flatten()).any(|it| it == "secrets"));
    }
}
