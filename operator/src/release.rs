//! `healthcare-operator release`: takes the finalizer off stacks, so that they can go without an operator.
//!
//! For whoever uninstalls the operator before its stacks; the chart runs it as a hook. Nothing is deleted by it: a stack whose policy is
//! `Delete` or `Backup` leaves its keys and volumes behind when it is deleted afterwards.

use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use stack::spec::HealthcareStack;

use crate::Error;
use crate::delete::{FINALIZER, set};
use crate::scope::Scope;

/// Stacks listed at once.
const PAGE: u32 = 100;

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
                if !found.finalizers().iter().any(|it| it == FINALIZER) {
                    continue;
                }
                let of = found.namespace().unwrap_or_default();
                let api: Api<HealthcareStack> = Api::namespaced(client.clone(), &of);
                let mut shell =
                    HealthcareStack::new(&found.name_any(), stack::spec::HealthcareStackSpec::default());
                shell.metadata = found.metadata;
                set(&api, &shell, false).await?;
                released.push(format!("{of}/{}", shell.name_any()));
            }
            match list.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page = ListParams::default().limit(PAGE).continue_token(&token),
                None => break,
            }
        }
    }
    Ok(released)
}
