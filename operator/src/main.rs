//! `healthcare-operator`: see [`operator`].

use std::process::ExitCode;

use clap::Parser;
use operator::cli::{Options, run};

#[tokio::main]
async fn main() -> ExitCode {
    // On the heap: it is large, and there is one.
    match Box::pin(run(Options::parse(), &mut std::io::stdout().lock())).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("healthcare-operator: {error}");
            ExitCode::FAILURE
        }
    }
}
