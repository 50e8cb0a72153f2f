//! [`Stack`]: a `HealthcareStack` that has passed every rule, with each default filled in.
//!
//! Only [`crate::validate`] makes one. An `Option` here means that there may be nothing, never that a default is still to be found.

use std::collections::BTreeMap;

use chrono_tz::Tz;
use contracts::permission::Permission;
use settings::{
    Balancing, Breaker, Concurrency, Encryption, Fallback, Hedge, Protocol, RateLimits, Retries,
    ServiceCalls, ServiceName,
};

use crate::Currency;
use crate::spec::{
    AccessSpec, AppointmentsSpec, AuthSpec, Autoscaling, Backup, CloudNativePgDatabase, CorsSpec,
    DeletionPolicy, EnvVar, ExternalDatabase, GatewayService, GatewayTls, IntegrationsSpec, ManagedDatabase,
    Monitoring, NetworkPolicySpec, ObservabilitySpec, ParentRef, Probes, PullPolicy, RateLimitStoreSpec,
    Resources, RestoreFrom, RetentionSpec, RouteAuth, Scheduling, Span,
};

/// A stack that can be planned.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Stack {
    /// Its name: any that the API server takes. [`crate::names`] makes objects' names of it.
    pub name: String,
    /// Its namespace; `default` if it names none.
    pub namespace: String,
    /// The version of services and gateway.
    pub version: String,
    /// Where images come from.
    pub image: Image,
    /// All seven services, those that are switched off among them.
    pub services: BTreeMap<ServiceName, Service>,
    /// On what terms they call each other.
    pub service_calls: ServiceCalls,
    /// The gateway.
    pub gateway: Gateway,
    /// Where data is kept on a cluster.
    pub database: Database,
    /// Who keeps the key-encryption key.
    pub encryption: Encryption,
    /// Copies of the data.
    pub backup: Option<Backup>,
    /// The backup that the database is filled from when it is new.
    pub restore_from: Option<RestoreFrom>,
    /// Tokens, sessions, passwords.
    pub auth: AuthSpec,
    /// Emergencies, and who hears of them.
    pub access: AccessSpec,
    /// How long what is held of deleted patients is kept.
    pub retention: RetentionSpec,
    /// For how long slots are held.
    pub appointments: AppointmentsSpec,
    /// Systems outside.
    pub integrations: IntegrationsSpec,
    /// Logs, metrics, traces.
    pub observability: ObservabilitySpec,
    /// What the Prometheus operator and Grafana are told on a cluster.
    pub monitoring: Monitoring,
    /// Where pods may run.
    pub scheduling: Scheduling,
    /// Who may speak to pods.
    pub network_policy: NetworkPolicySpec,
    /// The clinic's time zone.
    pub time_zone: Tz,
    /// The clinic's currency.
    pub currency: Currency,
    /// Whether the operator leaves it as it is.
    pub paused: bool,
    /// What becomes of its data.
    pub deletion_policy: DeletionPolicy,
}

impl Stack {
    /// The services that run, in the order in which the documentation lists them.
    pub fn enabled(&self) -> impl Iterator<Item = ServiceName> {
        ServiceName::ALL.into_iter().filter(|service| self.is_enabled(*service))
    }

    /// Whether a service runs.
    pub fn is_enabled(&self, service: ServiceName) -> bool {
        self.services.get(&service).is_none_or(|service| service.enabled)
    }
}

/// Where images come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Registry and folder, without a slash at the end.
    pub registry: String,
    /// The tag.
    pub tag: String,
    /// When a node pulls.
    pub pull_policy: PullPolicy,
    /// Secrets to pull with.
    pub pull_secrets: Vec<String>,
}

/// How a service runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// Whether it does.
    pub enabled: bool,
    /// How many pods.
    pub scale: Scale,
    /// CPU and memory of each.
    pub resources: Resources,
    /// Environment variables beside its own.
    pub env: Vec<EnvVar>,
    /// When a pod is started, ready, alive.
    pub probes: Probes,
}

/// How many pods there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// So many.
    Fixed(u32),
    /// As many as the load asks for.
    Auto(Autoscaling),
}

impl Scale {
    /// The most that there can be.
    pub const fn max(self) -> u32 {
        match self {
            Self::Fixed(replicas) => replicas,
            Self::Auto(autoscaling) => autoscaling.max,
        }
    }
}

/// The gateway.
#[derive(Clone, Debug, PartialEq)]
pub struct Gateway {
    /// How many pods.
    pub scale: Scale,
    /// CPU and memory of each.
    pub resources: Resources,
    /// Policies, by path.
    pub routes: Vec<RoutePolicy>,
    /// Limits where a route has none of its own.
    pub rate_limits: RateLimits,
    /// Where pods count together.
    pub rate_limit_store: Option<RateLimitStoreSpec>,
    /// How much each service is given at once.
    pub concurrency: Concurrency,
    /// How an endpoint of a service is picked where a route does not say.
    pub balancing: Balancing,
    /// What is spoken with services.
    pub protocol: Protocol,
    /// Networks whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<String>,
    /// Pages of which other origins may call the API.
    pub cors: Option<CorsSpec>,
    /// Whether each request leaves a line in the log.
    pub access_log: bool,
    /// Its Service.
    pub service: GatewayService,
    /// How it is reached by a host name.
    pub ingress: Option<Ingress>,
    /// TLS of its own.
    pub tls: Option<GatewayTls>,
}

/// How the gateway is reached by a host name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ingress {
    /// The host name.
    pub host: String,
    /// Annotations of whatever object takes it in.
    pub annotations: BTreeMap<String, String>,
    /// What takes it in.
    pub by: IngressBy,
}

/// What takes a host name in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IngressBy {
    /// An Ingress.
    Ingress {
        /// Its class, if it is not the cluster's default.
        class_name: Option<String>,
        /// The Secret with the certificate, if it speaks TLS.
        tls_secret: Option<String>,
    },
    /// An `HTTPRoute` of the Gateway API.
    HttpRoute {
        /// The Gateways; there is at least one.
        parents: Vec<ParentRef>,
    },
}

/// How requests under a path are treated.
#[derive(Clone, Debug, PartialEq)]
pub struct RoutePolicy {
    /// The path and all under it.
    pub path: String,
    /// The service that answers there.
    pub service: ServiceName,
    /// Whether a token is needed, if it is not as each operation says.
    pub auth: Option<RouteAuth>,
    /// Permissions beside the operation's own.
    pub permissions: Vec<Permission>,
    /// How long an answer may take.
    pub timeout: Span,
    /// Repetitions of what is safe to repeat.
    pub retries: Retries,
    /// When an endpoint is given a rest.
    pub circuit_breaker: Breaker,
    /// What a caller gets when the service cannot answer.
    pub fallback: Fallback,
    /// When a slow read is made a second time.
    pub hedge: Option<Hedge>,
    /// Limits of its own, filled up with the gateway's.
    pub rate_limits: Option<RateLimits>,
    /// At most so many requests at once, of all its operations together.
    pub concurrency_max: Option<u32>,
    /// How an endpoint is picked, if not as the gateway has it.
    pub balancing: Option<Balancing>,
}

impl RoutePolicy {
    /// How an operation is treated that no route of the stack covers.
    pub(crate) fn of_no_route(service: ServiceName) -> Self {
        Self {
            path: String::new(),
            service,
            auth: None,
            permissions: Vec::new(),
            timeout: crate::spec::RouteSpec::default_timeout(),
            retries: crate::spec::RetriesSpec::default().into(),
            circuit_breaker: Breaker::default(),
            fallback: Fallback::Unavailable,
            hedge: None,
            rate_limits: None,
            concurrency_max: None,
            balancing: None,
        }
    }
}

/// Where data is kept on a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Database {
    /// One PostgreSQL that the operator runs.
    Managed(ManagedDatabase),
    /// A PostgreSQL that somebody else runs.
    External(ExternalDatabase),
    /// A cluster of the CloudNativePG operator.
    CloudNativePg(CloudNativePgDatabase),
}
