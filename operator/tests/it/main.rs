//! What the operator plans, carried out by the programs that it is planned for.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says so by failing")]

mod alerts;
mod database;
mod server;
mod silence;
