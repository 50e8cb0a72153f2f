//! The gateway of a stack on a cluster: `gateway kubernetes`.
//!
//! Its configuration is the key `gateway.json` of one ConfigMap, and in place of each Service that an upstream names stand the pods in
//! its EndpointSlices. Both are watched: a change is in force as soon as the API server tells of it. While the API server is away
//! nothing changes; a configuration that is not valid is refused, and what runs stays.
//!
//! | file | idea |
//! |---|---|
//! | `endpoints.rs` | pure: slices and a configuration come to a configuration with pods in it |
//! | `collection.rs` | one collection listed and watched, for ever, whatever the API server does |
//! | `follow.rs` | what is heard, put together and applied |
//!
//! It reads, and writes nothing. Its ServiceAccount needs `get`, `list` and `watch` on that one ConfigMap by its name, and `list` and
//! `watch` on `endpointslices.discovery.k8s.io` of its namespace.

mod collection;
mod endpoints;
mod follow;

use http_kit::stop::Signals;

use crate::Error;
use crate::process::{Process, Serving};

/// Where the gateway itself is, so that it can prefer pods of its own zone. Without it all zones are alike. From the environment, since an
/// operator may be newer than the gateway that it starts.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Place {
    /// The node that it runs on (`spec.nodeName`). What the EndpointSlices say of pods on it, its own among them, tells its zone.
    #[arg(long, env = "HEALTHCARE_NODE")]
    pub(crate) node: Option<String>,
}

/// Serve on Kubernetes.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The namespace of the ConfigMap and of the Services.
    #[arg(long)]
    namespace: String,
    /// The ConfigMap with a `GatewayConfig` as its key `gateway.json`.
    #[arg(long)]
    config_map: String,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    serving: Serving,
}

/// Runs until SIGTERM or Ctrl-C.
pub(crate) async fn run(options: Options) -> Result<(), Error> {
    let mut signals = Signals::listen()?;
    let process = Process::begin(&options.serving)?;
    let work = follow::follow(&process, &options.namespace, &options.config_map, &options.place);
    // What the API server's answers need is large, and lies better on the heap.
    process.run(&mut signals, Box::pin(work)).await
}
