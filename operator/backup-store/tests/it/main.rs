//! Backups in a real object store, which verifies signatures and digests: there, back, and what happens when something goes wrong on the way.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says so by failing")]

mod broken;
mod keys;
mod refused;
mod there_and_back;
mod world;
