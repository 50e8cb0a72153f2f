//! On a real Kubernetes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says so by failing")]

mod backup;
mod blocked;
mod charts;
mod cloud_native_pg;
mod compose;
mod definition;
mod deletion;
mod drift;
mod external;
mod images;
mod install;
mod internal_tls;
mod kek;
mod keys;
mod kill;
mod leader;
mod live;
mod network_policy;
mod object_store;
mod operator;
mod plugin;
mod ready;
mod refused;
mod rest;
mod rights;
mod rotation;
mod route;
mod schedule;
mod scope;
mod status;
mod upgrade;
mod version;
