//! [`Facts`]: what the API server says of a stack. Reads, and decides nothing.

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{ConfigMap, Event, Pod};
use kube::ResourceExt;
use kube::api::ListParams;
use settings::GatewayConfig;
use stack::names;
use stack::spec::HealthcareStack;

use operator::plan::config::GATEWAY_FILE;

use crate::cluster::Cluster;
use crate::error::Error;

/// What the API server says of a stack.
pub(super) struct Facts {
    pub(super) stack: HealthcareStack,
    pub(super) deployments: Vec<Deployment>,
    pub(super) stateful_sets: Vec<StatefulSet>,
    pub(super) pods: Vec<Pod>,
    /// What the gateway is told now. `None`: nothing yet, or nothing that this version of the plugin understands.
    pub(super) gateway: Option<GatewayConfig>,
    pub(super) events: Vec<Event>,
}

pub(super) async fn facts(cluster: &Cluster, name: &str) -> Result<Facts, Error> {
    let stack = cluster.stack(name).await?;
    let of_stack =
        ListParams::default().fields(&format!("involvedObject.uid={}", stack.uid().unwrap_or_default()));
    let warnings = ListParams::default().fields("type=Warning");
    let (deployments, stateful_sets, pods, gateway, mut events, warnings) = tokio::try_join!(
        cluster.of_stack(name),
        cluster.of_stack(name),
        cluster.of_stack::<Pod>(name),
        gateway(cluster, name),
        cluster.list::<Event>(&of_stack),
        cluster.list::<Event>(&warnings),
    )?;
    // A pod's warnings say why it does not start; those of other stacks' pods are not ours.
    let of_pods = |event: &Event| {
        pods.iter().any(|pod| event.involved_object.uid.is_some() && pod.uid() == event.involved_object.uid)
    };
    events.extend(warnings.into_iter().filter(of_pods));
    Ok(Facts { stack, deployments, stateful_sets, pods, gateway, events })
}

async fn gateway(cluster: &Cluster, name: &str) -> Result<Option<GatewayConfig>, Error> {
    let object = names::object(name, names::API_GATEWAY);
    let found = cluster.api::<ConfigMap>().get_opt(&object).await;
    let found = found.map_err(Error::api(format!("read the ConfigMap {object}")))?;
    Ok(found.and_then(|map| serde_json::from_str(map.data?.get(GATEWAY_FILE)?).ok()))
}
