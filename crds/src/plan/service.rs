//! [`plan_service`]: what one of the seven services is told.

use std::collections::BTreeMap;
use std::path::Path;

use contracts::permission::Role;
use settings::{
    AccessSettings, AppointmentSettings, AuthSettings, CalDavSettings, CalendarSettings, Database,
    FcmSettings, IdentityProvider, Integrations, LogOff, OutsideRole, OutsideSecondFactor, Peer,
    PushSettings, RetentionSettings, SecondFactor, SecretRef, ServiceName, ServiceSettings, SmsSettings,
    WebPushSettings, WebhookSettings,
};

use super::connections::{of_a_pod, of_one_process};
use super::{AUDIENCE, LocalDatabase, Placement, issuer, observability};
use crate::Stack;
use crate::spec::{
    AppointmentsSpec, CalDav, Calendar, Fcm, IdentityProviderSpec, PersonsRole, PushSpec, RoleLogOff,
    SecondFactorSpec, SmsSpec, Span, WebPush,
};

/// What a service is told. For one that is switched off too: what it would be told.
pub fn plan_service(stack: &Stack, service: ServiceName, placement: &Placement) -> ServiceSettings {
    ServiceSettings {
        service,
        listen: placement.listen(stack, service),
        admin_listen: placement.admin_listen(),
        tls: placement.tls(),
        database: database(stack, service, placement),
        encryption: stack.encryption.clone(),
        time_zone: stack.time_zone.name().to_owned(),
        currency: stack.currency.code().to_owned(),
        peers: stack.enabled().map(|peer| (peer, Peer { address: placement.address(stack, peer) })).collect(),
        calls: stack.service_calls,
        auth: AuthSettings {
            issuer: issuer(stack),
            audience: AUDIENCE.to_owned(),
            access_token_seconds: stack.auth.access_token_lifetime.secs(),
            refresh_token_seconds: stack.auth.refresh_token_lifetime.secs(),
            session_seconds: stack.auth.session_lifetime.secs(),
            log_off: log_off(stack, service),
            second_factor: second_factor(stack, service),
            identity_providers: identity_providers(stack, service),
            revocations_stale_seconds: stack.auth.revocations_stale_after.secs(),
            password_policy: stack.auth.password_policy,
        },
        access: access(stack, service),
        retention: retention(stack, service),
        appointments: appointments(stack, service),
        integrations: integrations(stack, service),
        observability: observability(stack),
    }
}

/// Auth begins and ends sessions; the others need not start anew when this changes.
fn log_off(stack: &Stack, service: ServiceName) -> BTreeMap<String, LogOff> {
    if service != ServiceName::AuthService {
        return BTreeMap::new();
    }
    let seconds = |span: Option<Span>| span.map(Span::secs);
    let of = |RoleLogOff { idle, session }| LogOff {
        idle_seconds: seconds(idle),
        session_seconds: seconds(session),
    };
    stack.auth.log_off.by_role().map(|(role, log_off)| (role.to_string(), of(log_off))).collect()
}

/// Auth alone asks for it.
fn second_factor(stack: &Stack, service: ServiceName) -> SecondFactor {
    if service != ServiceName::AuthService {
        return SecondFactor::default();
    }
    let SecondFactorSpec { roles, custom_roles } = &stack.auth.second_factor;
    let name = |role: &PersonsRole| Role::from(*role).to_string();
    SecondFactor { roles: roles.iter().map(name).collect(), custom_roles: *custom_roles }
}

/// Each is told what it acts by; the others need not start anew when this changes.
fn access(stack: &Stack, service: ServiceName) -> AccessSettings {
    let usual = AccessSettings::default();
    match service {
        ServiceName::MedicalRecordsService => {
            AccessSettings { break_glass_seconds: stack.access.break_glass.secs(), ..usual }
        }
        ServiceName::NotificationService => {
            AccessSettings { privacy_officer: stack.access.privacy_officer.clone(), ..usual }
        }
        _ => usual,
    }
}

/// Each is told its own years; the others need not start anew when they change.
fn retention(stack: &Stack, service: ServiceName) -> RetentionSettings {
    let (told, none) = (&stack.retention, RetentionSettings::default());
    match service {
        ServiceName::MedicalRecordsService => {
            RetentionSettings { medical_records: told.medical_records, ..none }
        }
        ServiceName::BillingService => RetentionSettings { bills: told.bills, ..none },
        ServiceName::AppointmentService => RetentionSettings { appointments: told.appointments, ..none },
        ServiceName::NotificationService => RetentionSettings { notifications: told.notifications, ..none },
        _ => none,
    }
}

/// The appointment service alone holds slots; the others need not start anew when this changes.
fn appointments(stack: &Stack, service: ServiceName) -> AppointmentSettings {
    if service != ServiceName::AppointmentService {
        return AppointmentSettings::default();
    }
    let AppointmentsSpec { slot_hold, slot_hold_max, waitlist_offer } = stack.appointments;
    AppointmentSettings {
        slot_hold_seconds: slot_hold.secs(),
        slot_hold_seconds_max: slot_hold_max.secs(),
        waitlist_offer_seconds: waitlist_offer.secs(),
    }
}

/// Auth alone speaks to them: nobody else learns which secrets it needs.
fn identity_providers(stack: &Stack, service: ServiceName) -> Vec<IdentityProvider> {
    if service != ServiceName::AuthService {
        return Vec::new();
    }
    stack.auth.identity_providers.iter().map(identity_provider).collect()
}

fn identity_provider(spec: &IdentityProviderSpec) -> IdentityProvider {
    let spec = spec.clone();
    let second_factor = spec.second_factor.unwrap_or_default();
    IdentityProvider {
        display_name: spec.display_name.unwrap_or_else(|| spec.name.clone()),
        name: spec.name,
        issuer: spec.issuer,
        client_id: spec.client_id,
        client_secret: spec.client_secret,
        ca: spec.ca,
        scopes: spec.scopes,
        redirect_uris: spec.redirect_uris,
        roles_claim: spec.roles_claim,
        username_claim: spec.username_claim,
        roles: spec.roles.into_iter().map(|row| OutsideRole { value: row.value, role: row.role }).collect(),
        second_factor: OutsideSecondFactor { amr: second_factor.amr, acr: second_factor.acr },
    }
}

fn database(stack: &Stack, service: ServiceName, placement: &Placement) -> Database {
    match placement {
        Placement::Local { data_dir, database, .. } => local_database(service, data_dir, database),
        Placement::Kubernetes | Placement::Compose => {
            postgres(service, database_url(), of_a_pod(stack, service))
        }
    }
}

/// Where a service's data and keys are in one process, whatever else the stack is.
pub fn local_database(service: ServiceName, data_dir: &Path, database: &LocalDatabase) -> Database {
    let file = |folder: &str| data_dir.join(folder).join(format!("{}.sqlite", service.short()));
    match database {
        LocalDatabase::Sqlite => Database::Sqlite { path: file("db"), keys_path: file("keys") },
        LocalDatabase::Postgres { url } => postgres(service, url.clone(), of_one_process(service)),
    }
}

fn postgres(service: ServiceName, url: SecretRef, max_connections: u32) -> Database {
    let schema = service.short().to_owned();
    Database::Postgres { url, keys_schema: format!("{schema}_keys"), schema, max_connections }
}

/// Mounted under one name everywhere, but each service has its own: the role in it opens that service's schemas and no other.
fn database_url() -> SecretRef {
    SecretRef { secret: "database".to_owned(), key: "url".to_owned() }
}

/// Only what the service speaks to: nobody else learns which secret it needs.
fn integrations(stack: &Stack, service: ServiceName) -> Integrations {
    match service {
        ServiceName::NotificationService => {
            let outside = &stack.integrations;
            Integrations {
                mail: outside.mail.clone(),
                mail_fallback: outside.mail_fallback.clone(),
                mail_reports: outside.mail_reports.clone(),
                sms: outside.sms.as_ref().map(sms),
                sms_fallback: outside.sms_fallback.iter().map(sms).collect(),
                push: outside.push.as_ref().map(push),
                public_url: outside.public_url.clone(),
                link_hosts: outside.link_hosts.clone(),
                ..Integrations::default()
            }
        }
        ServiceName::AppointmentService => {
            let calendars = stack.integrations.calendars.iter().map(calendar).collect();
            let webhooks = stack.integrations.webhooks.as_ref();
            let webhooks = webhooks.map(|it| WebhookSettings { own_hosts: it.own_hosts.clone() });
            Integrations { calendars, webhooks, ..Integrations::default() }
        }
        ServiceName::ProviderService => {
            Integrations { npi_registry: stack.integrations.npi_registry.clone(), ..Integrations::default() }
        }
        _ => Integrations::default(),
    }
}

fn sms(spec: &SmsSpec) -> SmsSettings {
    let SmsSpec { url, account_sid, auth_token, from } = spec.clone();
    SmsSettings { url, account_sid, auth_token, from }
}

fn push(spec: &PushSpec) -> PushSettings {
    let PushSpec { fcm, web_push } = spec.clone();
    PushSettings {
        fcm: fcm.map(|Fcm { url, project_id, service_account }| FcmSettings {
            url,
            project_id,
            service_account,
        }),
        web_push: web_push.map(|WebPush { vapid_key, contact, own_hosts }| WebPushSettings {
            vapid_key,
            contact,
            own_hosts,
        }),
    }
}

fn calendar(spec: &Calendar) -> CalendarSettings {
    let Calendar { name, provider_id, poll_interval, caldav, google } = spec.clone();
    let caldav = caldav.map(|CalDav { url, username, password }| CalDavSettings { url, username, password });
    CalendarSettings { name, provider_id, poll_seconds: poll_interval.secs(), caldav, google }
}
