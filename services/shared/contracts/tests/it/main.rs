//! Operations as a whole, and the clients that call them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod client;
mod operations;
mod secrets;
