//! PostgreSQL's settings: from how much memory and how large a volume it has, and how many connections the stack holds.

use std::collections::BTreeMap;

use stack::spec::{ManagedDatabase, Quantity, ResourceAmounts, Resources};

const MEBIBYTE: u128 = 1 << 20;
/// Of a pod without a limit: what small clusters have to give.
const MEMORY_MB_ASSUMED: u128 = 1_024;
/// Setup, backup, and a person who looks; three of them PostgreSQL keeps for superusers.
const CONNECTIONS_RESERVED: u32 = 20;

pub(super) fn default_resources() -> Resources {
    let amounts = |cpu, memory| Some(ResourceAmounts { cpu, memory: Some(Quantity::mebibytes(memory)) });
    Resources { requests: amounts(Some(Quantity::millis(100)), 256), limits: amounts(None, 1_024) }
}

/// Enough for two pods of every service, with a rollout.
const CONNECTIONS_LEAST: u32 = 256;

/// While a rollout is under way, old and new pods hold connections side by side. In steps, since PostgreSQL has to restart when it
/// changes: a few replicas more shall not do that.
fn max_connections(held: u32) -> u32 {
    (2 * held + CONNECTIONS_RESERVED).next_power_of_two().max(CONNECTIONS_LEAST)
}

/// The whole file: nothing else is read but what `alter system` wrote.
pub(super) fn postgresql_conf(managed: &ManagedDatabase, held: u32) -> String {
    let limits = managed.resources.clone().unwrap_or_else(default_resources).limits;
    let memory = limits.and_then(|limits| limits.memory).map_or(MEMORY_MB_ASSUMED, |memory| in_mb(&memory));
    let disk = in_mb(&managed.storage.size);
    let connections = max_connections(held);
    let shared = (memory / 4).max(32);
    let cached = (memory * 5 / 8).max(64);
    let maintenance = (memory / 16).clamp(16, 1_024);
    // A quarter of the memory, if a tenth of the connections sort at once.
    let work = (memory * 10 / 4 / u128::from(connections)).clamp(1, 64);
    let wal = (disk / 10).clamp(128, 4_096);
    format!(
        "\
listen_addresses = '*'
unix_socket_directories = '/var/run/postgresql'
max_connections = {connections}
password_encryption = 'scram-sha-256'
ssl = on
ssl_min_protocol_version = 'TLSv1.3'

shared_buffers = {shared}MB
effective_cache_size = {cached}MB
maintenance_work_mem = {maintenance}MB
work_mem = {work}MB
random_page_cost = 1.1
# Parallel work shares memory through /dev/shm, of which a container has 64 MB; these queries gain nothing by it.
max_parallel_workers_per_gather = 0
max_parallel_maintenance_workers = 0

max_wal_size = {wal}MB
min_wal_size = 80MB
wal_compression = on
checkpoint_timeout = 15min

timezone = 'UTC'
log_timezone = 'UTC'
log_destination = 'stderr'
logging_collector = off
log_checkpoints = off
log_lock_waits = on
# Statements and rows stay out of the log: they may hold what nobody is to read there.
log_statement = 'none'
log_min_error_statement = 'panic'
log_error_verbosity = 'terse'
"
    )
}

/// What CloudNativePG is told; it sets the rest.
pub(super) fn cluster_parameters(held: u32) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        ("max_connections", max_connections(held).to_string()),
        ("password_encryption", "scram-sha-256".to_owned()),
        ("log_statement", "none".to_owned()),
        ("log_min_error_statement", "panic".to_owned()),
        ("log_error_verbosity", "terse".to_owned()),
    ])
}

fn in_mb(quantity: &Quantity) -> u128 {
    quantity.milli() / 1_000 / MEBIBYTE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_follow_memory_volume_and_connections() {
        insta::assert_snapshot!(postgresql_conf(&ManagedDatabase::default(), 90));
    }

    #[test]
    fn a_few_replicas_more_restart_no_database() {
        assert_eq!([46, 92, 118].map(max_connections), [256; 3]);
        assert_eq!(max_connections(119), 512);
    }

    #[test]
    fn little_memory_is_not_promised_twice() {
        let mut managed = ManagedDatabase::default();
        for megabytes in [64, 256, 1_024, 65_536] {
            let memory = Some(Quantity::mebibytes(megabytes));
            let limits = Some(ResourceAmounts { cpu: None, memory });
            managed.resources = Some(Resources { requests: None, limits });
            let text = postgresql_conf(&managed, 90);
            let of = |name: &str| -> u32 {
                let line = text.lines().find(|line| line.starts_with(name)).unwrap();
                line.chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap()
            };
            assert!(of("shared_buffers") + of("maintenance_work_mem") + of("work_mem") < megabytes, "{text}");
        }
    }
}
