//! The medical records service as a process of its own.

fn main() -> std::process::ExitCode {
    http_kit::process::main(records::SERVICE)
}
