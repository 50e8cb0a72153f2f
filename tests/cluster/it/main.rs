//! On a real Kubernetes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says so by failing")]

mod compose;
mod images;
mod ready;
