//! From the resource as it is written to a [`Stack`]: every rule that the schema cannot tell, and every default.
//!
//! A rule adds a fault and goes on, so that all are found at once. Rules that compare two fields speak of the object that holds them.

mod bounds;
mod calls;
mod cluster;
mod database;
mod document;
mod encryption;
mod gateway;
mod identity;
mod integrations;
mod routes;
mod secrets;
mod services;

use chrono_tz::Tz;
use contracts::field::Email;
use contracts::permission::Role;
use settings::ServiceName;

use crate::fault::Faults;
use crate::spec::{AccessSpec, AppointmentsSpec, AuthSpec, HealthcareStack, HealthcareStackSpec, Span};
use crate::{Currency, Database, Image, Invalid, Stack, plan};

/// The namespace of a stack that names none, as kubectl has it.
const DEFAULT_NAMESPACE: &str = "default";

/// What a stack runs that names no version: the version of this program.
const VERSION: &str = env!("CARGO_PKG_VERSION");

impl Stack {
    /// Reads a stack from a YAML document (or a JSON one).
    pub fn from_yaml(text: &str) -> Result<Self, Invalid> {
        document::read(text)
    }

    /// Takes a resource as the API server gave it. Its schema is checked again: the cluster's definition of it may be an
    /// older one.
    pub fn from_resource(resource: &HealthcareStack) -> Result<Self, Invalid> {
        let mut faults = Faults::default();
        let metadata = &resource.metadata;
        let name = metadata.name.as_deref().unwrap_or_default();
        let namespace = metadata.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE);
        let stack = match serde_json::to_value(&resource.spec) {
            Ok(spec) => document::read_spec(name, namespace, &spec, &mut faults),
            Err(error) => {
                faults.add("spec", error.to_string());
                None
            }
        };
        faults.none_or(stack)
    }
}

/// The stack, or nothing where a fault leaves no sensible value. With any fault at all, what is returned must not be used.
fn validate(name: &str, namespace: &str, spec: &HealthcareStackSpec, faults: &mut Faults) -> Option<Stack> {
    document::check_name(name, faults);
    document::check_namespace(namespace, faults);
    let services = services::validate(&spec.services.clone().unwrap_or_default(), faults);
    let service_calls = calls::validate(spec.service_calls.unwrap_or_default(), faults);
    let gateway = gateway::validate(&spec.gateway.clone().unwrap_or_default(), &services, faults);
    let database = database::validate(spec, faults);
    let encryption = encryption::validate(spec.encryption.clone().unwrap_or_default(), faults);
    let auth = auth(spec.auth.clone().unwrap_or_default(), faults);
    let access = access(spec.access.clone().unwrap_or_default(), faults);
    let appointments = appointments(spec.appointments.unwrap_or_default(), faults);
    let integrations = spec.integrations.clone().unwrap_or_default();
    integrations::check(&integrations, faults);
    let observability = spec.observability.clone().unwrap_or_default();
    let scheduling = spec.scheduling.clone().unwrap_or_default();
    cluster::check(&scheduling, faults);
    secrets::check(name, spec, faults);
    let time_zone = time_zone(&spec.time_zone, faults);
    let currency = currency(&spec.currency, faults);
    let version = spec.version.clone().unwrap_or_else(|| VERSION.to_owned());
    let stack = Stack {
        name: name.to_owned(),
        namespace: namespace.to_owned(),
        image: image(spec, &version),
        version,
        services,
        service_calls,
        gateway,
        database: database?,
        encryption,
        backup: spec.database.as_ref().and_then(|database| database.backup.clone()),
        restore_from: spec.database.as_ref().and_then(|database| database.restore_from.clone()),
        auth,
        access,
        retention: spec.retention.unwrap_or_default(),
        appointments,
        integrations,
        monitoring: observability.monitoring.clone().unwrap_or_default(),
        observability,
        scheduling,
        network_policy: spec.network_policy.clone().unwrap_or_default(),
        time_zone: time_zone?,
        currency: currency?,
        paused: spec.paused,
        deletion_policy: spec.deletion_policy,
    };
    check_connections(&stack, faults);
    Some(stack)
}

fn image(spec: &HealthcareStackSpec, version: &str) -> Image {
    let image = spec.image.clone().unwrap_or_default();
    Image {
        registry: image.registry,
        tag: image.tag.unwrap_or_else(|| version.to_owned()),
        pull_policy: image.pull_policy,
        pull_secrets: image.pull_secrets,
    }
}

fn access(access: AccessSpec, faults: &mut Faults) -> AccessSpec {
    let (at_least, at_most) = (Span::from_secs(300), Span::from_secs(8 * 3_600));
    bounds::span("spec.access.breakGlass", access.break_glass, at_least, at_most, faults);
    if access.privacy_officer.as_deref().is_some_and(|mailbox| Email::parse(mailbox).is_err()) {
        faults.add("spec.access.privacyOfficer", "must be a mailbox such as privacy@clinic.example");
    }
    access
}

fn appointments(appointments: AppointmentsSpec, faults: &mut Faults) -> AppointmentsSpec {
    let AppointmentsSpec { slot_hold, slot_hold_max, waitlist_offer } = appointments;
    let (minute, hour) = (Span::from_secs(60), Span::from_secs(3_600));
    bounds::span("spec.appointments.slotHold", slot_hold, minute, hour, faults);
    bounds::span("spec.appointments.slotHoldMax", slot_hold_max, minute, hour, faults);
    let (at_least, at_most) = (Span::from_secs(300), Span::from_secs(12 * 3_600));
    bounds::span("spec.appointments.waitlistOffer", waitlist_offer, at_least, at_most, faults);
    if slot_hold > slot_hold_max {
        let message = format!("slotHold ({slot_hold}) must be at most slotHoldMax ({slot_hold_max})");
        faults.add("spec.appointments", message);
    }
    appointments
}

/// RFC 9700 asks for short lives; ours bound what a stolen token is good for while nobody can be told of it.
const ACCESS_TOKEN_MAX: Span = Span::from_secs(600);

fn auth(mut auth: AuthSpec, faults: &mut Faults) -> AuthSpec {
    // A resource that the API server took when it took an hour goes on, with shorter tokens; a new one it would refuse.
    if auth.access_token_lifetime <= Span::from_secs(3_600) {
        auth.access_token_lifetime = auth.access_token_lifetime.min(ACCESS_TOKEN_MAX);
    }
    let AuthSpec {
        access_token_lifetime: access,
        refresh_token_lifetime: refresh,
        session_lifetime: session,
        revocations_stale_after: stale,
        ..
    } = auth;
    let minute = Span::from_secs(60);
    bounds::span("spec.auth.accessTokenLifetime", access, minute, ACCESS_TOKEN_MAX, faults);
    bounds::span("spec.auth.refreshTokenLifetime", refresh, minute, bounds::YEAR, faults);
    bounds::span("spec.auth.sessionLifetime", session, minute, bounds::YEAR, faults);
    for (role, log_off) in auth.log_off.by_role() {
        let role = if role == Role::PrivacyOfficer { "privacyOfficer" } else { role.as_str() };
        for (name, span) in [("idle", log_off.idle), ("session", log_off.session)] {
            if let Some(span) = span {
                bounds::span(format!("spec.auth.logOff.{role}.{name}"), span, minute, bounds::YEAR, faults);
            }
        }
    }
    identity::check(&auth.identity_providers, faults);
    let (at_least, at_most) = (Span::from_secs(30), Span::from_secs(600));
    bounds::span("spec.auth.revocationsStaleAfter", stale, at_least, at_most, faults);
    if refresh <= access {
        faults.add(
            "spec.auth",
            format!("refreshTokenLifetime ({refresh}) must be longer than accessTokenLifetime ({access})"),
        );
    }
    if refresh > session {
        faults.add(
            "spec.auth",
            format!("refreshTokenLifetime ({refresh}) must be at most sessionLifetime ({session})"),
        );
    }
    auth
}

fn time_zone(name: &str, faults: &mut Faults) -> Option<Tz> {
    let zone = name.parse().ok();
    if zone.is_none() {
        faults.add("spec.timeZone", format!("{name} is no IANA time zone; write one such as Europe/Berlin"));
    }
    zone
}

fn currency(code: &str, faults: &mut Faults) -> Option<Currency> {
    code.parse().map_err(|fault| faults.add("spec.currency", format!("{code} {fault}"))).ok()
}

/// Each pod needs a few connections; somebody else's database may not have so many.
fn check_connections(stack: &Stack, faults: &mut Faults) {
    let needed = plan::connections_min(stack);
    if let Database::External(external) = &stack.database
        && needed > external.max_connections
    {
        faults.add(
            "spec.database.external.maxConnections",
            format!("{} are too few: with so many pods the services need {needed}", external.max_connections),
        );
    }
}

/// Where `spec.services` speaks of a service.
fn service_path(service: ServiceName) -> String {
    format!("spec.services.{}", service.short())
}
