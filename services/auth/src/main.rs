//! The auth service as a process of its own.

fn main() -> std::process::ExitCode {
    http_kit::process::main(auth::SERVICE)
}
