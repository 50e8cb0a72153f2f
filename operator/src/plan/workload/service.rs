//! The seven services.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::EnvVar;
use serde::Serialize;
use serde_json::Value;
use settings::{ADMIN_PORT, Encryption, SecretRef, ServiceName};
use stack::{Service, names};

use crate::plan::pod::{self, Mounts, Pod};
use crate::plan::{Context, config};

pub(super) fn deployment(context: &Context<'_>, name: ServiceName, tag: &str) -> Option<Deployment> {
    let service = context.stack.services.get(&name)?;
    let mut container = pod::program(context, name.as_str(), tag, vec!["serve".to_owned()]);
    container.env.get_or_insert_default().extend(environment(context, name, service));
    container.ports = Some(vec![pod::port(pod::HTTP, name.port()), pod::port(pod::ADMIN, ADMIN_PORT)]);
    container.resources = Some(pod::resources(&service.resources));

    let mounts = mounts(context, name);
    let mut annotations = mounts.checksums(context);
    // What stands in the environment is read at the start alone, just like files.
    let named = service.env.iter().filter_map(|variable| variable.secret.as_ref());
    annotations.extend(named.filter_map(|named| pod::secret_checksum(context, &named.secret, &named.secret)));

    let mut template = Pod {
        part: name.as_str(),
        account: context.name(name.as_str()),
        container: super::watched(container, &service.probes),
        mounts,
        user: pod::USER,
        database: true,
    }
    .template(context);
    template.metadata.get_or_insert_default().annotations = Some(annotations);
    Some(super::deployment(context, name.as_str(), tag, service.scale, &service.probes, template))
}

fn environment(context: &Context<'_>, name: ServiceName, service: &Service) -> Vec<EnvVar> {
    let first_admin = SecretRef { secret: context.name(names::FIRST_ADMIN), key: "password".to_owned() };
    // Read when there is no user yet. Who signed in and deleted the Secret keeps a service that starts.
    let first_admin = (name == ServiceName::AuthService)
        .then(|| pod::secret_value("HEALTHCARE_ADMIN_PASSWORD", &first_admin, true));
    let named = service.env.iter().map(|variable| match &variable.secret {
        Some(secret) => pod::secret_value(&variable.name, secret, false),
        None => pod::value(&variable.name, variable.value.clone().unwrap_or_default()),
    });
    first_admin.into_iter().chain(named).collect()
}

/// The secrets that a service needs, and no others: its own identity, certificate and database role, and what its settings name.
pub(in crate::plan) fn mounts(context: &Context<'_>, name: ServiceName) -> Mounts {
    let settings = config::settings(context, name);
    let mut mounts = Mounts::default()
        .settings(context.name(name.as_str()), &config::text(&settings))
        .secret("database", context.name(&names::database(name)))
        .secret(names::KEK, context.name(names::KEK))
        .secret(&names::identity(name), context.name(&names::identity(name)))
        .secret(names::SERVICE_IDENTITIES, context.name(names::SERVICE_IDENTITIES))
        .secret(names::TLS, context.name(&names::tls(name.as_str())));
    if name == ServiceName::AuthService {
        mounts = mounts.secret(names::SIGNING_KEYS, context.name(names::SIGNING_KEYS));
    }
    // A service goes on without traces, if the collector's secrets are missing, and without an identity provider or a calendar, if that one's are;
    // unless it needs the same ones for something else.
    let mut needs = settings;
    let outside = (
        needs.observability.tracing.take(),
        std::mem::take(&mut needs.auth.identity_providers),
        std::mem::take(&mut needs.integrations.calendars),
    );
    let engine = std::mem::take(&mut needs.encryption);
    let mounts = named_secrets(&needs).iter().fold(mounts, |mounts, named| mounts.named_secret(named));
    let mounts = with_engine(mounts, &engine);
    named_secrets(&outside).iter().fold(mounts, |mounts, named| mounts.optional_secret(named))
}

/// What a transit engine is asked with is renewed often, and read whenever it is asked.
pub(in crate::plan) fn with_engine(mounts: Mounts, encryption: &Encryption) -> Mounts {
    named_secrets(encryption).iter().fold(mounts, |mounts, named| mounts.followed_secret(named))
}

/// The users' Secrets that the settings name, wherever in them: a new integration cannot be forgotten here.
fn named_secrets(settings: &impl Serialize) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    collect(&serde_json::to_value(settings).unwrap_or_default(), &mut found);
    found.retain(|name| !names::is_reserved_secret(name));
    found
}

fn collect(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => match serde_json::from_value::<SecretRef>(value.clone()) {
            Ok(named) => drop(found.insert(named.secret)),
            Err(_) => members.values().for_each(|member| collect(member, found)),
        },
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        _ => {}
    }
}
