//! Who each part is to the API server. Only the gateway is anybody: it reads its configuration and the addresses of the services' pods.

use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject};
use settings::ServiceName;
use stack::names;

use super::{Context, labels};
use crate::object::Object;

/// What [`Context::checksums`] calls an account, by its object name. No Secret has such a name.
pub fn known_as(account: &str) -> String {
    format!("serviceaccounts/{account}")
}

/// The annotation for an account whose token a pod has, if the account is there. A token is good for one account, not for another that is
/// made in its place: the pod's own would be refused until the kubelet gets another, up to most of an hour later.
pub(super) fn checksum(context: &Context<'_>, account: &str) -> Option<(String, String)> {
    let uid = context.checksums.get(&known_as(account))?;
    Some((labels::checksum("account"), uid.clone()))
}

/// The accounts whose tokens pods have. They are made before anything else is planned, so that it is known which they are.
pub fn with_token(context: &Context<'_>) -> Object {
    Object::of(&account(context, names::API_GATEWAY))
}

/// An account for each part of which pods may run, so that no two can be mistaken for one another, and what the gateway may read.
pub(super) fn plan(context: &Context<'_>) -> Vec<Object> {
    let parts = context.services().map(ServiceName::as_str).chain([names::API_GATEWAY]);
    let accounts = parts.map(|part| Object::of(&account(context, part)));
    accounts.chain([Object::of(&role(context)), Object::of(&role_binding(context))]).collect()
}

/// No token unless a pod asks for one; only the gateway's does.
fn account(context: &Context<'_>, part: &str) -> ServiceAccount {
    ServiceAccount {
        metadata: context.owned(part, context.name(part)),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}

fn role(context: &Context<'_>) -> Role {
    let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
    Role {
        metadata: context.owned(names::API_GATEWAY, context.name(names::API_GATEWAY)),
        rules: Some(vec![
            // A list or watch with `metadata.name` as its field selector is granted by the name.
            PolicyRule {
                api_groups: Some(texts(&[""])),
                resources: Some(texts(&["configmaps"])),
                resource_names: Some(vec![context.name(names::API_GATEWAY)]),
                verbs: texts(&["get", "list", "watch"]),
                ..PolicyRule::default()
            },
            // EndpointSlices have names of the control plane's making, so that none can be named here.
            PolicyRule {
                api_groups: Some(texts(&["discovery.k8s.io"])),
                resources: Some(texts(&["endpointslices"])),
                verbs: texts(&["list", "watch"]),
                ..PolicyRule::default()
            },
        ]),
    }
}

fn role_binding(context: &Context<'_>) -> RoleBinding {
    let name = context.name(names::API_GATEWAY);
    RoleBinding {
        metadata: context.owned(names::API_GATEWAY, name.clone()),
        role_ref: RoleRef {
            api_group: "rbac.authorization.k8s.io".to_owned(),
            kind: "Role".to_owned(),
            name: name.clone(),
        },
        subjects: Some(vec![Subject {
            kind: "ServiceAccount".to_owned(),
            name,
            namespace: Some(context.stack.namespace.clone()),
            ..Subject::default()
        }]),
    }
}
