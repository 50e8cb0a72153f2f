//! Permissions, and the roles that group them. What a route needs stands beside the route, in its `api!` block.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! permissions {
    ($(#[doc = $doc:literal] $name:ident = $text:literal,)+) => {
        /// One thing that a caller may do.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Permission { $(#[doc = $doc] $name,)+ }

        impl Permission {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// As it stands in a token's `scope` and in a `HealthcareStack`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// What it is for, in a sentence.
            pub const fn summary(self) -> &'static str {
                match self { $(Self::$name => $doc.trim_ascii(),)+ }
            }
        }
    };
}

permissions! {
    /// See patients.
    PatientsRead = "patients:read",
    /// Register and change patients.
    PatientsWrite = "patients:write",
    /// Delete patients.
    PatientsDelete = "patients:delete",
    /// See patients' medical history, and change it.
    PatientsClinical = "patients:clinical",
    /// Take along all that is held on a patient.
    PatientsExport = "patients:export",
    /// See what became of a patient's data when they were deleted.
    ErasuresRead = "erasures:read",
    /// See what is kept of patients who were deleted.
    RetainedRead = "retained:read",
    /// See which data have had their time, and have them taken away.
    RetentionRun = "retention:run",
    /// See who is under legal hold, and why.
    HoldsRead = "holds:read",
    /// Place and lift legal holds.
    HoldsWrite = "holds:write",
    /// Say who treats a patient.
    CareWrite = "care:write",
    /// See what patients do not share, and with whom.
    ConsentsRead = "consents:read",
    /// Record and withdraw what patients do not share.
    ConsentsWrite = "consents:write",
    /// See appointments.
    AppointmentsRead = "appointments:read",
    /// Book, move and cancel appointments.
    AppointmentsWrite = "appointments:write",
    /// See why patients come, and change it.
    AppointmentsReason = "appointments:reason",
    /// See which calendar feeds there are, without their secrets.
    FeedsRead = "feeds:read",
    /// Make and revoke calendar feeds.
    FeedsWrite = "feeds:write",
    /// See bills.
    BillsRead = "bills:read",
    /// Write, change and void bills.
    BillsWrite = "bills:write",
    /// See medical records.
    RecordsRead = "records:read",
    /// Write and change medical records.
    RecordsWrite = "records:write",
    /// Delete medical records.
    RecordsDelete = "records:delete",
    /// Ask for one's records to be amended; for staff, take such a request down.
    AmendmentsRequest = "amendments:request",
    /// Say whether a record is amended.
    AmendmentsDecide = "amendments:decide",
    /// See somebody's records in an emergency, with a reason.
    BreakGlassUse = "break-glass:use",
    /// See who did so, and say whether it was right.
    BreakGlassReview = "break-glass:review",
    /// See providers.
    ProvidersRead = "providers:read",
    /// Add, change and remove providers.
    ProvidersWrite = "providers:write",
    /// Say when providers are away.
    ProvidersSchedule = "providers:schedule",
    /// See what was sent.
    NotificationsRead = "notifications:read",
    /// Send notifications.
    NotificationsSend = "notifications:send",
    /// Change what notifications of appointments say.
    NotificationsWrite = "notifications:write",
    /// See which addresses are written to no more, and lift that.
    NotificationsSuppress = "notifications:suppress",
    /// See users and roles.
    UsersRead = "users:read",
    /// Create, change and disable users.
    UsersWrite = "users:write",
    /// Make roles, and change and delete those that were made.
    RolesWrite = "roles:write",
    /// See anybody's sessions (one's own are for every signed-in user).
    SessionsRead = "sessions:read",
    /// End anybody's sessions.
    SessionsWrite = "sessions:write",
    /// Ask whether a token is good, and whose it is (RFC 7662).
    TokensIntrospect = "tokens:introspect",
    /// See the gateway's details (its status is for every signed-in user).
    GatewayRead = "gateway:read",
    /// Read who did what to whose data.
    AuditRead = "audit:read",
    /// See which keys there are, by what they are called.
    KeysRead = "keys:read",
    /// Call another service's internal routes. No person has it.
    InternalCall = "internal:call",
    /// Read what another service has in its audit. No person has it.
    AuditCollect = "audit:collect",
    /// Ask another service what its keys are wrapped under. No person has it.
    KeysCollect = "keys:collect",
    /// Ask what patients do not share, to keep to it. No person has it.
    ConsentsCollect = "consents:collect",
    /// Ask where a patient is reached, to write to them. No person has it.
    ContactsCollect = "contacts:collect",
    /// Tell what a patient answers of an appointment by a link that they were sent. No person has it.
    AnswersTell = "answers:tell",
    /// Read all that another service holds of a patient, and what it did away with. No person has it.
    HoldingsCollect = "holdings:collect",
    /// Have another service take away what has had its time. No person has it.
    RetentionCarry = "retention:carry",
    /// Follow who was logged out. No person has it; of all internal routes the gateway needs this one alone.
    RevocationsRead = "revocations:read",
}

impl Permission {
    /// Whether it is for the parts of a stack among themselves, so that no person has it.
    pub const fn is_internal(self) -> bool {
        matches!(
            self,
            Self::InternalCall
                | Self::AuditCollect
                | Self::KeysCollect
                | Self::ConsentsCollect
                | Self::ContactsCollect
                | Self::AnswersTell
                | Self::RevocationsRead
                | Self::HoldingsCollect
                | Self::RetentionCarry
        )
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Permission {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.iter().copied().find(|permission| permission.as_str() == text).ok_or(())
    }
}

/// A set of permissions, one bit each: checked on every request, so it must cost nothing.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Permissions(u64);

impl Permissions {
    /// None.
    pub const NONE: Self = Self(0);

    /// With one more.
    #[must_use]
    pub const fn with(self, permission: Permission) -> Self {
        Self(self.0 | 1 << permission as u8)
    }

    /// The union of two sets.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What both sets have.
    #[must_use]
    pub const fn within(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether it is in.
    pub const fn contains(self, permission: Permission) -> bool {
        self.0 & (1 << permission as u8) != 0
    }

    /// Whether all of `others` are in.
    pub const fn contains_all(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    /// Reads a token's `scope` (RFC 8693 §4.2): names separated by spaces. Unknown names are passed over, so that a token from a
    /// newer auth service still works here.
    pub fn from_scope(scope: &str) -> Self {
        scope.split(' ').filter_map(|name| name.parse().ok()).collect()
    }

    /// The token's `scope`.
    pub fn to_scope(self) -> String {
        self.iter().map(Permission::as_str).collect::<Vec<_>>().join(" ")
    }

    /// Each one.
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.iter().copied().filter(move |permission| self.contains(*permission))
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        permissions.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Permission::as_str)).finish()
    }
}

/// What a user is to the clinic. A user may have several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Runs the system.
    Admin,
    /// Treats patients.
    Clinician,
    /// Runs the front desk.
    Receptionist,
    /// Writes bills.
    Billing,
    /// Watches over privacy.
    PrivacyOfficer,
    /// Is treated; sees only what is theirs.
    Patient,
    /// Another service. No person has it.
    Service,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Admin,
        Self::Clinician,
        Self::Receptionist,
        Self::Billing,
        Self::PrivacyOfficer,
        Self::Patient,
        Self::Service,
    ];

    /// What it is to the clinic, in a sentence.
    pub const fn summary(self) -> &'static str {
        match self {
            Self::Admin => "Runs the system.",
            Self::Clinician => "Treats patients.",
            Self::Receptionist => "Runs the front desk.",
            Self::Billing => "Writes bills.",
            Self::PrivacyOfficer => "Watches over privacy.",
            Self::Patient => "Is treated; sees only what is theirs.",
            Self::Service => "Another service. No person has it.",
        }
    }

    /// As it stands in a token and in the users API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Clinician => "clinician",
            Self::Receptionist => "receptionist",
            Self::Billing => "billing",
            Self::PrivacyOfficer => "privacy-officer",
            Self::Patient => "patient",
            Self::Service => "service",
        }
    }

    /// Whether it books for others, past a provider's hours if need be.
    pub const fn is_staff(self) -> bool {
        matches!(self, Self::Admin | Self::Clinician | Self::Receptionist)
    }

    /// What it may do.
    pub fn permissions(self) -> Permissions {
        use Permission as P;
        let list: &[Permission] = match self {
            Self::Admin => {
                return P::ALL.iter().copied().filter(|permission| !permission.is_internal()).collect();
            }
            Self::Clinician => &[
                P::PatientsRead,
                P::PatientsWrite,
                P::PatientsClinical,
                P::CareWrite,
                P::AppointmentsRead,
                P::AppointmentsWrite,
                P::AppointmentsReason,
                P::FeedsRead,
                P::FeedsWrite,
                P::BillsRead,
                P::RecordsRead,
                P::RecordsWrite,
                P::AmendmentsDecide,
                P::BreakGlassUse,
                P::ProvidersRead,
                P::ProvidersSchedule,
                P::NotificationsRead,
                P::NotificationsSend,
            ],
            Self::Receptionist => &[
                P::PatientsRead,
                P::PatientsWrite,
                P::CareWrite,
                P::ConsentsRead,
                P::ConsentsWrite,
                P::AppointmentsRead,
                P::AppointmentsWrite,
                P::AppointmentsReason,
                P::FeedsRead,
                P::FeedsWrite,
                P::BillsRead,
                P::ProvidersRead,
                P::ProvidersSchedule,
                P::NotificationsRead,
                P::NotificationsSend,
            ],
            Self::Billing => {
                &[P::PatientsRead, P::AppointmentsRead, P::BillsRead, P::BillsWrite, P::ProvidersRead]
            }
            Self::PrivacyOfficer => &[
                P::PatientsRead,
                P::PatientsDelete,
                P::PatientsClinical,
                P::ConsentsRead,
                P::ConsentsWrite,
                P::PatientsExport,
                P::ErasuresRead,
                P::RetainedRead,
                P::RetentionRun,
                P::HoldsRead,
                P::HoldsWrite,
                P::RecordsRead,
                P::RecordsDelete,
                P::AmendmentsRequest,
                P::AmendmentsDecide,
                P::BreakGlassReview,
                P::UsersRead,
                P::SessionsRead,
                P::AuditRead,
                P::KeysRead,
            ],
            Self::Patient => &[
                P::PatientsRead,
                P::PatientsClinical,
                P::ConsentsRead,
                P::ConsentsWrite,
                P::PatientsExport,
                P::AppointmentsRead,
                P::AppointmentsWrite,
                P::AppointmentsReason,
                P::FeedsRead,
                P::FeedsWrite,
                P::BillsRead,
                P::RecordsRead,
                P::AmendmentsRequest,
                P::ProvidersRead,
            ],
            // The most that any of them needs; each has its own share of it (`http_kit::identity`).
            Self::Service => &[
                P::PatientsRead,
                P::ProvidersRead,
                P::InternalCall,
                P::AuditCollect,
                P::KeysCollect,
                P::ConsentsCollect,
                P::ContactsCollect,
                P::AnswersTell,
                P::HoldingsCollect,
                P::RetentionCarry,
                P::RevocationsRead,
            ],
        };
        list.iter().copied().collect()
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_reads_back_as_it_was_written() {
        for role in Role::ALL {
            assert_eq!(Permissions::from_scope(&role.permissions().to_scope()), role.permissions());
        }
    }

    #[test]
    fn no_person_may_call_internal_routes() {
        for role in Role::ALL {
            let is_internal = role.permissions().iter().any(Permission::is_internal);
            assert_eq!(is_internal, role == Role::Service);
        }
    }

    #[test]
    fn every_permission_fits_the_set() {
        assert!(Permission::ALL.len() <= 64);
    }
}
