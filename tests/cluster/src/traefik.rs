//! [`Traefik`]: a real Ingress controller and a real implementation of the Gateway API, at work for one namespace.
//!
//! It runs on this machine beside the cluster, and reads Ingresses, routes, Services and their endpoints from the API server as it would in
//! a pod.

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};

use serde_json::json;

use crate::cluster::Cluster;
use crate::namespace::Namespace;

/// A Traefik. It ends with this handle, or with the test process.
#[derive(Debug)]
pub struct Traefik {
    /// Where it takes connections: with TLS for Ingresses, without for routes.
    pub address: SocketAddr,
    process: Child,
}

impl Traefik {
    /// The Ingress class of all of them.
    pub const CLASS: &str = "traefik";
    /// The Gateway that takes routes.
    pub const GATEWAY: &str = "public";

    /// One that looks after the Ingresses of a namespace.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start(namespace: &Namespace) -> Self {
        namespace.apply(&format!(
            "{{apiVersion: networking.k8s.io/v1, kind: IngressClass, metadata: {{name: {}}}, spec: {{controller: traefik.io/ingress-controller}}}}",
            Self::CLASS
        ));
        let address = free_address();
        let namespaces = format!("--providers.kubernetesingress.namespaces={}", namespace.name);
        let arguments = [
            "--entrypoints.public.http.tls=true",
            "--providers.kubernetesingress=true",
            "--providers.kubernetesingress.ingressendpoint.ip=127.0.0.1",
            &namespaces,
        ];
        Self::run(address, &arguments)
    }

    /// One that looks after the routes of a namespace, which has a Gateway then. The cluster must know the Gateway API.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start_gateway(namespace: &Namespace) -> Self {
        let address = free_address();
        let class = json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass", "metadata": {"name": Self::CLASS},
            "spec": {"controllerName": "traefik.io/gateway-controller"},
        });
        let gateway = json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": Self::GATEWAY},
            "spec": {
                "gatewayClassName": Self::CLASS,
                // Traefik finds the entry point by the port.
                "listeners": [{"name": "web", "protocol": "HTTP", "port": address.port()}],
            },
        });
        namespace.apply(&json!({"apiVersion": "v1", "kind": "List", "items": [class, gateway]}).to_string());
        let namespaces = format!("--providers.kubernetesgateway.namespaces={}", namespace.name);
        Self::run(address, &["--providers.kubernetesgateway=true", &namespaces])
    }

    fn run(address: SocketAddr, arguments: &[&str]) -> Self {
        let cluster = Cluster::get();
        // The kernel ends it if we do not come to that.
        let process = Command::new("setpriv")
            .arg("--pdeathsig=KILL")
            .arg(cluster.tool("traefik").get_program())
            .env("KUBECONFIG", cluster.kubeconfig())
            .arg(format!("--entrypoints.public.address={address}"))
            .args(arguments)
            .args([
                "--global.checknewversion=false",
                "--global.sendanonymoususage=false",
                "--log.level=FATAL",
            ])
            .stdin(Stdio::null())
            .spawn()
            .expect("traefik starts: `cluster build traefik` gets it");
        Self { address, process }
    }
}

fn free_address() -> SocketAddr {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    free.expect("a free port")
}

impl Drop for Traefik {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
