//! The gateway in a process of its own: `gateway --config FILE`, `gateway kubernetes`, `gateway healthcheck`.

use std::process::ExitCode;

use clap::Parser;
use gateway::command::Command;

fn main() -> ExitCode {
    match Command::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gateway: {error}");
            ExitCode::FAILURE
        }
    }
}
