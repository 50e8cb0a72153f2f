//! [`Traefik`]: a real Ingress controller, at work for one namespace.
//!
//! It runs on this machine beside the cluster, and reads Ingresses, Services and their endpoints from the API server as it would in a pod.

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};

use crate::cluster::Cluster;
use crate::namespace::Namespace;

/// An Ingress controller. It ends with this handle, or with the test process.
#[derive(Debug)]
pub struct Traefik {
    /// Where it takes TLS connections.
    pub address: SocketAddr,
    process: Child,
}

impl Traefik {
    /// The Ingress class of all of them.
    pub const CLASS: &str = "traefik";

    /// One that looks after the Ingresses of a namespace.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start(namespace: &Namespace) -> Self {
        let cluster = Cluster::get();
        namespace.apply(&format!(
            "{{apiVersion: networking.k8s.io/v1, kind: IngressClass, metadata: {{name: {}}}, spec: {{controller: traefik.io/ingress-controller}}}}",
            Self::CLASS
        ));
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let address = free.expect("a free port");
        // The kernel ends it if we do not come to that.
        let process = Command::new("setpriv")
            .arg("--pdeathsig=KILL")
            .arg(cluster.tool("traefik").get_program())
            .env("KUBECONFIG", cluster.kubeconfig())
            .arg(format!("--entrypoints.websecure.address={address}"))
            .arg("--entrypoints.websecure.http.tls=true")
            .arg(format!("--providers.kubernetesingress.namespaces={}", namespace.name))
            .args([
                "--providers.kubernetesingress=true",
                "--providers.kubernetesingress.ingressendpoint.ip=127.0.0.1",
            ])
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

impl Drop for Traefik {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
