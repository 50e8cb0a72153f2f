//! On a real Kubernetes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says so by failing")]

mod backup;
mod blocked;
mod compose;
mod deletion;
mod drift;
mod external;
mod images;
mod install;
mod kek;
mod keys;
mod kill;
mod live;
mod network_policy;
mod object_store;
mod operator;
mod ready;
mod refused;
mod rest;
mod rotation;
mod status;
mod version;
