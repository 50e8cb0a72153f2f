//! `open`: the gateway on this machine, through the API server. Each connection goes to a pod that is ready then, so that a rollout is not
//! noticed.

use std::io::IsTerminal;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt};
use settings::GATEWAY_PORT;
use stack::names;
use tokio::net::{TcpListener, TcpStream};

use crate::Answer;
use crate::cluster::Cluster;
use crate::error::Error;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The stack's name
    name: String,
    /// The port on this machine; 0: any that is free
    #[arg(long, default_value_t = GATEWAY_PORT)]
    port: u16,
    /// Do not start a browser
    #[arg(long)]
    no_browser: bool,
}

pub(crate) async fn run(cluster: &Cluster, options: &Options) -> Result<Answer, Error> {
    let stack = cluster.stack(&options.name).await?;
    ready_pod(cluster, &options.name).await?;
    let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, options.port));
    let listener =
        TcpListener::bind(wanted).await.map_err(|source| Error::Listen { address: wanted, source })?;
    let tls = stack.spec.gateway.as_ref().is_some_and(|gateway| gateway.tls.is_some());
    let scheme = if tls { "https" } else { "http" };
    let url = format!("{scheme}://{}/api/docs", listener.local_addr()?);
    println!("{} answers at {url} until Ctrl-C", options.name);
    if !options.no_browser && std::io::stdout().is_terminal() {
        browse(&url);
    }
    tokio::select! {
        ended = serve(cluster, &options.name, &listener) => ended,
        stopped = tokio::signal::ctrl_c() => Ok(stopped?),
    }?;
    Ok(Answer::Yes)
}

async fn serve(cluster: &Cluster, stack: &str, listener: &TcpListener) -> Result<(), Error> {
    loop {
        let (connection, _) = listener.accept().await?;
        // No pod just now: the connection is closed, and the next one tries again.
        match ready_pod(cluster, stack).await {
            Ok(pod) => drop(tokio::spawn(forward(cluster.api(), pod, connection))),
            Err(error) => eprintln!("{error}"),
        }
    }
}

async fn forward(pods: Api<Pod>, pod: String, mut connection: TcpStream) {
    let forwarded = async {
        let mut forwarder = pods.portforward(&pod, &[GATEWAY_PORT]).await?;
        if let Some(mut stream) = forwarder.take_stream(GATEWAY_PORT) {
            // Either side may hang up at any time; that is no fault.
            let _ = tokio::io::copy_bidirectional(&mut connection, &mut stream).await;
        }
        Ok::<_, kube::Error>(())
    };
    if let Err(error) = forwarded.await {
        eprintln!("{}", Error::api(format!("forward to {pod}"))(error));
    }
}

async fn ready_pod(cluster: &Cluster, stack: &str) -> Result<String, Error> {
    let pods = cluster.pods(stack, names::API_GATEWAY).await?;
    let ready = pods.iter().find(|pod| is_ready(pod));
    ready.map(ResourceExt::name_any).ok_or_else(|| {
        Error::Missing(format!(
            "no pod of the gateway is ready; `kubectl healthcare status {stack}` tells more"
        ))
    })
}

fn is_ready(pod: &Pod) -> bool {
    let mut conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    pod.metadata.deletion_timestamp.is_none()
        && conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// Where there is no browser, the address has been printed.
fn browse(url: &str) {
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let _ = Command::new(opener)
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
}
