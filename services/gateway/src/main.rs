//! The gateway in a process of its own: `gateway --config FILE`, `gateway kubernetes`, `gateway healthcheck`.

use std::process::ExitCode;

use clap::Parser;
use gateway::command::Command;
use mimalloc::MiMalloc;

/// What a connection needed while it had a request goes back to the system when it rests. glibc's allocator keeps most of it, since what is
/// still in use lies between: see docs/adr/0010-a-thread-a-processor.md.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    match Command::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gateway: {error}");
            ExitCode::FAILURE
        }
    }
}
