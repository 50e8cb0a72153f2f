//! The operator: makes what a `HealthcareStack` says true on Kubernetes, and keeps it so.
//!
//! ```text
//! fetch ─> validate ─> (make missing Secrets) ─> plan (pure) ─> apply ─> prune ─> status
//! ```

#[cfg(test)]
mod answers;
pub mod apply;
pub mod cli;
pub mod conflict;
pub mod controller;
pub mod delete;
pub mod digest;
pub mod discover;
mod error;
pub mod facts;
pub mod handover;
pub mod health;
pub mod image;
pub mod immutable;
pub mod kinds;
pub mod leader;
pub mod lists;
pub mod live;
pub mod metrics;
pub mod namespace;
pub mod object;
mod object_store;
pub mod plan;
pub mod prune;
pub mod queue;
pub mod rbac;
pub mod reconcile;
pub mod release;
pub mod rollout;
pub mod scope;
pub mod secrets;
pub mod stacks;
pub mod status;
pub mod stuck;
pub mod thin;
pub mod told;
mod tracing_options;
pub mod trail;
pub mod transport;
pub mod validate;
pub mod watch;
pub mod way;

pub use error::Error;

/// The operator's name as a field manager: what it sets is its own, and what others set is theirs.
pub const MANAGER: &str = "healthcare-operator";
