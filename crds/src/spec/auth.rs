//! `spec.auth`: tokens, sessions and passwords.

use contracts::permission::Role;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use settings::PasswordPolicy;

use super::{Span, rules};

/// Tokens, sessions and passwords.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = rules::auth()))]
pub struct AuthSpec {
    /// Life of an access token: 1m to 10m. Short, since it is what a thief would use; clients refresh it without their user noticing. A
    /// resource from before this bound, which says up to 1h, is taken to say 10m.
    #[schemars(extend("x-kubernetes-validations" = rules::between("1m", "10m")))]
    pub access_token_lifetime: Span,
    /// Life of a refresh token that is not used: longer than an access token's, at most a session's.
    #[schemars(extend("x-kubernetes-validations" = rules::up_to_days(60, 365)))]
    pub refresh_token_lifetime: Span,
    /// Life of a session, however often it is refreshed: at most 365d. Then the user signs in again.
    #[schemars(extend("x-kubernetes-validations" = rules::up_to_days(60, 365)))]
    pub session_lifetime: Span,
    /// Automatic log-off: shorter lives of sessions for people of some roles. Whoever has several roles has the shortest.
    #[serde(skip_serializing_if = "is_empty")]
    pub log_off: LogOffSpec,
    /// Who must have a second factor: codes that an app makes (TOTP). Everybody may.
    #[serde(skip_serializing_if = "is_nobodys")]
    pub second_factor: SecondFactorSpec,
    /// When a part of the stack has not heard for so long who was logged out, it refuses what people would change until it does (503); they
    /// may read until their tokens expire. 30s to 10m.
    #[schemars(extend("x-kubernetes-validations" = rules::between("30s", "10m")))]
    pub revocations_stale_after: Span,
    /// What a new password must be.
    pub password_policy: PasswordPolicy,
}

impl Default for AuthSpec {
    fn default() -> Self {
        Self {
            access_token_lifetime: Span::from_secs(600),
            refresh_token_lifetime: Span::from_secs(7 * 86_400),
            session_lifetime: Span::from_secs(30 * 86_400),
            log_off: LogOffSpec::default(),
            second_factor: SecondFactorSpec::default(),
            revocations_stale_after: Span::from_secs(u64::from(settings::REVOCATIONS_STALE_SECONDS)),
            password_policy: PasswordPolicy::default(),
        }
    }
}

/// Automatic log-off, by role.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct LogOffSpec {
    /// Whoever runs the system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin: Option<RoleLogOff>,
    /// Whoever treats patients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clinician: Option<RoleLogOff>,
    /// Whoever runs the front desk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receptionist: Option<RoleLogOff>,
    /// Whoever writes bills.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub billing: Option<RoleLogOff>,
    /// Whoever watches over privacy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privacy_officer: Option<RoleLogOff>,
    /// Whoever is treated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patient: Option<RoleLogOff>,
}

/// When people of a role are logged off. Access tokens end with the session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RoleLogOff {
    /// When their session was not refreshed for so long; a client refreshes it as long as it is used. 1m to 365d.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = rules::up_to_days(60, 365)))]
    pub idle: Option<Span>,
    /// After so long in any case. 1m to 365d.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = rules::up_to_days(60, 365)))]
    pub session: Option<Span>,
}

impl LogOffSpec {
    /// Each role that there is something about.
    pub fn by_role(&self) -> impl Iterator<Item = (Role, RoleLogOff)> {
        let all = [
            (Role::Admin, self.admin),
            (Role::Clinician, self.clinician),
            (Role::Receptionist, self.receptionist),
            (Role::Billing, self.billing),
            (Role::PrivacyOfficer, self.privacy_officer),
            (Role::Patient, self.patient),
        ];
        all.into_iter().filter_map(|(role, log_off)| Some((role, log_off?)))
    }
}

/// Who must have a second factor. Whoever must and has none yet may log in and do nothing but enrol one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SecondFactorSpec {
    /// Whoever has one of these roles.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 6), extend("x-kubernetes-list-type" = "set"))]
    pub roles: Vec<PersonsRole>,
    /// Whoever has a role that the clinic made for itself.
    pub custom_roles: bool,
}

/// A role that people have, of those that every stack has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PersonsRole {
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
    /// Is treated.
    Patient,
}

impl From<PersonsRole> for Role {
    fn from(role: PersonsRole) -> Self {
        match role {
            PersonsRole::Admin => Self::Admin,
            PersonsRole::Clinician => Self::Clinician,
            PersonsRole::Receptionist => Self::Receptionist,
            PersonsRole::Billing => Self::Billing,
            PersonsRole::PrivacyOfficer => Self::PrivacyOfficer,
            PersonsRole::Patient => Self::Patient,
        }
    }
}

fn is_nobodys(spec: &SecondFactorSpec) -> bool {
    *spec == SecondFactorSpec::default()
}

fn is_empty(spec: &LogOffSpec) -> bool {
    *spec == LogOffSpec::default()
}
