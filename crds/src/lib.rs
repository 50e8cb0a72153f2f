//! The `HealthcareStack` resource: its types, its rules, and the planner that turns a stack into settings.
//!
//! ```text
//! YAML ─ check (schema) ─> HealthcareStackSpec ─ validate (rules, defaults) ─> Stack ─ plan ─> GatewayConfig, ServiceSettings
//! ```
//!
//! [`spec`] is the resource as it is written; [`crd`] is its `CustomResourceDefinition`, whose schema the API server checks in a cluster
//! and [`Stack::from_yaml`] checks everywhere else; [`Stack`] is what has passed every rule, with each default filled in; [`plan`] is
//! pure and cannot fail. Nothing here talks to a cluster, a database or a network.

mod changes;
mod check;
pub mod condition;
mod currency;
mod fault;
pub mod names;
pub mod plan;
mod schema;
pub mod spec;
mod stack;
mod validate;

pub use changes::changes;
pub use currency::Currency;
pub use fault::{Fault, Invalid};
pub use plan::{LocalDatabase, Placement, local_database, plan_gateway, plan_service};
pub use schema::{crd, crd_yaml};
pub use stack::{Database, Gateway, Image, Ingress, IngressBy, RoutePolicy, Scale, Service, Stack};

/// API group of the resource.
pub const GROUP: &str = "healthcarestack.dev";
/// Its version and group, as it stands in `apiVersion`.
pub const API_VERSION: &str = "healthcarestack.dev/v1alpha1";
/// Its kind.
pub const KIND: &str = "HealthcareStack";
