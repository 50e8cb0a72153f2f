//! Files that stand beside the program, and parts of a stack as processes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says so by failing")]

mod compose;
mod forgery;
mod parts;
mod revocations;
