//! [`keep_replicas`]: who decides how many pods there are changes, and the number does not.
//!
//! A field that its only owner no longer applies falls back to its default: a Deployment whose stack hands its replicas over to an
//! autoscaler would have one pod until that looks at it. So before our field manager gives the field up, another one of ours takes it, as it
//! is. The autoscaler then writes to it as it likes. (Kubernetes, "Server-Side Apply: Transferring ownership between managers".)

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::apply::Place;
use crate::object::Object;
use crate::{Error, MANAGER};

/// The field manager that holds replicas until an autoscaler writes them.
const KEEPER: &str = "healthcare-operator-replicas";

/// Before a Deployment is applied: if that would give its replicas up, they are kept.
pub async fn keep_replicas(place: Place<'_>, object: &Object) -> Result<(), Error> {
    if object.resource.kind != "Deployment" || object.body.pointer("/spec/replicas").is_some() {
        return Ok(());
    }
    let what = || format!("keeping the replicas of {}", object.reference());
    let api: Api<Deployment> = Api::namespaced(place.client.clone(), &place.stack.namespace);
    let Some(found) = api.get_opt(&object.name).await.map_err(Error::api(what()))? else { return Ok(()) };
    if !found.metadata.managed_fields.iter().flatten().any(is_our_claim) {
        return Ok(());
    }
    let kept = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": object.name},
        "spec": {"replicas": found.spec.and_then(|spec| spec.replicas)},
    });
    api.patch(&object.name, &PatchParams::apply(KEEPER), &Patch::Apply(kept))
        .await
        .map_err(Error::api(what()))?;
    Ok(())
}

fn is_our_claim(entry: &ManagedFieldsEntry) -> bool {
    entry.manager.as_deref() == Some(MANAGER)
        && entry.operation.as_deref() == Some("Apply")
        && entry.fields_v1.as_ref().is_some_and(|fields| fields.0.pointer("/f:spec/f:replicas").is_some())
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::FieldsV1;

    use super::*;

    fn claim(manager: &str, operation: &str, fields: serde_json::Value) -> ManagedFieldsEntry {
        ManagedFieldsEntry {
            manager: Some(manager.to_owned()),
            operation: Some(operation.to_owned()),
            fields_v1: Some(FieldsV1(fields)),
            ..ManagedFieldsEntry::default()
        }
    }

    #[test]
    fn only_what_we_applied_is_ours_to_hand_over() {
        let replicas = || json!({"f:spec": {"f:replicas": {}}});
        assert!(is_our_claim(&claim(MANAGER, "Apply", replicas())));
        assert!(!is_our_claim(&claim(MANAGER, "Apply", json!({"f:spec": {"f:template": {}}}))));
        assert!(!is_our_claim(&claim("kube-controller-manager", "Update", replicas())));
    }
}
