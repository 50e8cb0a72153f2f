//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::{backup, diff, first_admin, logs, open, restore, rotate, status};

/// Looks at healthcare stacks, and does what YAML cannot say.
///
/// Exit codes: 0 yes or done; 1 no (`status`: not ready; `diff`: differences); 2 could not.
#[derive(Debug, Parser)]
#[command(name = "kubectl healthcare", bin_name = "kubectl healthcare", version)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Which cluster, and where in it.
#[derive(Debug, Args)]
pub(crate) struct Connection {
    /// The stack's namespace. Left out: the context's.
    #[arg(short, long, global = true)]
    pub(crate) namespace: Option<String>,
    /// The kubeconfig's context. Left out: the current one.
    #[arg(long, global = true)]
    pub(crate) context: Option<String>,
    /// The kubeconfig file. Left out: $KUBECONFIG, else ~/.kube/config.
    #[arg(long, global = true)]
    pub(crate) kubeconfig: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// How a stack is: services, rollouts, routes, conditions, events
    Status(status::Options),
    /// What its pods log
    Logs(logs::Options),
    /// Reach its gateway from this machine
    Open(open::Options),
    /// Take a backup now
    Backup(backup::Options),
    /// Write a new stack that is filled from a stack's backup
    Restore(restore::Options),
    /// Replace keys, step by step, without a failed request
    RotateKeys(rotate::Options),
    /// What a changed file would change in the cluster
    Diff(diff::Options),
    /// The first administrator's name and password
    FirstAdmin(first_admin::Options),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_namespace_may_stand_before_and_after_the_subcommand() {
        for line in ["-n clinic status main", "status main -n clinic", "status --namespace=clinic main"] {
            let cli =
                Cli::try_parse_from(["kubectl-healthcare"].into_iter().chain(line.split(' '))).expect(line);
            assert_eq!(cli.connection.namespace.as_deref(), Some("clinic"), "{line}");
        }
    }
}
