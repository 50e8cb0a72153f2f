//! The binary's command line.

use http_kit::healthcheck::healthcheck;
use http_kit::telemetry::flush_log;
use settings::Address;

use crate::{Error, kubernetes, standalone};

/// The gateway of a healthcare stack: from a file, or on Kubernetes.
#[derive(Debug, clap::Parser)]
#[command(
    name = "gateway",
    version,
    about,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
pub struct Command {
    #[command(subcommand)]
    subcommand: Option<Subcommand>,
    #[command(flatten)]
    standalone: standalone::Options,
}

#[derive(Debug, clap::Subcommand)]
enum Subcommand {
    /// Serve on Kubernetes: configuration from a ConfigMap, endpoints from the Services' EndpointSlices, both watched.
    Kubernetes(Box<kubernetes::Options>),
    /// Ask a running gateway whether it is ready, at its admin address.
    Healthcheck {
        /// Where to ask instead: where it listens, if that is without TLS, or the Service it is behind.
        #[arg(long, default_value = "127.0.0.1:9464", value_name = "HOST:PORT")]
        listen: String,
    },
}

impl Command {
    /// Does what the command line asks for.
    pub fn run(self) -> Result<(), Error> {
        let done = self.carry_out();
        flush_log();
        done
    }

    fn carry_out(self) -> Result<(), Error> {
        match self.subcommand {
            None => on_runtime(standalone::run(self.standalone)),
            Some(Subcommand::Kubernetes(options)) => on_runtime(kubernetes::run(*options)),
            Some(Subcommand::Healthcheck { listen }) => Ok(healthcheck(&Address(listen))?),
        }
    }
}

fn on_runtime(work: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
    // Requests have threads of their own; what is left is little.
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Command::command().debug_assert();
    }

    #[test]
    fn a_file_needs_no_subcommand_and_a_subcommand_no_file() {
        let parse = |line: &str| Command::try_parse_from(line.split(' '));
        assert!(parse("gateway --config a.yaml --admin-listen 127.0.0.1:9464").unwrap().subcommand.is_none());
        let kubernetes =
            "gateway kubernetes --namespace clinic --config-map clinic-api-gateway --listen 0.0.0.0:8080";
        assert!(matches!(parse(kubernetes).unwrap().subcommand, Some(Subcommand::Kubernetes(_))));
        assert!(matches!(
            parse("gateway healthcheck").unwrap().subcommand,
            Some(Subcommand::Healthcheck { .. })
        ));
        for wrong in [
            "gateway --listen 127.0.0.1:1",
            "gateway kubernetes --namespace clinic",
            "gateway --config a healthcheck",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
