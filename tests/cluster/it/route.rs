//! By an `HTTPRoute` of the Gateway API, through a Gateway that takes it: the documented API. The Gateway API is installed while the operator
//! runs, and noticed.

use std::time::Duration;

use blackbox::{Client, documented};
use cluster_tests::{Clinic, Cluster, Traefik, definitions, eventually};
use serde_json::json;
use stack::condition::{kind, reason};
use stack::spec::ConditionStatus;

const HOST: &str = "clinic.example.org";
const SOON: Duration = Duration::from_secs(20);
/// The operator asks every minute what the cluster knows.
const NOTICED_IN: Duration = Duration::from_secs(90);

#[tokio::test]
async fn a_stack_is_reached_by_a_route_as_soon_as_the_cluster_knows_routes() {
    let kinds = format!("--filename={}", definitions("sigs.k8s.io/gateway-api").display());
    Cluster::get().kubectl(&["delete", &kinds, "--ignore-not-found"]);
    let clinic = Clinic::new("route").await.ready().await;
    let running = clinic.running().await;
    let ingress = json!({"host": HOST, "parentRefs": [{"name": Traefik::GATEWAY, "sectionName": "web"}]});
    clinic.edit(json!({"spec": {"gateway": {"ingress": ingress}}})).await;
    let condition = clinic.says(kind::READY, reason::KIND_MISSING, SOON).await;
    assert_eq!(condition.status, ConditionStatus::False);
    for words in ["spec.gateway.ingress.parentRefs", "HTTPRoute (gateway.networking.k8s.io/v1)", "Install it"]
    {
        assert!(condition.message.contains(words), "{}", condition.message);
    }
    assert_eq!(clinic.running().await, running, "it did harm");

    Cluster::get().kubectl(&["apply", "--server-side", &kinds]);
    let traefik = Traefik::start_gateway(clinic.namespace());
    eventually("the operator to notice", NOTICED_IN, async || match clinic.condition(kind::READY).await {
        Some(ready) if ready.status == ConditionStatus::True => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    clinic.settled().await;
    let accepted = "--output=jsonpath={.status.parents[*].conditions[?(@.type==\"Accepted\")].status}";
    eventually("a Gateway that takes the route", SOON, async || {
        let said = clinic.namespace().ask(&["get", "httproute", "clinic-api-gateway", accepted]);
        if said == "True" { Ok(()) } else { Err(said) }
    })
    .await;

    let http = reqwest::Client::builder().no_proxy().resolve(HOST, traefik.address).build().unwrap();
    let anybody = Client::over(http, &format!("http://{HOST}:{}", traefik.address.port()));
    eventually("the gateway behind Traefik", SOON, async || {
        match anybody.try_call("GET", "/readyz", None).await {
            Ok(reply) if reply.status == 200 => Ok(()),
            Ok(reply) => Err(format!("{}: {}", reply.status, reply.text)),
            Err(error) => Err(format!("{error:?}")),
        }
    })
    .await;
    let admin = anybody.sign_in("admin", &clinic.admin_password().await).await;
    documented::flow(&anybody, &admin).await;

    // What is not wanted any more goes, and the way is closed.
    clinic.edit(json!({"spec": {"gateway": {"ingress": null}}})).await;
    eventually("no route", SOON, async || {
        let said = clinic.namespace().ask(&["get", "httproutes", "--output=name"]);
        if said.is_empty() { Ok(()) } else { Err(said) }
    })
    .await;
    clinic.settled().await;
}
