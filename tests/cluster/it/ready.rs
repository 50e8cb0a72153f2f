//! The cluster itself: what later tests take for granted.

use std::time::Duration;

use cluster_tests::{Cluster, Namespace, eventually};
use k8s_openapi::api::core::v1::{Node, Service};
use kube::Api;
use kube::api::ListParams;

#[tokio::test]
async fn its_node_is_ready_and_runs_the_kubernetes_that_we_name() {
    let nodes: Api<Node> = Api::all(Cluster::get().client().await);
    let nodes = nodes.list(&ListParams::default()).await.unwrap();
    let status = nodes.items[0].status.clone().unwrap();
    assert!(
        status
            .conditions
            .unwrap()
            .iter()
            .any(|condition| condition.type_ == "Ready" && condition.status == "True")
    );
    assert_eq!(status.node_info.unwrap().kubelet_version, "v1.34.4");
}

/// A volume from the default storage class, a Service by its name from another pod, and by its address from here.
#[tokio::test]
async fn a_pod_has_a_volume_and_is_reached_by_its_service() {
    let namespace = Namespace::new("ready");
    namespace.apply(include_str!("web.yaml"));
    namespace.ready_pod("web", Duration::from_mins(1)).await;

    let from_a_pod =
        namespace.kubectl(&["exec", "web", "--", "wget", "-qO-", "http://web.ready.svc.cluster.local"]);
    assert_eq!(from_a_pod, "from a volume\n");

    let service = namespace.api::<Service>().await.get("web").await.unwrap();
    let address = service.spec.unwrap().cluster_ip.unwrap();
    let from_here = eventually("an answer at the ClusterIP", Duration::from_secs(10), async || {
        reqwest::get(format!("http://{address}")).await?.text().await
    })
    .await;
    assert_eq!(from_here, "from a volume\n");
}
