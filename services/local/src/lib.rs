//! A whole `HealthcareStack` in one process: the seven services and the gateway on an embedded database, or on PostgreSQL.
//!
//! | module | idea |
//! |---|---|
//! | [`args`] | the command line |
//! | [`database_url`] | which PostgreSQL, and how its password comes here |
//! | [`data`] | the data folder: its lock, its secrets, where things lie |
//! | [`compose`] | settings and secrets for `docker-compose.yml` |
//! | [`up`] | everything started in order, and stopped |
//! | [`reload`] | the resource read again whenever its file changes |
//! | `edit` | what became of a change, in a line |
//! | [`rotate`] | another key-encryption key for a folder at rest |
//! | [`demo`] | an invented clinic to look at |
//!
//! What each part is told is planned in the `stack` crate, the same as on Kubernetes. Nothing is decided here a second time.

pub mod args;
pub mod compose;
pub mod data;
pub mod database_url;
pub mod demo;
mod edit;
mod fault;
pub mod reload;
pub mod rotate;
mod secret_files;
pub mod up;

pub use args::Command;
pub use fault::Fault;

/// Does what the command line asks for.
pub fn run(command: Command) -> Result<(), Fault> {
    match command {
        Command::Up(up) => on_runtime(up::up(up)),
        Command::RotateKek(args) => on_runtime(rotate::rotate_kek(args)),
        Command::Compose { stack, out } => {
            compose::render(&reload::read(&stack)?.stack, &out, &contracts::ambient::Random::system())?;
            println!("{}: written. `docker compose up` starts the stack.", out.display());
            Ok(())
        }
        Command::Check { stack } => {
            let stack = reload::read(&stack)?.stack;
            println!("{}: valid", stack.name);
            Ok(())
        }
    }
}

fn on_runtime(work: impl Future<Output = Result<(), Fault>>) -> Result<(), Fault> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Fault::failed(format!("no runtime: {error}")))?
        .block_on(work)
}
