//! The gateway by itself: `gateway --config FILE --listen ADDR`.

use std::process::ExitCode;

use clap::Parser;
use gateway::standalone::{Options, run};

fn main() -> ExitCode {
    match run(Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gateway: {error}");
            ExitCode::FAILURE
        }
    }
}
