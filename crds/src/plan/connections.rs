//! How many database connections each service may hold, so that all of them together stay below what the server has.

use settings::ServiceName;

use crate::{Database, Stack};

/// Connections of a whole stack, if nothing else is said: PostgreSQL's default of 100, less what it reserves for administrators and
/// what migrations and backups need.
pub const DATABASE_CONNECTIONS: u32 = 90;

/// Fewer than this and a service cannot read its keys while it writes its data.
pub(crate) const CONNECTIONS_MIN: u32 = 2;

/// Each service's part of [`DATABASE_CONNECTIONS`]. Bookings hold theirs longest (they wait for locks); providers change little.
const fn share(service: ServiceName) -> u32 {
    match service {
        ServiceName::AppointmentService => 20,
        ServiceName::PatientService => 15,
        ServiceName::AuthService => 13,
        ServiceName::BillingService | ServiceName::MedicalRecordsService => 12,
        ServiceName::NotificationService => 10,
        ServiceName::ProviderService => 8,
    }
}

/// For a service that runs once, in a stack with the usual number of connections.
pub(crate) const fn of_one_process(service: ServiceName) -> u32 {
    share(service)
}

/// For each pod of a service on a cluster: its share, split among the most pods that there can be.
pub(crate) fn of_a_pod(stack: &Stack, service: ServiceName) -> u32 {
    let budget = match &stack.database {
        Database::External(external) => external.max_connections,
        Database::Managed(_) | Database::CloudNativePg(_) => DATABASE_CONNECTIONS,
    };
    (budget * share(service) / DATABASE_CONNECTIONS / pods_max(stack, service)).max(CONNECTIONS_MIN)
}

/// The most connections that the stack's services hold on a cluster, all pods together. A server that the operator runs is given
/// as many, and some for administrators.
pub fn connections_max(stack: &Stack) -> u32 {
    stack.enabled().map(|service| of_a_pod(stack, service) * pods_max(stack, service)).sum()
}

fn pods_max(stack: &Stack, service: ServiceName) -> u32 {
    stack.services.get(&service).map_or(1, |service| service.scale.max()).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_are_the_whole() {
        assert_eq!(ServiceName::ALL.into_iter().map(share).sum::<u32>(), DATABASE_CONNECTIONS);
    }
}
