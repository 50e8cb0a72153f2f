//! Files that stand beside the program; all services together.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says so by failing")]

mod canaries;
mod compose;
