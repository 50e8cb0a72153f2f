//! One part of a stack in a process of its own, whichever `HEALTHCARE_PART` names: what the eight binaries do, in one. For tests, which need
//! several processes and want to link one program.

use std::process::ExitCode;

use clap::Parser;

#[expect(clippy::disallowed_methods, reason = "a process's own environment, read by its main function")]
fn main() -> ExitCode {
    let name = std::env::var("HEALTHCARE_PART").unwrap_or_default();
    if name == settings::GATEWAY_NAME {
        return match gateway::command::Command::parse().run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("gateway: {error}");
                ExitCode::FAILURE
            }
        };
    }
    let Some(service) = local::up::SERVICES.into_iter().find(|service| service.name.as_str() == name) else {
        eprintln!("HEALTHCARE_PART must name a part of the stack");
        return ExitCode::FAILURE;
    };
    http_kit::process::main(service)
}
