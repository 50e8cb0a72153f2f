//! `healthcare`: a whole `HealthcareStack` in one process.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let command = local::Command::parse();
    let done = local::run(command);
    http_kit::telemetry::flush_log();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("healthcare: {fault}");
            ExitCode::from(fault.exit_code())
        }
    }
}
