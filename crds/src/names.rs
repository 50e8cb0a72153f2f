//! What a stack's objects are called on a cluster, whatever the stack is called.
//!
//! A stack's name may be any that the API server takes for a custom resource: a DNS subdomain of up to 253 characters, with dots, and with
//! a digit first. Its objects are `<stack>-<part>`, which must be a DNS label (RFC 1035: Services were nothing else before Kubernetes
//! 1.34) and leave room for what controllers hang on. A stack's name that does not fit is shortened and told apart by a digest.
//!
//! No two stacks of a namespace share an object: shortened names have a double dash, which no other has, and no part's name ends in a dash
//! and another part's name.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::BASE32_DNSSEC;
use settings::ServiceName;

/// The longest object name. A StatefulSet's pods carry `<name>-<10 characters>` as a label, and a CronJob's Jobs `<name>-<11 characters>`:
/// both have 63 at most.
pub const OBJECT_NAME_MAX: usize = 52;

/// The longest value of a label.
const LABEL_MAX: usize = 63;

/// Characters of a digest: 50 bits.
const DIGEST_LEN: usize = 10;

/// The gateway: its Deployment, Service, ServiceAccount, and the ConfigMap with its configuration.
pub const API_GATEWAY: &str = "api-gateway";
/// The key that service and gateway tokens of the gateway are signed with.
pub const API_GATEWAY_IDENTITY: &str = "api-gateway-identity";
/// The PostgreSQL that the operator runs: StatefulSet, Service; its scripts.
pub const POSTGRES: &str = "postgres";
/// The administrator's role of the database: URL and CA certificate.
pub const DATABASE_ADMIN: &str = "database-admin";
/// The Job that makes roles and schemas.
pub const DATABASE_SETUP: &str = "database-setup";
/// The role that takes backups.
pub const DATABASE_READER: &str = "database-reader";
/// The certificate of the PostgreSQL that the operator runs, and its CA.
pub const DATABASE_TLS: &str = "database-tls";
/// The CA of the certificates that the parts show each other: its key signs, and no pod sees it.
pub const INTERNAL_CA: &str = "internal-ca";
/// What a part's own [`tls`] Secret is called inside its pods.
pub const TLS: &str = "tls";
/// The key-encryption keys.
pub const KEK: &str = "kek";
/// The keys that users' tokens are signed with.
pub const SIGNING_KEYS: &str = "signing-keys";
/// The public halves of all identities.
pub const SERVICE_IDENTITIES: &str = "service-identities";
/// The first administrator's password.
pub const FIRST_ADMIN: &str = "first-admin";
/// The CronJob that takes backups, and the volume that holds them.
pub const BACKUP: &str = "backup";
/// The CronJob that takes the wrapped keys alone, between backups, and the volume that holds them.
pub const BACKUP_KEYS: &str = "backup-keys";
/// The last backup, taken when a stack is deleted.
pub const LAST_BACKUP: &str = "backup-last";
/// The Job that fills a new database from a backup.
pub const RESTORE: &str = "restore";
/// The network policy that holds for every pod.
pub const DEFAULT_DENY: &str = "default-deny";
/// The network policy of every pod that speaks to the database.
pub const DATABASE_CLIENTS: &str = "database-clients";
/// The network policy of every pod that carries backups to an object store or from there.
pub const OBJECT_STORE_CLIENTS: &str = "object-store-clients";
/// What Prometheus collects.
pub const METRICS: &str = "metrics";
/// Alerting rules.
pub const ALERTS: &str = "alerts";
/// The Grafana dashboard.
pub const DASHBOARD: &str = "dashboard";

const PARTS: [&str; 22] = [
    API_GATEWAY,
    API_GATEWAY_IDENTITY,
    POSTGRES,
    DATABASE_ADMIN,
    DATABASE_SETUP,
    DATABASE_READER,
    DATABASE_TLS,
    INTERNAL_CA,
    KEK,
    SIGNING_KEYS,
    SERVICE_IDENTITIES,
    FIRST_ADMIN,
    BACKUP,
    BACKUP_KEYS,
    LAST_BACKUP,
    RESTORE,
    DEFAULT_DENY,
    DATABASE_CLIENTS,
    OBJECT_STORE_CLIENTS,
    METRICS,
    ALERTS,
    DASHBOARD,
];

/// A service's own identity: the key that it signs its tokens with.
pub fn identity(service: ServiceName) -> String {
    format!("{service}-identity")
}

/// The certificate by which the others know a part, which may be the gateway, and whom it believes.
pub fn tls(part: &str) -> String {
    format!("{part}-tls")
}

/// A service's role in the database: its connection URL and the CA certificate.
pub fn database(service: ServiceName) -> String {
    format!("database-{}", service.short())
}

/// The Job that brings a service's schema up to date.
pub fn migrate(service: ServiceName) -> String {
    format!("migrate-{}", service.short())
}

/// The Job that wraps a service's keys under another key-encryption key.
pub fn rewrap(service: ServiceName) -> String {
    format!("rewrap-{}", service.short())
}

/// Every part that a stack can have an object for.
pub fn parts() -> impl Iterator<Item = String> {
    let of_a_service = |service: ServiceName| {
        let own =
            [identity(service), tls(service.as_str()), database(service), migrate(service), rewrap(service)];
        [service.to_string()].into_iter().chain(own)
    };
    let own = PARTS.into_iter().map(str::to_owned).chain([tls(API_GATEWAY)]);
    own.chain(ServiceName::ALL.into_iter().flat_map(of_a_service))
}

/// Names below `HEALTHCARE_SECRETS_DIR` that are the stack's own. With [`RESERVED_SECRET_SUFFIX`]: what no Secret of a user may be called.
pub const RESERVED_SECRETS: [&str; 8] = [
    "kek",
    "signing-keys",
    "service-identities",
    "database",
    "database-admin",
    TLS,
    "first-admin",
    "postgres",
];
/// How the names of identities end.
pub const RESERVED_SECRET_SUFFIX: &str = "-identity";

/// Whether a Secret's name is the stack's own.
pub fn is_reserved_secret(name: &str) -> bool {
    RESERVED_SECRETS.contains(&name) || name.ends_with(RESERVED_SECRET_SUFFIX)
}

/// What the stack's object for a part is called: `clinic-patient-service`. At most [`OBJECT_NAME_MAX`] characters.
pub fn object(stack: &str, part: &str) -> String {
    let room = OBJECT_NAME_MAX.saturating_sub(part.len() + 1);
    if is_label(stack) && stack.len() <= room && !stack.contains("--") {
        return format!("{stack}-{part}");
    }
    let digest = short_digest(stack);
    format!("{}--{digest}-{part}", readable(stack, room.saturating_sub(DIGEST_LEN + 2)))
}

/// What labels call a stack: its name, or if that is longer than a label's value may be, a shortened one.
pub fn label(stack: &str) -> String {
    if stack.len() <= LABEL_MAX {
        return stack.to_owned();
    }
    // No stack's name has an underscore, so that no other stack is called so.
    format!("{}_{}", readable(stack, LABEL_MAX - DIGEST_LEN - 1), short_digest(stack))
}

/// The labels that Prometheus gives to all samples of a stack, and to no others.
pub fn sample_labels(namespace: &str, stack: &str) -> BTreeMap<String, String> {
    [("namespace", namespace.to_owned()), ("stack", label(stack))]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// RFC 1035: small letters, digits and dashes, a letter first, no dash last.
fn is_label(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && !name.ends_with('-')
}

/// The beginning of a stack's name, as a label without double dashes. The digest beside it tells stacks apart.
fn readable(stack: &str, len_max: usize) -> String {
    let mut label = String::with_capacity(len_max);
    for char in stack.chars() {
        match char {
            '0'..='9' if label.is_empty() => label.extend(['s', char]),
            'a'..='z' | '0'..='9' => label.push(char),
            _ if label.is_empty() || label.ends_with('-') => {}
            _ => label.push('-'),
        }
    }
    label.truncate(len_max);
    let label = label.trim_end_matches('-');
    if label.is_empty() { "s".to_owned() } else { label.to_owned() }
}

fn short_digest(stack: &str) -> String {
    let mut text = BASE32_DNSSEC.encode(digest(&SHA256, stack.as_bytes()).as_ref());
    text.truncate(DIGEST_LEN);
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use proptest::prelude::*;

    /// Every name that the API server takes for a custom resource, those that are like names of ours among them.
    fn stack_name() -> impl Strategy<Value = String> {
        let part = proptest::sample::select(parts().collect::<Vec<_>>());
        prop_oneof![
            "[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?",
            "[a-z0-9]([-a-z0-9]{0,9}[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]{0,9}[a-z0-9])?){1,6}",
            "[a-c](-?[a-c]){0,4}(--[0-9a-v]{10})?",
            ("[a-c]", part).prop_map(|(stack, part)| format!("{stack}-{part}")),
            "[a-z0-9]{100,253}",
        ]
    }

    #[test]
    fn a_name_that_fits_is_left_as_it_is() {
        assert_eq!(object("clinic", "patient-service"), "clinic-patient-service");
        assert_eq!(label("clinic.example.org"), "clinic.example.org");
    }

    #[test]
    fn a_name_that_does_not_fit_is_shortened_and_stays_readable() {
        assert_eq!(object("clinic.example.org", "kek"), "clinic-example-org--pe957bqm6g-kek");
        assert_eq!(object("2nd-clinic", "kek"), "s2nd-clinic--ccautfof2h-kek");
        assert_eq!(
            object("riverside-family-clinic", "medical-records-service-identity"),
            "riversi--0mrvum5m33-medical-records-service-identity"
        );
        assert_eq!(
            label(&"riverside.".repeat(7)[..69]),
            "riverside-riverside-riverside-riverside-riverside-ri_lbertg9320"
        );
    }

    #[test]
    fn no_part_ends_in_another_part() {
        let parts: BTreeSet<_> = parts().collect();
        assert_eq!(parts.len(), super::parts().count(), "a part twice");
        for part in &parts {
            assert!(is_label(part) && !part.contains("--"), "{part}");
            assert!(part.len() + 1 + 1 + 2 + DIGEST_LEN <= OBJECT_NAME_MAX, "{part} leaves no room");
            for other in &parts {
                assert!(!part.ends_with(&format!("-{other}")), "{part} ends in {other}");
            }
        }
    }

    proptest! {
        #[test]
        fn every_object_has_a_valid_name(stack in stack_name()) {
            for part in parts() {
                let name = object(&stack, &part);
                prop_assert!(is_label(&name) && name.len() <= OBJECT_NAME_MAX, "{name}");
                prop_assert!(name.ends_with(&format!("-{part}")), "{name}");
            }
            let label = label(&stack);
            prop_assert!(label.len() <= LABEL_MAX && !label.starts_with(['-', '.', '_']) && !label.ends_with(['-', '.', '_']), "{label}");
        }

        #[test]
        fn no_two_stacks_share_an_object(a in stack_name(), b in stack_name()) {
            prop_assume!(a != b);
            let names: BTreeSet<_> = parts().map(|part| object(&a, &part)).collect();
            prop_assert_eq!(names.len(), parts().count());
            for part in parts() {
                let name = object(&b, &part);
                prop_assert!(!names.contains(&name), "{name} is both {a}'s and {b}'s");
            }
            prop_assert_ne!(label(&a), label(&b));
        }
    }
}
