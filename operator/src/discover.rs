//! What the cluster has beside Kubernetes itself: asked now and then, since software is installed while the operator runs.
//!
//! Discovery is open to every authenticated client: no right to read CustomResourceDefinitions is needed.

use std::collections::HashSet;

use kube::Client;

use crate::Error;
use crate::plan::Capabilities;

/// Groups that other software brings.
const GROUPS: [&str; 3] = ["gateway.networking.k8s.io", "monitoring.coreos.com", "postgresql.cnpg.io"];

/// Asks.
pub async fn capabilities(client: &Client) -> Result<Capabilities, Error> {
    let groups = client.list_api_groups().await.map_err(Error::api("listing API groups"))?;
    let mut kinds = HashSet::new();
    for group in groups.groups.iter().filter(|group| GROUPS.contains(&group.name.as_str())) {
        if !group.versions.iter().any(|version| version.version == "v1") {
            continue;
        }
        let version = format!("{}/v1", group.name);
        let resources = client
            .list_api_group_resources(&version)
            .await
            .map_err(Error::api(format!("listing the kinds of {version}")))?;
        kinds.extend(resources.resources.into_iter().map(|resource| resource.kind));
    }
    Ok(Capabilities {
        http_route: kinds.contains("HTTPRoute"),
        pod_monitor: kinds.contains("PodMonitor"),
        prometheus_rule: kinds.contains("PrometheusRule"),
        cloud_native_pg: kinds.contains("Cluster"),
    })
}

/// Whether there is an Ingress class of that name. `None` if the operator may not know.
pub async fn has_ingress_class(client: &Client, name: &str) -> Result<Option<bool>, Error> {
    use k8s_openapi::api::networking::v1::IngressClass;
    let api: kube::Api<IngressClass> = kube::Api::all(client.clone());
    match api.get_metadata_opt(name).await {
        Ok(found) => Ok(Some(found.is_some())),
        Err(kube::Error::Api(status)) if status.code == 403 => Ok(None),
        Err(error) => Err(Error::api(format!("the Ingress class {name}"))(error)),
    }
}
