//! The command line, and what holds the process together: start, lead, run, stop.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use contracts::ambient::{Clock, Random};
use http_kit::healthcheck::healthcheck;
use http_kit::listen::listen;
use http_kit::telemetry::start_logging;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, Client};
use settings::{Address, LogFormat, Observability};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::controller::{self, Start};
use crate::health::Health;
use crate::leader::Candidate;
use crate::metrics::Metrics;
use crate::queue::Queue;
use crate::scope::Scope;
use crate::tracing_options::TracingOptions;
use crate::transport::{Fence, Signs, connect};
use crate::{Error, namespace, object_store, rbac, release};

/// The HealthcareStack operator.
#[derive(Debug, Parser)]
#[command(name = "healthcare-operator", version, about, args_conflicts_with_subcommands = true)]
pub struct Options {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: RunOptions,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Look after stacks. What is done if no command is given.
    Run(RunOptions),
    /// Print the CustomResourceDefinition.
    Crd,
    /// Print what the operator must be allowed, as Roles.
    Rbac {
        /// Whose stacks it is to look after.
        #[arg(long, value_enum, default_value = "namespaced")]
        scope: RbacScope,
    },
    /// Take the operator's finalizer off stacks, before the operator is uninstalled. Deletes nothing.
    Release {
        /// Yes, all of them.
        #[arg(long, required = true)]
        all: bool,
        #[command(flatten)]
        scope: ScopeOptions,
    },
    /// Ask a running operator whether it is ready.
    Healthcheck {
        /// Where `/readyz` answers.
        #[arg(long, default_value = "127.0.0.1:9464", value_name = "HOST:PORT")]
        listen: String,
    },
    /// Carry a backup to an object store, or from there. What the pods of backups and restores run.
    #[command(subcommand)]
    ObjectStore(object_store::Command),
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum RbacScope {
    /// A Role in each namespace with stacks.
    Namespaced,
    /// Everywhere: a `ClusterRole`, which may read and write every Secret of the cluster.
    All,
}

#[derive(Debug, Args)]
struct ScopeOptions {
    /// Namespaces with stacks, beside the operator's own.
    #[arg(long, value_delimiter = ',', env = "HEALTHCARE_OPERATOR_NAMESPACES")]
    namespaces: Vec<String>,
    /// Look after stacks everywhere. The operator must then be allowed to read and write every Secret of the cluster.
    #[arg(long, conflicts_with = "namespaces")]
    all_namespaces: bool,
}

#[derive(Debug, Args)]
struct RunOptions {
    #[command(flatten)]
    scope: ScopeOptions,
    /// What stacks run that name no version. Left out: the version of this program.
    #[arg(long)]
    stack_version: Option<String>,
    /// Where the Lease is that decides who leads. Left out: the operator's own namespace.
    #[arg(long)]
    lease_namespace: Option<String>,
    /// Whether replicas agree on who leads. Without it, run one only.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
    leader_elect: bool,
    /// Where `/livez`, `/readyz` and `/metrics` answer.
    #[arg(long, default_value = "[::]:9464")]
    metrics_listen: SocketAddr,
    /// This replica's name, in Events and in the Lease.
    #[arg(long, env = "POD_NAME", default_value = "healthcare-operator")]
    name: String,
    /// The image that pods run which carry backups to an object store: the operator's. Left out: that of its own pod, and outside of a cluster
    /// the one beside the stack's images.
    #[arg(long)]
    image: Option<String>,
    /// `error`, `warn`, `info`, `debug` or `trace`, or a filter such as `info,kube=debug`.
    #[arg(long, default_value = "info")]
    log_level: String,
    /// The shape of log lines.
    #[arg(long, value_enum, default_value = "json")]
    log_format: LogShape,
    #[command(flatten)]
    tracing: TracingOptions,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogShape {
    Json,
    Text,
}

/// The cluster's CA, as it is mounted into every pod that speaks to the API server.
const CA: &str = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt";
/// How often it is looked at.
const CA_EVERY: Duration = Duration::from_mins(1);

/// Does what the command line says. Writes results to `out`.
pub async fn run(options: Options, out: &mut impl std::io::Write) -> Result<(), Error> {
    let printing = Error::surroundings("printing");
    match options.command.unwrap_or(Command::Run(options.run)) {
        Command::Run(options) => Box::pin(operate(options)).await,
        Command::Crd => {
            let crd =
                stack::crd_yaml().map_err(|error| printing(std::io::Error::other(error.to_string())))?;
            out.write_all(crd.as_bytes()).map_err(Error::surroundings("printing"))
        }
        Command::Rbac { scope } => {
            out.write_all(roles(matches!(scope, RbacScope::All)).as_bytes()).map_err(printing)
        }
        Command::Healthcheck { listen } => healthcheck(&Address(listen)).map_err(|error| {
            Error::surroundings("the operator is not well")(std::io::Error::other(error.to_string()))
        }),
        Command::Release { scope, .. } => {
            let client = connect(&Metrics::new(), &Fence::default(), &Signs::default()).await?;
            let released = release::release(&client, &scope.resolve(&client)).await;
            for name in &released.stacks {
                writeln!(out, "{name} released").map_err(Error::surroundings("printing"))?;
            }
            released.whole().map(drop)
        }
        Command::ObjectStore(command) => Box::pin(object_store::run(command, out)).await,
    }
}

impl ScopeOptions {
    /// The operator's own namespace is always among them.
    fn resolve(self, client: &Client) -> Scope {
        if self.all_namespaces {
            return Scope::All;
        }
        let own = client.default_namespace().to_owned();
        Scope::Namespaces(self.namespaces.into_iter().filter(|it| !it.is_empty()).chain([own]).collect())
    }
}

async fn operate(options: RunOptions) -> Result<(), Error> {
    let log_format = match options.log_format {
        LogShape::Json => LogFormat::Json,
        LogShape::Text => LogFormat::Text,
    };
    start_logging(&Observability { log_level: options.log_level, log_format, tracing: None });
    let (metrics, fence, signs) = (Metrics::new(), Fence::default(), Signs::default());
    let client = connect(&metrics, &fence, &signs).await?;
    let tracer = options.tracing.tracer(client.default_namespace(), &Random::system())?;
    metrics.register_tracer(&tracer);
    let image = match options.image {
        Some(image) => Some(image),
        None => own_image(&client, &options.name).await,
    };
    let scope = options.scope.resolve(&client);
    let (queue, requests) = Queue::new(metrics.clone());
    let ready = Arc::new(AtomicBool::new(true));
    let listener = listen(options.metrics_listen)
        .and_then(TcpListener::from_std)
        .map_err(Error::surroundings(format!("listening at {}", options.metrics_listen)))?;
    let health = Health {
        metrics: metrics.clone(),
        signs: signs.clone(),
        queue: queue.clone(),
        ready: Arc::clone(&ready),
    };
    tokio::spawn(health.serve(listener));
    let (stop, stopped) = oneshot::channel::<()>();
    let mut asked_to_stop = std::pin::pin!(end());
    let lease_namespace = options.lease_namespace.unwrap_or_else(|| client.default_namespace().to_owned());
    let mut candidate = None;
    if options.leader_elect {
        // Who leads is decided by writing, which must not wait for itself: this client has no fence.
        let client = connect(&metrics, &Fence::default(), &signs).await?;
        let (clock, random) = (Clock::system(), Random::system());
        candidate =
            Some(Candidate::new(client, &lease_namespace, &options.name, clock, &random, fence.clone()));
    }
    if let Some(candidate) = &mut candidate {
        tracing::info!(?scope, "stands by");
        tokio::select! {
            () = candidate.lead() => {}
            ended = &mut asked_to_stop => return ended,
        }
    }
    tracing::info!(?scope, "leads");
    metrics.leads(true);
    ready.store(false, Ordering::Release);
    let (asking, own) = (client.clone(), client.default_namespace().to_owned());
    let start = Start {
        client,
        scope,
        queue,
        signs,
        metrics,
        tracer: tracer.clone(),
        host: options.name,
        stack_version: options.stack_version,
        image,
    };
    let listed = {
        let ready = Arc::clone(&ready);
        move || ready.store(true, Ordering::Release)
    };
    let mut running = std::pin::pin!(controller::run(start, requests, async { drop(stopped.await) }, listed));
    let lost = async {
        match &mut candidate {
            Some(candidate) => candidate.keep().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        ended = &mut running => return ended,
        error = lost => return Err(error),
        ended = &mut asked_to_stop => ended?,
    }
    tracing::info!("stops");
    drop(stop);
    if tokio::time::timeout(STOP_WITHIN, running).await.is_err() {
        tracing::warn!("some reconciles did not come to their end");
    }
    let_go(&asking, own).await;
    tracer.flush().await;
    if let Some(candidate) = &mut candidate {
        candidate.release().await;
    }
    Ok(())
}

/// If the operator ends because its namespace does, nobody will come who could see to the stacks in it.
async fn let_go(client: &Client, own: String) {
    if !namespace::is_ending(client, &own).await {
        return;
    }
    match release::release(client, &Scope::Namespaces([own].into())).await.whole() {
        Ok(released) => {
            tracing::info!(?released, "the namespace is on its way out: its stacks are let go");
        }
        Err(error) => {
            tracing::warn!(%error, "the namespace is on its way out, and not all of its stacks could be let go");
        }
    }
}

/// What our own pod runs, however it was installed: a chart, a bundle whose images somebody has replaced, a digest.
async fn own_image(client: &Client, pod: &str) -> Option<String> {
    let ours = ListParams::default().fields(&format!("metadata.name={pod}"));
    let pods = Api::<Pod>::default_namespaced(client.clone()).list(&ours).await;
    let pods = pods.inspect_err(|error| tracing::warn!(%error, "the operator's own image is not known"));
    let containers = pods.ok()?.items.into_iter().next()?.spec?.containers;
    // Others may have been put beside it.
    let ours = containers.iter().find(|container| container.name == CONTAINER).or(containers.first())?;
    ours.image.clone()
}

/// What the chart calls the operator's container.
const CONTAINER: &str = "operator";

/// Kubernetes gives thirty seconds; some are left for the Lease.
const STOP_WITHIN: Duration = Duration::from_secs(20);

/// Returns when the process should end: it is asked to, or the cluster's CA has changed, which a client reads only when it is made. Tokens
/// it reads anew by itself, every minute.
async fn end() -> Result<(), Error> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .map_err(Error::surroundings("listening for signals"))?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted.map_err(Error::surroundings("listening for signals")),
        _ = terminate.recv() => Ok(()),
        () = changed(Path::new(CA), CA_EVERY) => {
            tracing::info!("the cluster's CA has changed");
            Ok(())
        }
    }
}

/// Returns when a file's content has changed. A file that is not there never does.
async fn changed(path: &Path, every: Duration) {
    let Ok(first) = tokio::fs::read(path).await else { return std::future::pending().await };
    loop {
        tokio::time::sleep(every).await;
        if tokio::fs::read(path).await.is_ok_and(|now| now != first) {
            return;
        }
    }
}

/// Roles as YAML: `healthcare-operator-stacks` for where stacks are, `healthcare-operator` for its own namespace, and what has no namespace.
fn roles(everywhere: bool) -> String {
    let rbac::Permissions { stacks, own, cluster } = rbac::permissions();
    let role = |kind: &str, name: &str, rules| {
        serde_json::json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": kind,
            "metadata": {"name": name},
            "rules": rules,
        })
    };
    let everywhere = if everywhere { "ClusterRole" } else { "Role" };
    let mut yaml = String::new();
    for role in [
        role(everywhere, "healthcare-operator-stacks", stacks),
        role("Role", "healthcare-operator", own),
        role("ClusterRole", "healthcare-operator", cluster),
    ] {
        yaml.push_str("---\n");
        yaml.push_str(&serde_saphyr::to_string(&role).unwrap_or_default());
    }
    yaml
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Options::command().debug_assert();
        for line in [
            "healthcare-operator",
            "healthcare-operator --namespaces a,b --leader-elect false",
            "healthcare-operator run --all-namespaces",
            "healthcare-operator --tracing-endpoint http://c:4318 --tracing-header a=b/c --tracing-header d=e/f",
            "healthcare-operator crd",
            "healthcare-operator rbac --scope all",
            "healthcare-operator release --all --namespaces a",
        ] {
            Options::try_parse_from(line.split(' ')).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
        assert!(Options::try_parse_from(["healthcare-operator", "release"]).is_err(), "not without --all");
        let without = ["healthcare-operator", "--tracing-endpoint", "http://c:4318", "--tracing-header", "a"];
        assert!(Options::try_parse_from(without).is_err(), "a header has a value");
    }

    /// The name by which the operator finds itself in its pod.
    #[test]
    fn the_chart_calls_the_operators_container_so() {
        let chart = include_str!("../../charts/healthcare-operator/templates/deployment.yaml");
        assert!(chart.contains(&format!("containers:\n        - name: {CONTAINER}\n")));
    }

    #[test]
    fn secrets_everywhere_are_only_in_the_scope_that_says_so() {
        let mut kinds = roles(false);
        assert!(kinds.contains("kind: Role\nmetadata:\n  name: healthcare-operator-stacks"), "{kinds}");
        kinds = roles(true);
        assert!(
            kinds.contains("kind: ClusterRole\nmetadata:\n  name: healthcare-operator-stacks"),
            "{kinds}"
        );
    }

    #[tokio::test]
    async fn a_changed_file_is_noticed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ca.crt");
        std::fs::write(&path, "one").expect("written");
        let mut noticed = std::pin::pin!(changed(&path, Duration::from_millis(5)));
        assert!(tokio::time::timeout(Duration::from_millis(30), &mut noticed).await.is_err());
        std::fs::write(&path, "two").expect("written");
        tokio::time::timeout(Duration::from_secs(5), noticed).await.expect("noticed");
    }
}
