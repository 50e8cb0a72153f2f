//! `healthcare-operator release`: takes the finalizer off stacks, so that they can go without an operator.
//!
//! For whoever uninstalls the operator before its stacks; the chart runs it as a hook. Nothing is deleted by it: a stack whose policy is
//! `Delete` or `Backup` leaves its keys and volumes behind when it is deleted afterwards.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use stack::spec::HealthcareStack;

use crate::Error;
use crate::delete::{FINALIZER, set};
use crate::scope::Scope;

/// Stacks listed at once.
const PAGE: u32 = 100;
/// Somebody else may write to a stack at the same moment.
const ATTEMPTS: u32 = 5;

/// Releases one stack, whatever else is written to it meanwhile. Answers whether there was anything to release.
pub async fn release_one(client: &Client, namespace: &str, name: &str) -> Result<bool, Error> {
    let api: Api<HealthcareStack> = Api::namespaced(client.clone(), namespace);
    let what = || format!("the finalizer of {name}");
    let mut attempts = 0;
    loop {
        let found = match api.get_metadata(name).await {
            Ok(found) if is_held(&found.metadata) => found,
            Ok(_) => return Ok(false),
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(false),
            Err(error) => return Err(Error::api(what())(error)),
        };
        let mut shell = HealthcareStack::new(name, stack::spec::HealthcareStackSpec::default());
        shell.metadata = found.metadata;
        attempts += 1;
        match set(&api, &shell, false).await {
            Err(error) if attempts < ATTEMPTS && error.status().is_some_and(|status| status.code == 409) => {}
            ended => return ended.map(|()| true),
        }
    }
}

fn is_held(metadata: &ObjectMeta) -> bool {
    metadata.finalizers.iter().flatten().any(|it| it == FINALIZER)
}

/// Releases every stack of the scope. Answers which.
pub async fn release(client: &Client, scope: &Scope) -> Result<Vec<String>, Error> {
    let mut released = Vec::new();
    for namespace in scope.watched() {
        let all: Api<HealthcareStack> = match &namespace {
            Some(namespace) => Api::namespaced(client.clone(), namespace),
            None => Api::all(client.clone()),
        };
        let mut page = ListParams::default().limit(PAGE);
        loop {
            let list = all.list_metadata(&page).await.map_err(Error::api("listing stacks"))?;
            for found in list.items {
                let (of, name) = (found.namespace().unwrap_or_default(), found.name_any());
                if is_held(&found.metadata) && release_one(client, &of, &name).await? {
                    released.push(format!("{of}/{name}"));
                }
            }
            match list.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page = ListParams::default().limit(PAGE).continue_token(&token),
                None => break,
            }
        }
    }
    Ok(released)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::answers;
    use serde_json::json;

    #[tokio::test]
    async fn a_stack_that_others_write_to_meanwhile_is_released_all_the_same() {
        let (asked, written) = (AtomicU32::new(0), std::sync::Arc::new(AtomicU32::new(0)));
        let count = std::sync::Arc::clone(&written);
        let client = answers::client(move |method, _| match method {
            "GET" => {
                let version = asked.fetch_add(1, Ordering::SeqCst).to_string();
                let metadata =
                    json!({"name": "clinic", "resourceVersion": version, "finalizers": [FINALIZER]});
                (
                    200,
                    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}),
                )
            }
            _ if count.fetch_add(1, Ordering::SeqCst) < 2 => {
                (409, json!({"kind": "Status", "status": "Failure", "reason": "Conflict", "code": 409}))
            }
            _ => (200, json!({"metadata": {"name": "clinic"}, "spec": {}})),
        });
        assert!(release_one(&client, "clinic", "clinic").await.expect("released"));
        assert_eq!(written.load(Ordering::SeqCst), 3);
    }
}
