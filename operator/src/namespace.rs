//! [`is_ending`]: whether a namespace is on its way out, and everything in it.
//!
//! Kubernetes then deletes what is in it in an order of its own: pods first since 1.33, the operator's among them, and the rest as it comes,
//! the operator's rights among it. A finalizer that waits for work of ours would wait for ever. There is nothing to see to either: keys and
//! volumes go with the namespace, whatever the stack's `deletionPolicy` says, and so does a backup's volume.

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client};

/// Whether it is. Who may not know it, or cannot ask, goes on as ever.
pub async fn is_ending(client: &Client, name: &str) -> bool {
    let api: Api<Namespace> = Api::all(client.clone());
    api.get_metadata(name).await.is_ok_and(|namespace| namespace.metadata.deletion_timestamp.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answers;
    use serde_json::json;

    #[tokio::test]
    async fn a_namespace_ends_when_the_api_server_says_so() {
        let with = |metadata: serde_json::Value| {
            answers::client(move |_, path| {
                assert_eq!(path, "/api/v1/namespaces/clinic");
                (
                    200,
                    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}),
                )
            })
        };
        assert!(!is_ending(&with(json!({"name": "clinic"})), "clinic").await);
        let ending = with(json!({"name": "clinic", "deletionTimestamp": "2026-11-23T10:00:00Z"}));
        assert!(is_ending(&ending, "clinic").await);
        assert!(!is_ending(&answers::client(|_, _| answers::not_found()), "clinic").await);
    }
}
