//! The `HealthcareStack` resource as it is written in YAML. Doc comments here become the descriptions of `kubectl explain`.
//!
//! Only shapes and single-value bounds. Rules that look at two values at once are in [`crate::Stack`]'s validation, and once more in `rules`, for the API server; what a stack comes to is
//! in [`crate::plan`].
//!
//! Conventions: durations are strings such as `30s` ([`Span`]); what has a fixed default says so in the schema; a choice between
//! several shapes is a struct of which exactly one member is set, because a structural schema has no tagged unions.

mod access;
mod appointments;
mod auth;
mod backup;
mod calls;
mod cluster;
mod concurrency;
mod cors;
mod database;
mod encryption;
mod exposure;
mod forms;
mod gateway;
mod identity;
mod integrations;
mod limits;
mod object_store;
mod observability;
mod quantity;
mod retention;
pub(crate) mod rules;
mod span;
mod status;
mod workload;

pub use access::AccessSpec;
pub use appointments::AppointmentsSpec;
pub use auth::{AuthSpec, LogOffSpec, PersonsRole, RoleLogOff, SecondFactorSpec};
pub use backup::{Backup, BackupVolume, KeySecretRef, RestoreFrom};
pub use calls::{CallBreakerSpec, CallRetriesSpec, ServiceCallsSpec};
pub use cluster::{NetworkPolicySpec, Scheduling, TaintEffect, Toleration, TolerationOperator};
pub use concurrency::ConcurrencySpec;
pub use cors::CorsSpec;
pub use database::{CloudNativePgDatabase, DatabaseSpec, ExternalDatabase, ManagedDatabase, Storage};
pub use encryption::{EncryptionSpec, TransitSpec};
pub use exposure::{GatewayService, GatewayServiceType, GatewayTls, IngressSpec, IngressTls, ParentRef};
pub(crate) use forms::in_words;
pub(crate) use gateway::DEFAULT_RATE_LIMIT;
pub use gateway::{
    BreakerSpec, FallbackSpec, GatewaySpec, HedgeSpec, RetriesSpec, RouteAuth, RouteSpec, StaleRead,
    StaticAnswerSpec, Unavailable,
};
pub use identity::{IdentityProviderSpec, OutsideRoleSpec, OutsideSecondFactorSpec};
pub use integrations::{
    CalDav, Calendar, Ehr, EhrAuth, Fcm, IntegrationsSpec, Payer, Payments, PushSpec, SmsSpec, WebPush,
    Webhooks,
};
pub use limits::{RateLimitStoreSpec, RateLimitStoreTls};
pub use object_store::{BackupStore, ObjectStore, RestoreStore, Scratch};
pub use observability::{Monitoring, ObservabilitySpec, Prometheus, Tracing};
pub use quantity::Quantity;
pub use retention::RetentionSpec;
pub use span::Span;
pub use status::{
    BackupStatus, Condition, ConditionStatus, FailedVersion, HealthcareStackStatus, ServiceStatus,
};
pub use workload::{
    Autoscaling, EnvVar, Probe, Probes, ResourceAmounts, Resources, ServiceKey, ServiceSpec, ServicesSpec,
};

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the stack should be. Everything has a default: `spec: {}` is a whole stack.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "healthcarestack.dev",
    version = "v1alpha1",
    kind = "HealthcareStack",
    plural = "healthcarestacks",
    singular = "healthcarestack",
    shortname = "hcs",
    category = "healthcare",
    doc = "A whole healthcare back end: seven services behind a gateway, with their database and the systems outside.",
    namespaced,
    status = "HealthcareStackStatus",
    derive = "PartialEq",
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Services","type":"string","jsonPath":".status.servicesReady","description":"Services that are ready, of those that are enabled"}"#,
    printcolumn = r#"{"name":"Version","type":"string","jsonPath":".status.version","description":"The version that runs"}"#,
    printcolumn = r#"{"name":"Gateway URL","type":"string","jsonPath":".status.gatewayUrl","description":"Where the API answers"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = rules::stack()))]
pub struct HealthcareStackSpec {
    /// The version of the services and the gateway, such as `0.1.0`. Left out: the version of the operator (locally, of the program).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), regex(pattern = forms::VERSION))]
    pub version: Option<String>,
    /// Where container images come from. Means nothing to a stack that runs in one process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageSpec>,
    /// How each service runs. A service that is not named here runs with the defaults.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub services: Option<ServicesSpec>,
    /// On what terms the services call each other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_calls: Option<ServiceCallsSpec>,
    /// What stands in front of the services.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<GatewaySpec>,
    /// Where the services keep their data. Left out: `managed`. A stack that runs in one process keeps its own (SQLite, or
    /// PostgreSQL by `--database-url-file`), whatever stands here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<DatabaseSpec>,
    /// Who keeps the key-encryption key. Left out: the stack's own Secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = rules::encryption()))]
    pub encryption: Option<EncryptionSpec>,
    /// Tokens, sessions and passwords.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<AuthSpec>,
    /// Who sees whose data, where it can be chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access: Option<AccessSpec>,
    /// How long what is held of patients who were deleted is kept. Left out: bills that were sent are kept with no end, and nothing else is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention: Option<RetentionSpec>,
    /// For how long slots are held for whoever chooses them, or is offered them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub appointments: Option<AppointmentsSpec>,
    /// Systems outside the stack. Secrets are always named, never written here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub integrations: Option<IntegrationsSpec>,
    /// Logs, metrics and traces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observability: Option<ObservabilitySpec>,
    /// Where the stack's pods may run. Left out: anywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduling: Option<Scheduling>,
    /// Who may speak to the stack's pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_policy: Option<NetworkPolicySpec>,
    /// The clinic's IANA time zone, such as `Europe/Berlin`: what "today" means, and the zone of providers that name none.
    #[schemars(length(min = 1, max = 64), regex(pattern = forms::TIME_ZONE))]
    pub time_zone: String,
    /// The clinic's currency: the ISO 4217 code of one with two decimals, such as `EUR`. It cannot change: amounts already
    /// written are not converted.
    #[schemars(
        length(min = 3, max = 3),
        regex(pattern = forms::CURRENCY),
        extend("x-kubernetes-validations" = rules::currency())
    )]
    pub currency: String,
    /// The operator leaves the stack as it is, until this is false again. What runs keeps running.
    pub paused: bool,
    /// What becomes of the data when the stack is deleted. `Retain`: volumes and keys stay. `Delete`: everything goes, the keys first, so
    /// that nobody can read the data again. `Backup`: a last backup is taken, then everything goes but the backup and its keys; it needs
    /// `database.backup`.
    pub deletion_policy: DeletionPolicy,
}

impl Default for HealthcareStackSpec {
    fn default() -> Self {
        Self {
            version: None,
            image: None,
            services: None,
            service_calls: None,
            gateway: None,
            database: None,
            encryption: None,
            auth: None,
            access: None,
            retention: None,
            appointments: None,
            integrations: None,
            observability: None,
            scheduling: None,
            network_policy: None,
            time_zone: "UTC".to_owned(),
            currency: "USD".to_owned(),
            paused: false,
            deletion_policy: DeletionPolicy::default(),
        }
    }
}

/// Where container images come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ImageSpec {
    /// Registry and folder: the patient service's image is `<registry>/patient-service:<tag>`.
    #[schemars(length(min = 1, max = 255), regex(pattern = forms::REGISTRY))]
    pub registry: String,
    /// The tag, if it is not the version.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128), regex(pattern = forms::TAG))]
    pub tag: Option<String>,
    /// When a node pulls an image, PostgreSQL's too: `IfNotPresent`, when it has none of that tag; `Always`, at every start; `Never`.
    pub pull_policy: PullPolicy,
    /// Secrets of type `kubernetes.io/dockerconfigjson`, by name.
    #[schemars(
        length(max = 8),
        inner(length(min = 1, max = 253), regex(pattern = forms::OBJECT_NAME)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub pull_secrets: Vec<String>,
}

impl Default for ImageSpec {
    fn default() -> Self {
        Self {
            registry: "ghcr.io/healthcare-stack".to_owned(),
            tag: None,
            pull_policy: PullPolicy::default(),
            pull_secrets: Vec::new(),
        }
    }
}

/// When a node pulls an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PullPolicy {
    /// When it has none of that tag.
    #[default]
    IfNotPresent,
    /// At every start.
    Always,
    /// Never: the image was put there.
    Never,
}

/// What becomes of the data when the stack is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// Volumes and key Secrets stay.
    #[default]
    Retain,
    /// Everything goes, the keys first: nobody can read the data again.
    Delete,
    /// A last backup is taken, then everything but the backup and its keys goes.
    Backup,
}
