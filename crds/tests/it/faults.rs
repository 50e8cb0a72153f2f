//! What is wrong is said, all of it, with its path.

use stack::Stack;

use crate::{sample, with_spec};

/// The faults of a document, one a line.
fn faults_of(document: &str) -> String {
    match Stack::from_yaml(document) {
        Ok(_) => "none".to_owned(),
        Err(invalid) => invalid.to_string(),
    }
}

/// Each spec has exactly these faults.
fn each_is_refused(cases: &[(&str, &str)]) {
    for (spec, expected) in cases {
        assert_eq!(faults_of(&with_spec(spec)), *expected, "\n{spec}");
    }
}

#[test]
fn a_document_that_is_no_stack_says_so() {
    for (document, expected) in [
        (
            "",
            "the document must be an object with apiVersion: healthcarestack.dev/v1alpha1 and kind: HealthcareStack",
        ),
        (
            "[]",
            "the document must be an object with apiVersion: healthcarestack.dev/v1alpha1 and kind: HealthcareStack",
        ),
        (
            "{}",
            "apiVersion: is required: healthcarestack.dev/v1alpha1\nkind: is required: HealthcareStack\nmetadata: must be an object with a name",
        ),
        (
            "apiVersion: v1\nkind: Pod\nmetadata: {}\nspec: 5\nspecs: {}",
            "apiVersion: must be healthcarestack.dev/v1alpha1\nkind: must be HealthcareStack\nmetadata.name: is required\nspec: must be an object, not a number\nspecs: there is no such field",
        ),
    ] {
        assert_eq!(faults_of(document), expected, "\n{document}");
    }
}

#[test]
fn what_is_not_yaml_says_where() {
    insta::assert_snapshot!(faults_of("apiVersion: healthcarestack.dev/v1alpha1\nspec:\n  gateway: [\n"));
    insta::assert_snapshot!(faults_of("spec: {}\nspec: {}\n"));
    insta::assert_snapshot!(faults_of(&format!("{}---\n{}", sample("minimal"), sample("minimal"))));
}

#[test]
fn names_are_those_that_the_api_server_takes() {
    for name in ["clinic.a", "2nd-clinic", "a--b", &"c".repeat(253)] {
        let document = with_spec("paused: false").replace("name: clinic", &format!("name: {name:?}"));
        assert_eq!(faults_of(&document), "none", "{name}");
    }
    for name in [
        "Clinic",
        "clinic..a",
        ".clinic",
        "clinic.-a",
        "-clinic",
        "clinic-",
        "",
        "clinic_a",
        &"c".repeat(254),
    ] {
        let document = with_spec("paused: false").replace("name: clinic", &format!("name: {name:?}"));
        assert!(faults_of(&document).starts_with("metadata.name: must be 1 to 253 small letters"), "{name}");
    }
}

#[test]
fn every_fault_is_found_at_once() {
    let faults = faults_of(&with_spec(
        r"
timezone: Europe/Berlin
timeZone: Mars/Phobos
currency: JPY
paused: maybe
services:
  patient: { replicas: 0 }
  billing: { autoscaling: { min: 5, max: 2 } }
  records: { enabled: false, env: [{ name: HEALTHCARE_SECRET, value: a, secret: { secret: b, key: c } }] }
  radiology: {}
gateway:
  rateLimits: { perClient: { requestsPerSecond: 0, burst: 400 } }
  trustedProxies: [10.0.0.0]
  routes:
    - { path: /api/patients, service: patient, timeout: 10 }
    - { path: /api/xrays, service: radiology }
    - { service: provider }
    - { path: /api/records, service: records }
    - { path: /api/nothing, service: billing, timeout: 1h, permissions: [bills.read] }
database: { managed: {}, external: { url: { secret: db } } }
auth: { accessTokenLifetime: 10m, refreshTokenLifetime: 5m }
",
    ));
    insta::assert_snapshot!(faults);
}

#[test]
fn a_field_that_does_not_exist_is_named_and_a_near_one_proposed() {
    each_is_refused(&[
        ("gateways: {}", "spec.gateways: there is no such field; did you mean gateway?"),
        ("timezone: UTC", "spec.timezone: there is no such field; did you mean timeZone?"),
        ("gateway: { cache: {} }", "spec.gateway.cache: there is no such field"),
        (
            "gateway: { routes: [{ path: /api/bills, service: billing, circuitBreaker: { slowCalls: 5s } }] }",
            "spec.gateway.routes[0].circuitBreaker.slowCalls: there is no such field; did you mean slowCall?",
        ),
        (
            "integrations: { mail: { host: a, port: 25, from: a@b, pasword: x } }",
            "spec.integrations.mail.pasword: there is no such field; did you mean password?",
        ),
    ]);
}

#[test]
fn a_value_of_the_wrong_type_is_named() {
    each_is_refused(&[
        ("paused: 1", "spec.paused: must be true or false, not a number"),
        (
            "currency: [EUR]",
            "spec.currency: must be the ISO 4217 code of a currency, such as EUR, not a list",
        ),
        (
            "services: { patient: { replicas: 1.5 } }",
            "spec.services.patient.replicas: must be a whole number, not a fraction",
        ),
        (
            "services: { patient: { replicas: two } }",
            "spec.services.patient.replicas: must be a whole number, not a string",
        ),
        ("gateway: { routes: {} }", "spec.gateway.routes: must be a list, not an object"),
        (
            "services: { patient: { resources: { requests: { cpu: 0.5 } } } }",
            "spec.services.patient.resources.requests.cpu: must be a whole number or a string, not a fraction",
        ),
    ]);
}

#[test]
fn a_value_out_of_its_bounds_is_named() {
    each_is_refused(&[
        ("services: { patient: { replicas: 101 } }", "spec.services.patient.replicas: must be at most 100"),
        ("deletionPolicy: Keep", "spec.deletionPolicy: must be one of Retain, Delete, Backup"),
        ("version: latest", "spec.version: must be a version such as 0.1.0"),
        (
            "auth: { passwordPolicy: { minLength: 4 } }",
            "spec.auth.passwordPolicy.minLength: must be at least 8",
        ),
        (
            "auth: { sessionLifetime: forever }",
            "spec.auth.sessionLifetime: must be a duration such as 500ms, 30s, 15m, 1h30m or 7d",
        ),
        ("auth: { sessionLifetime: 400d }", "spec.auth.sessionLifetime: must be at most 365d"),
        (
            "auth: { logOff: { privacyOfficer: { session: 30s } } }",
            "spec.auth.logOff.privacyOfficer.session: must be at least 1m",
        ),
        (
            "auth: { secondFactor: { roles: [admin, clinican] } }",
            "spec.auth.secondFactor.roles[1]: must be one of admin, clinician, receptionist, billing, \
             privacy-officer, patient",
        ),
        (
            "auth: { identityProviders: [{ name: a, issuer: 'http://login.example.org', clientId: c, clientSecret: { secret: s, key: k }, \
             redirectUris: ['https://x.example/'], roles: [{ value: v, role: admin }] }] }",
            "spec.auth.identityProviders[0].issuer: must be an issuer such as https://login.example.org/realms/clinic; http is for one on \
             this machine",
        ),
        (
            "auth: { identityProviders: [{ name: a, issuer: 'https://login.example.org', clientId: c, clientSecret: { secret: s, key: k }, \
             redirectUris: ['http://x.example/'], roles: [{ value: v, role: admin }] }] }",
            "spec.auth.identityProviders[0].redirectUris[0]: must be an https address, one of this machine such as \
             http://127.0.0.1:8000/, or a program's own such as org.example.app:/login",
        ),
        (
            "auth: { identityProviders: [{ name: a, issuer: 'https://login.example.org', clientId: c, clientSecret: { secret: s, key: k }, \
             redirectUris: ['https://x.example/'], roles: [{ value: v, role: admin }, { value: w, role: patient }] }] }",
            "spec.auth.identityProviders[0].roles[1].role: patient is not mapped: the provider does not know which patient it is",
        ),
        (
            "auth: { identityProviders: [{ name: a, issuer: 'https://login.example.org', clientId: c, clientSecret: { secret: s, key: k }, \
             redirectUris: ['https://x.example/'], roles: [{ value: v, role: admin }], secondFactor: {} }] }",
            "spec.auth.identityProviders[0].secondFactor: must have amr, acr or both",
        ),
        ("auth: { revocationsStaleAfter: 5s }", "spec.auth.revocationsStaleAfter: must be at least 30s"),
        ("access: { breakGlass: 1m }", "spec.access.breakGlass: must be at least 5m"),
        ("access: { breakGlass: 9h }", "spec.access.breakGlass: must be at most 8h"),
        ("appointments: { slotHold: 30s }", "spec.appointments.slotHold: must be at least 1m"),
        ("appointments: { slotHoldMax: 2h }", "spec.appointments.slotHoldMax: must be at most 1h"),
        (
            "appointments: { slotHold: 20m }",
            "spec.appointments: slotHold (20m) must be at most slotHoldMax (15m)",
        ),
        ("appointments: { waitlistOffer: 1m }", "spec.appointments.waitlistOffer: must be at least 5m"),
        ("retention: { medicalRecords: 101 }", "spec.retention.medicalRecords: must be at most 100"),
        ("retention: { bills: 101 }", "spec.retention.bills: must be at most 100"),
        (
            "access: { privacyOfficer: a@b@example.com }",
            "spec.access.privacyOfficer: must be a mailbox such as privacy@clinic.example",
        ),
        ("auth: { accessTokenLifetime: 2h }", "spec.auth.accessTokenLifetime: must be at most 10m"),
        (
            "services: { patient: { probes: { readiness: { period: 500ms } } } }",
            "spec.services.patient.probes.readiness.period: must be whole seconds",
        ),
        (
            "services: { patient: { resources: { limits: { memory: -1 } } } }",
            "spec.services.patient.resources.limits.memory: must be an amount such as 250m, 2, 512Mi or 10Gi",
        ),
        (
            "integrations: { ehr: { url: 'https://user:password@ehr.example/fhir' } }",
            "spec.integrations.ehr.url: must be an address such as https://host:8443/path, without user and password",
        ),
        (
            "observability: { logLevel: loud }",
            "spec.observability.logLevel: must be error, warn, info, debug or trace, or a filter such as info,gateway=debug",
        ),
        (
            "observability: { tracing: { endpoint: 'http://c:4318', headers: [{ name: 'a b', value: { secret: s, key: k } }] } }",
            "spec.observability.tracing.headers[0].name: must be a header's name such as X-API-Key",
        ),
    ]);
}

#[test]
fn values_that_contradict_each_other_are_named() {
    each_is_refused(&[
        (
            "services: { patient: { replicas: 2, autoscaling: { max: 5 } } }",
            "spec.services.patient.replicas: must be left out when autoscaling is set",
        ),
        (
            "gateway: { autoscaling: { min: 5, max: 2 } }",
            "spec.gateway.autoscaling: min (5) must be at most max (2)",
        ),
        (
            "services: { auth: { resources: { requests: { memory: 1Gi }, limits: { memory: 1000Mi } } } }",
            "spec.services.auth.resources: requests.memory (1Gi) must be at most limits.memory (1000Mi)",
        ),
        ("database: {}", "spec.database: must have exactly one of managed, external and cloudNativePG"),
        (
            "database: { managed: {}, cloudNativePG: {} }",
            "spec.database: must have exactly one of managed, external and cloudNativePG",
        ),
        (
            "auth: { refreshTokenLifetime: 31d }",
            "spec.auth: refreshTokenLifetime (31d) must be at most sessionLifetime (30d)",
        ),
        (
            "auth: { refreshTokenLifetime: 10m }",
            "spec.auth: refreshTokenLifetime (10m) must be longer than accessTokenLifetime (10m)",
        ),
        (
            "integrations: { mail: { host: a, port: 25, from: clinic, username: u } }",
            "spec.integrations.mail: must have both username and password, or neither\nspec.integrations.mail.from: must be a mailbox such as Clinic <no-reply@clinic.example>",
        ),
        (
            "integrations: { mailFallback: [{ host: a, port: 25, from: clinic, username: u }] }",
            "spec.integrations.mailFallback: must be left out without mail\nspec.integrations.mailFallback[0]: must have both username and password, or neither\nspec.integrations.mailFallback[0].from: must be a mailbox such as Clinic <no-reply@clinic.example>",
        ),
        (
            "integrations: { mail: { host: a, port: 25, from: Clinic <a@mail.b.example>, dkim: { domain: c.example, selector: s, privateKey: { secret: s, key: k } } } }",
            "spec.integrations.mail.dkim.domain: must be the domain of from, or one above it",
        ),
        (
            "integrations: { mailReports: { address: a-very-long-bounces@clinic.example, subaddresses: true, token: { secret: s, key: k } } }",
            "spec.integrations.mailReports: must be left out without mail\nspec.integrations.mailReports.address: must have at most 18 characters before the @ if subaddresses is set",
        ),
        ("integrations: { push: {} }", "spec.integrations.push: must have fcm, webPush or both"),
        (
            "integrations: { calendars: [{ name: a, pollInterval: 1s }] }",
            "spec.integrations.calendars[0]: must have exactly one of caldav and google\nspec.integrations.calendars[0].pollInterval: must be at least 10s",
        ),
    ]);
}

/// What is no reserved name everywhere may still be what this stack calls a Secret.
#[test]
fn a_secret_of_the_stacks_own_is_not_for_users() {
    let mail = |secret: &str| {
        format!(
            "integrations: {{ mail: {{ host: a, port: 25, from: a@b, username: u, password: {{ secret: {secret}, key: k }} }} }}"
        )
    };
    for secret in [
        "clinic-kek",
        "clinic-database-patient",
        "clinic-auth-service-identity",
        "signing-keys",
        "my-identity",
    ] {
        let expected = format!(
            "spec.integrations.mail.password.secret: {secret} is what the stack calls a Secret of its own; choose another name"
        );
        each_is_refused(&[(&mail(secret), &expected)]);
    }
    each_is_refused(&[(&mail("other-kek"), "none"), (&mail("clinic-smtp"), "none")]);
}

#[test]
fn tls_ends_in_one_place() {
    let tls = "tls: { certificate: { secret: a, key: b }, privateKey: { secret: a, key: c } }";
    let refused = "spec.gateway.tls: must be left out with ingress: what is behind an Ingress or a Gateway is spoken to without TLS; \
                   give the host's certificate to ingress.tls, or to the Gateway";
    each_is_refused(&[
        (&format!("gateway: {{ ingress: {{ host: a.example }}, {tls} }}"), refused),
        (
            &format!("gateway: {{ ingress: {{ host: a.example, parentRefs: [{{ name: b }}] }}, {tls} }}"),
            refused,
        ),
        (&format!("gateway: {{ {tls} }}"), "none"),
    ]);
}

/// By the same reading as the gateway's: what is taken here can be planned.
#[test]
fn pages_of_other_origins_are_named_one_by_one() {
    const FORM: &str = "must be an origin such as https://portal.example.org, without a path; http:// is for localhost alone";
    let cors = |origin: &str| format!("gateway: {{ cors: {{ origins: [{origin:?}] }} }}");
    for origin in [
        "https://portal.example.org",
        "https://portal.example.org:8443",
        "https://[2001:db8::1]",
        "http://localhost:5173",
        "http://[::1]:5173",
    ] {
        each_is_refused(&[(&cors(origin), "none")]);
    }
    for origin in [
        "*",
        "null",
        "https://*.example.org",
        "https://portal.example.org/",
        "https://Portal.example.org",
        "http://portal.example.org",
        "http://localhost.example.org",
    ] {
        each_is_refused(&[(&cors(origin), &format!("spec.gateway.cors.origins[0]: {FORM}"))]);
    }
    for origin in ["https://portal.example.org:99999", "https://[::1::2]", "https://portal.example.org:0"] {
        let said = "is no origin; write one such as https://portal.example.org, without a path";
        each_is_refused(&[(&cors(origin), &format!("spec.gateway.cors.origins[0]: {origin} {said}"))]);
    }
    each_is_refused(&[
        ("gateway: { cors: {} }", "spec.gateway.cors.origins: is required"),
        ("gateway: { cors: { origins: [] } }", "spec.gateway.cors.origins: must have at least 1 item"),
        (
            "gateway: { cors: { origins: ['https://a.example'], maxAge: 2d } }",
            "spec.gateway.cors.maxAge: must be at most 1d",
        ),
        (
            "gateway: { cors: { origins: ['https://a.example'], credentials: true } }",
            "spec.gateway.cors.credentials: there is no such field",
        ),
    ]);
}

#[test]
fn things_with_one_name_are_refused() {
    each_is_refused(&[
        (
            "services: { patient: { env: [{ name: A, value: a }, { name: A, value: b }] } }",
            "spec.services.patient.env[1].name: A is there already",
        ),
        (
            "gateway: { trustedProxies: [10.0.0.0/8, 10.0.0.0/8] }",
            "spec.gateway.trustedProxies[1]: 10.0.0.0/8 is there already",
        ),
    ]);
}

#[test]
fn a_service_that_another_needs_cannot_be_switched_off() {
    each_is_refused(&[
        (
            "services: { auth: { enabled: false } }",
            "spec.services.auth.enabled: must be true: without auth nobody can sign in",
        ),
        (
            "services: { provider: { enabled: false } }",
            "spec.services.provider.enabled: must be true while appointment is enabled, which needs it",
        ),
        ("services: { provider: { enabled: false }, appointment: { enabled: false } }", "none"),
        ("services: { notification: { enabled: false } }", "none"),
    ]);
}

#[test]
fn a_currency_is_one_in_use_with_two_decimals() {
    each_is_refused(&[
        (
            "currency: JPY",
            "spec.currency: JPY has not two decimals, which is what bills are written in; choose one that has",
        ),
        ("currency: DEM", "spec.currency: DEM is no currency in use; write its ISO 4217 code, such as EUR"),
        ("currency: eur", "spec.currency: must be the ISO 4217 code of a currency, such as EUR"),
        ("currency: CHF", "none"),
    ]);
}

#[test]
fn somebody_elses_database_must_have_enough_connections() {
    let spec = "database: { external: { url: { secret: db, key: url }, maxConnections: 20 } }\nservices: { patient: { autoscaling: { max: 20 } } }";
    each_is_refused(&[(
        spec,
        "spec.database.external.maxConnections: 20 are too few: with so many pods the services need 52",
    )]);
}
