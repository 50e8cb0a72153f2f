//! [`plan_service`]: what one of the seven services is told.

use settings::{
    ADMIN_PORT, Address, AuthSettings, Database, Integrations, Peer, SecretRef, ServiceName, ServiceSettings,
};

use super::connections::{of_a_pod, of_one_process};
use super::{AUDIENCE, LocalDatabase, Placement, issuer, observability};
use crate::Stack;

/// What a service is told. For one that is switched off too: what it would be told.
pub fn plan_service(stack: &Stack, service: ServiceName, placement: &Placement) -> ServiceSettings {
    ServiceSettings {
        service,
        listen: listen(stack, service, placement),
        admin_listen: match placement {
            Placement::Local { .. } => None,
            Placement::Kubernetes | Placement::Compose => Some(Address(format!("0.0.0.0:{ADMIN_PORT}"))),
        },
        database: database(stack, service, placement),
        time_zone: stack.time_zone.name().to_owned(),
        currency: stack.currency.code().to_owned(),
        peers: stack.enabled().map(|peer| (peer, Peer { address: placement.address(stack, peer) })).collect(),
        auth: AuthSettings {
            issuer: issuer(stack),
            audience: AUDIENCE.to_owned(),
            access_token_seconds: stack.auth.access_token_lifetime.secs(),
            refresh_token_seconds: stack.auth.refresh_token_lifetime.secs(),
            session_seconds: stack.auth.session_lifetime.secs(),
            password_policy: stack.auth.password_policy,
        },
        integrations: integrations(stack, service),
        observability: observability(stack),
    }
}

fn listen(stack: &Stack, service: ServiceName, placement: &Placement) -> Address {
    match placement {
        Placement::Local { .. } => placement.address(stack, service),
        Placement::Kubernetes | Placement::Compose => Address(format!("0.0.0.0:{}", service.port())),
    }
}

fn database(stack: &Stack, service: ServiceName, placement: &Placement) -> Database {
    let short = service.short();
    let postgres = |url: SecretRef, max_connections| Database::Postgres {
        url,
        schema: short.to_owned(),
        keys_schema: format!("{short}_keys"),
        max_connections,
    };
    match placement {
        Placement::Local { data_dir, database: LocalDatabase::Sqlite, .. } => Database::Sqlite {
            path: data_dir.join("db").join(format!("{short}.sqlite")),
            keys_path: data_dir.join("keys").join(format!("{short}.sqlite")),
        },
        Placement::Local { database: LocalDatabase::Postgres { url }, .. } => {
            postgres(url.clone(), of_one_process(service))
        }
        Placement::Kubernetes | Placement::Compose => postgres(database_url(), of_a_pod(stack, service)),
    }
}

/// Mounted under one name everywhere, but each service has its own: the role in it opens that service's schemas and no other.
fn database_url() -> SecretRef {
    SecretRef { secret: "database".to_owned(), key: "url".to_owned() }
}

/// Only what the service speaks to: nobody else learns which secret it needs.
fn integrations(stack: &Stack, service: ServiceName) -> Integrations {
    match service {
        ServiceName::NotificationService => Integrations { mail: stack.integrations.mail.clone() },
        _ => Integrations::default(),
    }
}
