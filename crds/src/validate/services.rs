//! `spec.services`.

use std::collections::BTreeMap;

use settings::ServiceName;

use super::{bounds, service_path};
use crate::Service;
use crate::fault::Faults;
use crate::spec::{
    EnvVar, Probe, Probes, Quantity, ResourceAmounts, Resources, ServiceSpec, ServicesSpec, Span,
};

pub(super) fn validate(spec: &ServicesSpec, faults: &mut Faults) -> BTreeMap<ServiceName, Service> {
    let services: BTreeMap<_, _> = ServiceName::ALL
        .into_iter()
        .map(|name| {
            let spec = spec.get(name).cloned().unwrap_or_default();
            (name, service(&service_path(name), spec, faults))
        })
        .collect();
    check_needs(&services, faults);
    services
}

fn service(path: &str, spec: ServiceSpec, faults: &mut Faults) -> Service {
    let resources = spec.resources.unwrap_or_else(default_resources);
    bounds::resources(path, &resources, faults);
    for (index, variable) in spec.env.iter().enumerate() {
        check_env(&format!("{path}.env[{index}]"), variable, faults);
    }
    let probes = spec.probes.unwrap_or_default();
    check_probes(&format!("{path}.probes"), &probes, faults);
    Service {
        enabled: spec.enabled,
        scale: bounds::scale(path, spec.replicas, spec.autoscaling, faults),
        resources,
        env: spec.env,
        probes,
    }
}

/// For a service that says nothing. No CPU limit: throttling a service that could finish sooner helps nobody.
pub(super) fn default_resources() -> Resources {
    Resources {
        requests: Some(ResourceAmounts {
            cpu: Some(Quantity::millis(50)),
            memory: Some(Quantity::mebibytes(64)),
        }),
        limits: Some(ResourceAmounts { cpu: None, memory: Some(Quantity::mebibytes(256)) }),
    }
}

fn check_env(path: &str, variable: &EnvVar, faults: &mut Faults) {
    if variable.name.starts_with("HEALTHCARE_") {
        faults.add(format!("{path}.name"), "names that begin with HEALTHCARE_ are the stack's own");
    }
    if variable.value.is_some() == variable.secret.is_some() {
        faults.add(path, "must have exactly one of value and secret");
    }
}

fn check_probes(path: &str, probes: &Probes, faults: &mut Faults) {
    for (name, probe) in
        [("startup", probes.startup), ("readiness", probes.readiness), ("liveness", probes.liveness)]
    {
        check_probe(&format!("{path}.{name}"), probe, faults);
    }
}

fn check_probe(path: &str, probe: Probe, faults: &mut Faults) {
    let second = Span::from_secs(1);
    for (name, span, min, max) in [
        ("initialDelay", probe.initial_delay, Span::from_secs(0), Span::from_secs(600)),
        ("period", probe.period, second, Span::from_secs(300)),
        ("timeout", probe.timeout, second, Span::from_secs(60)),
    ] {
        let path = format!("{path}.{name}");
        if span.millis().is_multiple_of(1_000) {
            bounds::span(path, span, min, max, faults);
        } else {
            faults.add(path, "must be whole seconds");
        }
    }
}

/// What a service cannot work without: it looks up the persons that its own data speaks of.
const fn needs(service: ServiceName) -> &'static [ServiceName] {
    use ServiceName as S;
    match service {
        S::AppointmentService => &[S::PatientService, S::ProviderService],
        S::BillingService | S::MedicalRecordsService => &[S::PatientService],
        S::PatientService | S::NotificationService | S::ProviderService | S::AuthService => &[],
    }
}

fn check_needs(services: &BTreeMap<ServiceName, Service>, faults: &mut Faults) {
    let enabled = |name: ServiceName| services.get(&name).is_some_and(|service| service.enabled);
    if !enabled(ServiceName::AuthService) {
        faults.add("spec.services.auth.enabled", "must be true: without auth nobody can sign in");
    }
    for service in ServiceName::ALL.into_iter().filter(|service| enabled(*service)) {
        for needed in needs(service).iter().filter(|needed| !enabled(**needed)) {
            faults.add(
                format!("{}.enabled", service_path(*needed)),
                format!("must be true while {} is enabled, which needs it", service.short()),
            );
        }
    }
}
