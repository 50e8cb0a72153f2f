//! The documented API on a cluster: every call of the user's document, through the gateway's `ClusterIP`.

use blackbox::documented;
use cluster_tests::Clinic;

#[tokio::test]
async fn every_documented_call_is_answered_as_documented_at_the_cluster_ip() {
    let clinic = Clinic::new("documented").await.ready().await;
    documented::flow(&clinic.anybody().await, &clinic.admin().await).await;
}
