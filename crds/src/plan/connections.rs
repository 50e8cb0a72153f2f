//! How many database connections each service may hold, so that all of them together stay below what the server has.

use settings::ServiceName;

use crate::{Database, Stack};

/// Connections of a whole stack, if nothing else is said: PostgreSQL's default of 100, less what it reserves for administrators and
/// what migrations and backups need.
pub const DATABASE_CONNECTIONS: u32 = 90;

/// With fewer, a service cannot read its keys while it writes its data.
const CONNECTIONS_MIN: u32 = 2;

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

/// What each service may hold that runs once, in one process with the others.
pub(crate) const fn of_one_process(service: ServiceName) -> u32 {
    share(service)
}

/// What each pod of a service may hold on a cluster.
///
/// With a server of the stack's own, that is the same however many pods there are, so that a changed number of replicas restarts no
/// pod. A server of somebody else's has so many for us and no more: of those a pod gets the least, and its part of the service's share of
/// what is left, which moves with every service's replicas.
pub(crate) fn of_a_pod(stack: &Stack, service: ServiceName) -> u32 {
    match &stack.database {
        Database::Managed(_) | Database::CloudNativePg(_) => share(service).div_ceil(2),
        Database::External(external) => {
            let left = external.max_connections.saturating_sub(connections_min(stack));
            CONNECTIONS_MIN + left * share(service) / DATABASE_CONNECTIONS / pods_max(stack, service)
        }
    }
}

/// The least that the stack's services can work with on a cluster, with as many pods as there may be.
pub fn connections_min(stack: &Stack) -> u32 {
    stack.enabled().map(|service| CONNECTIONS_MIN * pods_max(stack, service)).sum()
}

/// The most that the stack's services hold on a cluster, all pods together. A server that the operator runs is given as many, and some
/// for administrators.
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
