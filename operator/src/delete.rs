//! Deletion, and the finalizer that it needs, or does not.
//!
//! `Retain` needs none: what the stack owns goes with it, and what should stay (keys, volumes) carries no owner. `Delete` and `Backup` have
//! one, so that keys and volumes are deleted too. The keys go first: if anything stops the rest, what is left opens for nobody.

mod last_backup;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, Preconditions};
use kube::runtime::controller::Action;
use kube::{Api, Resource, ResourceExt};
use serde_json::json;
use stack::Stack;
use stack::condition::reason;
use stack::spec::{DeletionPolicy, HealthcareStack};

use crate::kinds::Kind;
use crate::object::ObjectRef;
use crate::plan::{Context, Kek, Tags, labels, remains};
use crate::reconcile::{Memory, Pass};
use crate::release::release_one;
use crate::thin::Thin;
use crate::validate::Problem;
use crate::{Error, namespace};

/// The finalizer.
pub const FINALIZER: &str = "healthcarestack.dev/data";

const AGAIN: Duration = Duration::from_secs(5);

/// Puts the finalizer on, or takes it off, as the deletion policy needs it.
pub async fn settle_finalizer(pass: Pass<'_>, stack: &Stack) -> Result<(), Error> {
    let is_needed = stack.deletion_policy != DeletionPolicy::Retain;
    let is_there = pass.resource.finalizers().iter().any(|it| it == FINALIZER);
    if is_needed == is_there {
        return Ok(());
    }
    let api: Api<HealthcareStack> = Api::namespaced(pass.operator.client.clone(), &pass.id.namespace);
    set(&api, pass.resource, is_needed).await
}

/// Writes the list of finalizers, if it is still the one that was read.
pub async fn set(api: &Api<HealthcareStack>, resource: &HealthcareStack, with: bool) -> Result<(), Error> {
    let mut finalizers: Vec<_> =
        resource.finalizers().iter().filter(|it| *it != FINALIZER).cloned().collect();
    if with {
        finalizers.push(FINALIZER.to_owned());
    }
    let name = resource.name_any();
    let patch =
        json!({"metadata": {"resourceVersion": resource.resource_version(), "finalizers": finalizers}});
    match api.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(Error::api(format!("the finalizer of {name}"))(error)),
    }
}

/// Sees to what does not go by itself, then lets the stack go.
pub async fn delete(pass: Pass<'_>, memory: &mut Memory) -> Result<Action, Error> {
    if !pass.resource.finalizers().iter().any(|it| it == FINALIZER) {
        return Ok(Action::await_change());
    }
    if namespace::is_ending(&pass.operator.client, &pass.id.namespace).await {
        return let_go(pass).await;
    }
    let api: Api<HealthcareStack> = Api::namespaced(pass.operator.client.clone(), &pass.id.namespace);
    // A spec that cannot be read cannot tell what to delete either. Nothing is deleted then: too little can be made good.
    let Ok(stack) = pass.operator.stack(pass.resource) else {
        let message =
            "the spec is not valid, so that it cannot be told what is to be deleted; correct it".to_owned();
        pass.say_deleting(memory, Problem { reason: reason::INVALID, message }).await?;
        return Ok(Action::await_change());
    };
    let owner = pass.resource.controller_owner_ref(&()).unwrap_or_default();
    let checksums = checksums(pass, &stack, memory).await?;
    let context = Context {
        stack: &stack,
        owner,
        tags: Tags::default(),
        capabilities: pass.operator.capabilities(),
        checksums: &checksums,
        kek: &Kek::default(),
        operator_image: pass.operator.image.as_deref(),
    };
    if stack.deletion_policy == DeletionPolicy::Backup && !last_backup::take(pass, &context, memory).await? {
        return Ok(Action::requeue(AGAIN));
    }
    for remain in remains(&context) {
        remove(pass, &remain).await?;
    }
    set(&api, pass.resource, false).await?;
    Ok(Action::await_change())
}

/// Takes the finalizer off whatever is still there: all of it goes with its namespace.
pub async fn let_go(pass: Pass<'_>) -> Result<Action, Error> {
    release_one(&pass.operator.client, &pass.id.namespace, &pass.resource.name_any()).await?;
    Ok(Action::await_change())
}

/// Digests of the stack's Secrets, which Jobs are named by. After a restart they are read once more; none is made any more.
async fn checksums(
    pass: Pass<'_>,
    stack: &Stack,
    memory: &Memory,
) -> Result<BTreeMap<String, String>, Error> {
    if stack.deletion_policy != DeletionPolicy::Backup {
        return Ok(BTreeMap::new());
    }
    if let Some(known) = memory.checksums() {
        return Ok(known);
    }
    let api: Api<Secret> = Api::namespaced(pass.operator.client.clone(), &pass.id.namespace);
    let ours = ListParams::default().labels(&format!("{}={}", labels::STACK, pass.id.label));
    let list = api.list(&ours).await.map_err(Error::api("Secrets of the stack"))?;
    Ok(crate::secrets::checksums(&list.items))
}

/// Deletes what the stack leaves behind. What has such a name and is not the stack's stays: a stack may have been refused for just that.
async fn remove(pass: Pass<'_>, remain: &ObjectRef) -> Result<(), Error> {
    let Some(id) = Kind::id(&remain.group, &remain.kind) else { return Ok(()) };
    let api: Api<Thin> =
        Api::namespaced_with(pass.operator.client.clone(), &pass.id.namespace, &id.kind().resource);
    let what = || format!("deleting {remain}");
    let Some(found) = api.get_metadata_opt(&remain.name).await.map_err(Error::api(what()))? else {
        return Ok(());
    };
    if labels::stack_of(found.labels()) != Some(pass.id.label.as_str()) {
        tracing::warn!(object = %remain, "has not the labels of one that the operator made: it is left as it is");
        return Ok(());
    }
    // This one, and none that somebody makes in its place meanwhile.
    let this = Preconditions { uid: found.metadata.uid, resource_version: None };
    match api.delete(&remain.name, &DeleteParams::background().preconditions(this)).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(Error::api(what())(error)),
    }
}
