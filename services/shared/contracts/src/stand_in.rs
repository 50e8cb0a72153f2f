//! [`Tells`]: what an answer may tell of a person's health, and so what may stand in for it while its service cannot answer.
//!
//! The one rule, asked by whoever reads a `HealthcareStack` (whose rules in CEL are made from it) and by the gateway that reads its configuration.
//! Why it is so: `docs/adr/0015-what-may-stand-in-for-an-answer.md`.

use settings::ServiceName;

use crate::permission::Permission;

/// What an answer may tell of a person's health. The later, the more harm is done by what is old or empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tells {
    /// Nothing: providers.
    Nothing,
    /// That somebody is cared for, and why: appointments, bills, messages.
    Care,
    /// What somebody is treated by: allergies, conditions, diagnoses, prescriptions.
    Treatment,
}

impl Tells {
    /// What a service's answers may tell.
    pub const fn of_service(service: ServiceName) -> Self {
        match service {
            // Auth's, since it reads the audit of all.
            ServiceName::PatientService | ServiceName::MedicalRecordsService | ServiceName::AuthService => {
                Self::Treatment
            }
            ServiceName::AppointmentService
            | ServiceName::BillingService
            | ServiceName::NotificationService => Self::Care,
            ServiceName::ProviderService => Self::Nothing,
        }
    }

    /// What may be told to whoever must have this permission to be told it.
    pub const fn of_permission(permission: Permission) -> Self {
        match permission {
            Permission::PatientsRead
            | Permission::PatientsWrite
            | Permission::PatientsDelete
            | Permission::PatientsClinical
            | Permission::PatientsExport
            | Permission::ErasuresRead
            | Permission::RetainedRead
            // An old one would look as if it were still on.
            | Permission::HoldsRead
            | Permission::HoldsWrite
            | Permission::CareWrite
            // What was withdrawn would look as if it held, and what is new would be missing.
            | Permission::ConsentsRead
            | Permission::ConsentsWrite
            | Permission::ConsentsCollect
            | Permission::ContactsCollect
            | Permission::RecordsRead
            | Permission::RecordsWrite
            | Permission::RecordsDelete
            | Permission::AmendmentsRequest
            | Permission::AmendmentsDecide
            | Permission::BreakGlassUse
            | Permission::BreakGlassReview
            // Who saw whose data, and why; and what is not the latest would look like nobody since.
            | Permission::AuditRead => Self::Treatment,
            Permission::AppointmentsRead
            | Permission::AppointmentsWrite
            | Permission::AppointmentsReason
            | Permission::FeedsRead
            | Permission::FeedsWrite
            | Permission::BillsRead
            | Permission::BillsWrite
            | Permission::NotificationsRead
            | Permission::NotificationsSend
            | Permission::NotificationsWrite
            | Permission::NotificationsSuppress => Self::Care,
            Permission::ProvidersRead
            | Permission::ProvidersWrite
            | Permission::ProvidersSchedule
            | Permission::UsersRead
            | Permission::UsersWrite
            | Permission::RolesWrite
            | Permission::SessionsRead
            | Permission::SessionsWrite
            | Permission::TokensIntrospect
            | Permission::GatewayRead
            | Permission::KeysRead
            | Permission::RetentionRun
            | Permission::InternalCall
            | Permission::AuditCollect
            | Permission::KeysCollect
            | Permission::AnswersTell
            | Permission::HoldingsCollect
            | Permission::RetentionCarry
            | Permission::RevocationsRead => Self::Nothing,
        }
    }

    /// What a route's answers may tell, by all services that may give them and all permissions that it asks for.
    pub fn of(
        services: impl IntoIterator<Item = ServiceName>,
        permissions: impl IntoIterator<Item = Permission>,
    ) -> Self {
        let services = services.into_iter().map(Self::of_service);
        services.chain(permissions.into_iter().map(Self::of_permission)).max().unwrap_or(Self::Nothing)
    }

    /// Why no answer that was written down beforehand may stand in for it, if none may.
    pub const fn static_refused(self) -> Option<&'static str> {
        match self {
            Self::Nothing => None,
            Self::Care | Self::Treatment => Some(
                "is refused for what tells of a person's health: what is empty would look like none known",
            ),
        }
    }

    /// Why its last good answer may not stand in for it, if it may not.
    pub const fn stale_refused(self) -> Option<&'static str> {
        match self {
            Self::Nothing | Self::Care => None,
            Self::Treatment => Some(
                "is refused for patients and medical records: an old allergy list looks like a current one",
            ),
        }
    }

    /// How old the last good answer may be, seconds.
    pub const fn stale_seconds_max(self) -> u32 {
        match self {
            Self::Nothing => 3_600,
            Self::Care => 300,
            Self::Treatment => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Access;

    #[test]
    fn a_services_answers_tell_no_more_than_is_said_of_it() {
        for operation in crate::operations() {
            if let (Some(service), Access::Needs(permission)) = (operation.service, operation.access) {
                let (told, said) = (Tells::of_permission(permission), Tells::of_service(service));
                assert!(told <= said, "{}: {told:?}, and {service} is said to tell {said:?}", operation.id);
            }
        }
    }

    #[test]
    fn the_most_that_a_route_may_tell_counts() {
        let providers = [ServiceName::ProviderService];
        assert_eq!(Tells::of(providers, [Permission::ProvidersRead]), Tells::Nothing);
        assert_eq!(Tells::of(providers, [Permission::ProvidersRead, Permission::BillsRead]), Tells::Care);
        assert_eq!(Tells::of([providers[0], ServiceName::PatientService], []), Tells::Treatment);
        assert_eq!(Tells::of([], []), Tells::Nothing);
    }
}
