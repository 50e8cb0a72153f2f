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
//! | [`audit`] | the audit of all services verified |
//! | [`rotate`] | another key-encryption key, while the stack runs or not |
//! | [`signing_keys`] | another key that users' tokens are signed with |
//! | [`demo`] | an invented clinic to look at |
//!
//! What each part is told is planned in the `stack` crate, the same as on Kubernetes. Nothing is decided here a second time.

pub mod args;
pub mod audit;
pub mod compose;
pub mod data;
pub mod database_url;
pub mod demo;
mod edit;
mod fault;
pub mod reload;
pub mod rotate;
mod secret_files;
pub mod signing_keys;
pub mod up;

pub use args::Command;
use contracts::ambient::{Clock, Random};
pub use fault::Fault;

/// Does what the command line asks for.
pub fn run(command: Command) -> Result<(), Fault> {
    match command {
        Command::Up(up) => on_runtime(up::up(up)),
        Command::RotateKek(args) => on_runtime(rotate::rotate_kek(args)),
        Command::Audit(args) => on_runtime(audit::audit(args)),
        Command::RotateSigningKey(args) => signing_keys::rotate_signing_key(&args),
        Command::Compose { stack, out, renew } => {
            let (clock, random) = (Clock::system(), Random::system());
            compose::render(&reload::read(&stack)?.stack, &out, &random, &clock)?;
            if renew {
                println!(
                    "Another CA, and certificates of it: this takes ten seconds, and no connection breaks."
                );
                compose::renew(&out, &clock)?;
            } else if compose::is_renewal_due(&out, &clock)? {
                println!(
                    "The CA of the containers' certificates ends in two years: have another take its place, by --renew."
                );
            }
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
