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

/// What came of releasing every stack.
#[derive(Debug, Default)]
pub struct Released {
    /// Stacks that were, by namespace and name.
    pub stacks: Vec<String>,
    /// What stood in the way of others.
    pub errors: Vec<Error>,
}

impl Released {
    /// An error if there was any.
    pub fn whole(self) -> Result<Vec<String>, Error> {
        if self.errors.is_empty() { Ok(self.stacks) } else { Err(Error::Unreleased(self.errors)) }
    }
}

/// Releases every stack of the scope. What cannot be released, or listed, keeps none of the others.
pub async fn release(client: &Client, scope: &Scope) -> Released {
    let mut released = Released::default();
    for namespace in scope.watched() {
        let all: Api<HealthcareStack> = match &namespace {
            Some(namespace) => Api::namespaced(client.clone(), namespace),
            None => Api::all(client.clone()),
        };
        let ended = release_listed(client, &all, &mut released).await;
        released.errors.extend(ended.err().map(|error| {
            let place = namespace.map_or_else(String::new, |namespace| format!(" of {namespace}"));
            Error::api(format!("listing the stacks{place}"))(error)
        }));
    }
    released
}

async fn release_listed(
    client: &Client,
    all: &Api<HealthcareStack>,
    released: &mut Released,
) -> Result<(), kube::Error> {
    let mut page = ListParams::default().limit(PAGE);
    loop {
        let list = all.list_metadata(&page).await?;
        for found in list.items.iter().filter(|found| is_held(&found.metadata)) {
            let (of, name) = (found.namespace().unwrap_or_default(), found.name_any());
            match release_one(client, &of, &name).await {
                Ok(true) => released.stacks.push(format!("{of}/{name}")),
                Ok(false) => {}
                Err(error) => released.errors.push(error),
            }
        }
        match list.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = ListParams::default().limit(PAGE).continue_token(&token),
            None => return Ok(()),
        }
    }
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

    #[tokio::test]
    async fn a_namespace_that_may_not_be_listed_keeps_no_other_from_being_released() {
        let client = answers::client(|method, path| {
            let metadata = json!({"name": "clinic", "namespace": "there", "finalizers": [FINALIZER]});
            let found = json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata});
            match (method, path.ends_with("/clinic")) {
                _ if path.contains("/namespaces/gone/") => answers::refused(403, "Forbidden"),
                ("GET", false) => answers::list("PartialObjectMetadata", &[found]),
                ("GET", true) => (200, found),
                _ => (200, json!({"metadata": {"name": "clinic"}, "spec": {}})),
            }
        });
        let scope = Scope::Namespaces(["gone".to_owned(), "there".to_owned()].into());
        let released = release(&client, &scope).await;
        assert_eq!(released.stacks, ["there/clinic"]);
        let told = released.whole().expect_err("one was not listed").to_string();
        assert_eq!(told, "not all stacks are released: listing the stacks of gone: Forbidden");
    }
}
