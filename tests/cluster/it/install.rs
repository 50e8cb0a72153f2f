//! From nothing to the documented API and back to nothing, as docs/install.md says: with Helm and an Ingress, and with kubectl and a port of
//! the nodes. Only the registry is another one, as it is for everybody who has a registry of their own.

use std::time::Duration;

use blackbox::{Client, documented};
use cluster_tests::{
    Clinic, Cluster, Namespace, Operator, REGISTRY, RELEASE, Traefik, Traffic, eventually, repository,
};
use k8s_openapi::api::core::v1::{Node, Service};
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};

const HOST: &str = "clinic.example.org";
const RESOURCE: &str = "healthcarestack/clinic";

/// A certificate of the host that nobody but the test's own client trusts.
fn certificate(namespace: &Namespace) -> reqwest::Certificate {
    let made = rcgen::generate_simple_self_signed([HOST.to_owned()]).unwrap();
    let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": {"name": "clinic-tls"},
        "stringData": {"tls.crt": chain, "tls.key": key},
    });
    namespace.apply(&secret.to_string());
    reqwest::Certificate::from_pem(chain.as_bytes()).unwrap()
}

/// Values of the stack's chart: what a person writes, and what the images of this cluster need.
fn values(clinic: &Value) -> String {
    let spec = &clinic["spec"];
    json!({
        "host": HOST, "ingressClassName": Traefik::CLASS, "tlsSecretName": "clinic-tls", "deletionPolicy": "Delete",
        "spec": {"image": spec["image"], "database": spec["database"]},
    })
    .to_string()
}

#[tokio::test]
async fn with_helm_and_an_ingress_and_uninstalled_before_its_stack() {
    let cluster = Cluster::get();
    Operator::define().await;
    let operator = Operator::not_installed(Namespace::restricted("helm")).await;
    let namespace = &operator.namespace;
    // The definition is there already, for the other tests; whoever has none leaves --take-ownership out.
    operator.upgrade(&["--set=crd.install=true", "--take-ownership"]);
    operator.ready().await;
    cluster.helm(&["test", RELEASE, &format!("--namespace={}", namespace.name)]);
    let traefik = Traefik::start(namespace);
    let authority = certificate(namespace);

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("values.yaml");
    std::fs::write(&file, values(&operator.stack("clinic").resource())).unwrap();
    let (in_namespace, values) =
        (format!("--namespace={}", namespace.name), format!("--values={}", file.display()));
    cluster.helm(&["install", "clinic", "charts/healthcare-stack", &in_namespace, &values]);
    let clinic = Clinic::existing(&operator, "clinic");
    clinic.settled().await;
    cluster.helm(&["test", "clinic", &in_namespace]);

    let http = reqwest::Client::builder()
        .no_proxy()
        .add_root_certificate(authority)
        .resolve(HOST, traefik.address)
        .build()
        .unwrap();
    let anybody = Client::over(http, &format!("https://{HOST}:{}", traefik.address.port()));
    eventually("the gateway behind Traefik", Duration::from_secs(20), async || {
        match anybody.try_call("GET", "/readyz", None).await {
            Ok(reply) if reply.status == 200 => Ok(()),
            Ok(reply) => Err(format!("{}: {}", reply.status, reply.text)),
            Err(error) => Err(format!("{error:?}")),
        }
    })
    .await;
    let admin = anybody.sign_in("admin", &clinic.admin_password().await).await;
    documented::flow(&anybody, &admin).await;

    // Without the operator the stack runs on, and nothing hangs on it when it goes.
    assert!(clinic.resource().await.metadata.finalizers.is_some_and(|finalizers| !finalizers.is_empty()));
    let (running, traffic) = (clinic.running().await, Traffic::start(&clinic.admin().await, "/api/patients"));
    cluster.helm(&["uninstall", "healthcare-operator", &in_namespace, "--wait"]);
    tokio::time::sleep(Duration::from_secs(2)).await;
    traffic.stop_unharmed();
    assert_eq!(clinic.running().await, running);
    cluster.kubectl(&["get", "customresourcedefinition", "healthcarestacks.healthcarestack.dev"]);
    namespace.kubectl(&["delete", RESOURCE, "--timeout=60s"]);
    cluster.kubectl(&["delete", "namespace", &namespace.name, "--timeout=120s"]);
}

#[tokio::test]
async fn with_kubectl_and_a_port_of_the_nodes() {
    let cluster = Cluster::get();
    Operator::define().await;
    let folder = tempfile::tempdir().unwrap();
    let bundle = repository().join("manifests/install.yaml");
    std::fs::copy(&bundle, folder.path().join("install.yaml")).unwrap();
    let kustomization = format!(
        "resources: [install.yaml]\nimages: [{{name: ghcr.io/healthcare-stack/healthcare-operator, newName: {REGISTRY}/healthcare-operator}}]\n"
    );
    std::fs::write(folder.path().join("kustomization.yaml"), kustomization).unwrap();
    cluster.kubectl(&["apply", "--server-side", "--kustomize", folder.path().to_str().unwrap()]);
    let operator = Operator::not_installed(Namespace::existing("healthcare")).await;
    operator.ready().await;

    let node_port = json!({"gateway": {"service": {"type": "NodePort"}}});
    let clinic = operator.stack("clinic").with(node_port).ready().await;
    let service: Service = clinic.api().get(&clinic.object("api-gateway")).await.unwrap();
    let port = service.spec.unwrap().ports.unwrap()[0].node_port.unwrap();
    let nodes = Api::<Node>::all(clinic.client()).list(&ListParams::default()).await.unwrap();
    let addresses = nodes.items[0].status.as_ref().unwrap().addresses.as_ref().unwrap();
    let node = addresses.iter().find(|address| address.type_ == "InternalIP").unwrap();
    let anybody = Client::new(&format!("http://{}:{port}", node.address));
    let admin = anybody.sign_in("admin", &clinic.admin_password().await).await;
    documented::flow(&anybody, &admin).await;

    let running = clinic.running().await;
    let bundle = format!("--filename={}", bundle.display());
    cluster.kubectl(&["delete", &bundle, "--selector=app.kubernetes.io/component=operator", "--timeout=60s"]);
    assert!(operator.pods().await.iter().all(|pod| pod.metadata.deletion_timestamp.is_some()));
    assert_eq!(clinic.running().await, running);
    clinic.namespace().kubectl(&["delete", RESOURCE, "--timeout=60s"]);
}
