//! Files that stand beside the program, parts of a stack as processes, and what holds of all services together.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says so by failing")]

mod audit;
mod audit_reading;
mod audit_verification;
mod canaries;
mod compose;
mod erasure;
mod export;
mod forgery;
mod parts;
mod retention;
mod revocations;
