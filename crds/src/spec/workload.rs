//! How the seven services run: replicas, resources, environment, probes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use settings::{SecretRef, ServiceName};

use super::{Quantity, Span, forms, rules};

/// The seven services. A service that is not named runs with the defaults.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = rules::services()))]
pub struct ServicesSpec {
    /// Persons and their contact data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patient: Option<ServiceSpec>,
    /// Bookings and free slots. Needs `patient` and `provider`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub appointment: Option<ServiceSpec>,
    /// Bills and claims. Needs `patient`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub billing: Option<ServiceSpec>,
    /// Medical records. Needs `patient`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub records: Option<ServiceSpec>,
    /// Mail, text messages and push messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notification: Option<ServiceSpec>,
    /// Practitioners, their schedules and availability.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<ServiceSpec>,
    /// Users, sessions and tokens. Cannot be switched off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<ServiceSpec>,
}

impl ServicesSpec {
    /// What is said of a service.
    pub fn get(&self, service: ServiceName) -> Option<&ServiceSpec> {
        match service {
            ServiceName::PatientService => self.patient.as_ref(),
            ServiceName::AppointmentService => self.appointment.as_ref(),
            ServiceName::BillingService => self.billing.as_ref(),
            ServiceName::MedicalRecordsService => self.records.as_ref(),
            ServiceName::NotificationService => self.notification.as_ref(),
            ServiceName::ProviderService => self.provider.as_ref(),
            ServiceName::AuthService => self.auth.as_ref(),
        }
    }
}

/// A service as a `HealthcareStack` calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ServiceKey {
    /// patient-service
    Patient,
    /// appointment-service
    Appointment,
    /// billing-service
    Billing,
    /// medical-records-service
    Records,
    /// notification-service
    Notification,
    /// provider-service
    Provider,
    /// auth-service
    Auth,
}

impl From<ServiceKey> for ServiceName {
    fn from(key: ServiceKey) -> Self {
        match key {
            ServiceKey::Patient => Self::PatientService,
            ServiceKey::Appointment => Self::AppointmentService,
            ServiceKey::Billing => Self::BillingService,
            ServiceKey::Records => Self::MedicalRecordsService,
            ServiceKey::Notification => Self::NotificationService,
            ServiceKey::Provider => Self::ProviderService,
            ServiceKey::Auth => Self::AuthService,
        }
    }
}

/// How a service runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = rules::scale()))]
pub struct ServiceSpec {
    /// Whether it runs at all. A service that does not has no routes either.
    pub enabled: bool,
    /// How many pods, 1 if not said. Not together with `autoscaling`. Means nothing to a stack that runs in one process.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub replicas: Option<u32>,
    /// Lets the load decide how many pods there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<Autoscaling>,
    /// CPU and memory of each pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Environment variables beside the service's own.
    #[schemars(
        length(max = 64),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub env: Vec<EnvVar>,
    /// When a pod counts as started, ready and alive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probes: Option<Probes>,
}

impl Default for ServiceSpec {
    fn default() -> Self {
        Self {
            enabled: true,
            replicas: None,
            autoscaling: None,
            resources: None,
            env: Vec::new(),
            probes: None,
        }
    }
}

/// Lets the load decide how many pods there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::autoscaling()))]
pub struct Autoscaling {
    /// Never fewer pods than this.
    #[serde(default = "Autoscaling::default_min")]
    #[schemars(range(min = 1, max = 100))]
    pub min: u32,
    /// Never more pods than this.
    #[schemars(range(min = 1, max = 100))]
    pub max: u32,
    /// CPU use to aim at, percent of what the pods request.
    #[serde(rename = "targetCPU", default = "Autoscaling::default_target_cpu")]
    #[schemars(range(min = 1, max = 100))]
    pub target_cpu: u32,
}

impl Autoscaling {
    const fn default_min() -> u32 {
        2
    }
    const fn default_target_cpu() -> u32 {
        70
    }
}

/// CPU and memory of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = rules::resources()))]
pub struct Resources {
    /// What is kept free for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<ResourceAmounts>,
    /// What it may use at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<ResourceAmounts>,
}

/// An amount of CPU and of memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ResourceAmounts {
    /// CPUs, such as `250m` or `2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Quantity>,
    /// Memory, such as `128Mi`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Quantity>,
}

/// An environment variable: its name, and either a value or a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::env()))]
pub struct EnvVar {
    /// The name. Names that begin with `HEALTHCARE_` are the stack's own.
    #[schemars(length(min = 1, max = 128), regex(pattern = forms::ENV_NAME))]
    pub name: String,
    /// The value, if it is no secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub value: Option<String>,
    /// Where the value is, if it is a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretRef>,
}

/// When a pod counts as started, ready and alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Probes {
    /// Asked until it first succeeds; the others wait for it.
    pub startup: Probe,
    /// While it fails, the pod gets no requests.
    pub readiness: Probe,
    /// When it fails, the pod is started again.
    pub liveness: Probe,
}

impl Default for Probes {
    fn default() -> Self {
        let every = |secs, failure_threshold| Probe {
            period: Span::from_secs(secs),
            failure_threshold,
            ..Probe::default()
        };
        // Asked often while nobody is sent there yet: a pod that comes up waits for the next question.
        Self { startup: every(1, 60), readiness: every(2, 5), liveness: every(10, 3) }
    }
}

/// How often a pod is asked how it is, and how patiently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Probe {
    /// From the container's start to the first question: 0s to 10m, whole seconds.
    #[schemars(extend("x-kubernetes-validations" = rules::whole_seconds_between("0s", "10m")))]
    pub initial_delay: Span,
    /// From one question to the next: 1s to 5m, whole seconds.
    #[schemars(extend("x-kubernetes-validations" = rules::whole_seconds_between("1s", "5m")))]
    pub period: Span,
    /// How long an answer may take: 1s to 1m, whole seconds.
    #[schemars(extend("x-kubernetes-validations" = rules::whole_seconds_between("1s", "1m")))]
    pub timeout: Span,
    /// How many failures in a row count.
    #[schemars(range(min = 1, max = 600))]
    pub failure_threshold: u32,
}

impl Default for Probe {
    fn default() -> Self {
        Self {
            initial_delay: Span::from_secs(0),
            period: Span::from_secs(10),
            timeout: Span::from_secs(2),
            failure_threshold: 3,
        }
    }
}
