//! `kubectl healthcare`: looks at stacks, and does what YAML cannot say.
//!
//! Each subcommand is a file. What the operator plans is asked of the operator's own planner, what objects are called of `stack::names`:
//! nothing is decided here a second time. Exit codes are grep's: 0 yes or done, 1 no (not ready, differences), 2 could not.

mod age;
mod backup;
mod cli;
mod cluster;
mod diff;
mod error;
mod first_admin;
mod logs;
mod open;
mod restore;
mod rotate;
mod status;
mod style;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};
use cluster::Cluster;
use error::Error;

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(Answer::Yes) => ExitCode::SUCCESS,
        Ok(Answer::No) => ExitCode::from(1),
        // Whoever reads our output has read enough: `status clinic | head -1`.
        Err(Error::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

/// What a subcommand found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// It is so, or it is done.
    Yes,
    /// It is not so.
    No,
}

impl From<bool> for Answer {
    fn from(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
}

#[tokio::main]
async fn run(cli: Cli) -> Result<Answer, Error> {
    let cluster = Cluster::connect(&cli.connection).await?;
    match cli.command {
        Command::Status(options) => Box::pin(status::run(&cluster, &options)).await,
        Command::Logs(options) => logs::run(&cluster, &options).await,
        Command::Open(options) => Box::pin(open::run(&cluster, &options)).await,
        Command::Backup(options) => backup::run(&cluster, &options).await,
        Command::Restore(options) => Box::pin(restore::run(&cluster, &options)).await,
        Command::RotateKeys(options) => rotate::run(&cluster, &options).await,
        Command::Diff(options) => Box::pin(diff::run(&cluster, &options)).await,
        Command::FirstAdmin(options) => first_admin::run(&cluster, &options).await,
    }
}
