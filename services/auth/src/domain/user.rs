//! A user, and what makes one valid.

use std::collections::BTreeSet;
use std::fmt;

use contracts::auth::{self as wire, UserRequest, UserStatus};
use contracts::id::{PatientId, ProviderId};
use contracts::permission::{Permissions, Role};
use contracts::problem::{Faults, Problem};
use serde::{Deserialize, Serialize};
use settings::PasswordPolicy;

use super::policy;
use super::username::Username;

/// What is kept of a user: sealed as the row's body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Who they are.
    pub user: User,
    /// What their password is checked against.
    pub password: PasswordHash,
}

/// A password's argon2id hash in the PHC string form. Never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PasswordHash(pub String);

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// What they log in with.
    pub username: Username,
    /// What they are. `service` is never among them.
    pub roles: BTreeSet<Role>,
    /// Whether they may log in.
    pub status: UserStatus,
    /// The patient they are.
    pub patient_id: Option<PatientId>,
    /// The provider they are.
    pub provider_id: Option<ProviderId>,
}

impl User {
    /// Reads a request for a new user; the password is checked with it, so that every fault is told at once.
    pub fn create(request: &UserRequest, policy: PasswordPolicy) -> Result<Self, Problem> {
        let mut faults = Faults::new();
        let username = faults.take("username", Username::parse(&request.username));
        let _ = faults.take("password", policy::check(policy, &request.password, &request.username));
        let user = username.map(|username| {
            let ties = (request.patient_id.as_deref(), request.provider_id.as_deref());
            Self::parse(username, &request.roles, UserStatus::Active, ties, &mut faults)
        });
        faults.finish(user.flatten())
    }

    /// Reads what a change makes of the present user. Id and name may be there, but only as they are.
    pub fn change(&self, current: &wire::User, changed: &wire::User) -> Result<Self, Problem> {
        let mut faults = Faults::new();
        if changed.user_id != current.user_id {
            faults.add("userId", "cannot be changed");
        }
        if changed.username != current.username {
            faults.add("username", "cannot be changed");
        }
        let ties = (changed.patient_id.as_deref(), changed.provider_id.as_deref());
        let user = Self::parse(self.username.clone(), &changed.roles, changed.status, ties, &mut faults);
        faults.finish(user)
    }

    fn parse(
        username: Username,
        roles: &[Role],
        status: UserStatus,
        (patient_id, provider_id): (Option<&str>, Option<&str>),
        faults: &mut Faults,
    ) -> Option<Self> {
        if roles.is_empty() {
            faults.add("roles", "must have at least one role");
        }
        if roles.contains(&Role::Service) {
            faults.add("roles", "must not have service, which is for services alone");
        }
        if roles.contains(&Role::Patient) && patient_id.is_none() {
            faults.add("patientId", "is required for the role patient");
        }
        let patient_id = faults.take("patientId", patient_id.map(PatientId::parse).transpose())?;
        let provider_id = faults.take("providerId", provider_id.map(ProviderId::parse).transpose())?;
        Some(Self { username, roles: roles.iter().copied().collect(), status, patient_id, provider_id })
    }

    /// Whether they may log in.
    pub fn is_active(&self) -> bool {
        self.status == UserStatus::Active
    }

    /// Whether they can run the system.
    pub fn is_active_admin(&self) -> bool {
        self.is_active() && self.roles.contains(&Role::Admin)
    }

    /// What they may do.
    pub fn permissions(&self) -> Permissions {
        self.roles.iter().fold(Permissions::NONE, |all, role| all.and(role.permissions()))
    }

    /// Whether tokens that say what this user was are wrong once they are `next`.
    pub fn outdates_tokens(&self, next: &Self) -> bool {
        let claims = |user: &Self| (user.roles.clone(), user.patient_id.clone(), user.provider_id.clone());
        !next.is_active() || claims(self) != claims(next)
    }

    /// What becomes of the user when the patient they are was erased. Somebody who is nothing else can do nothing any more; whoever
    /// works here too goes on doing that.
    #[must_use]
    pub fn without_patient(mut self) -> Self {
        self.patient_id = None;
        if self.roles.iter().any(|role| *role != Role::Patient) {
            self.roles.remove(&Role::Patient);
        } else {
            self.status = UserStatus::Disabled;
        }
        self
    }

    /// What becomes of the user when the provider they are was removed.
    #[must_use]
    pub fn without_provider(self) -> Self {
        Self { provider_id: None, ..self }
    }

    /// As the API shows it.
    pub fn view(&self, id: &contracts::id::UserId) -> wire::User {
        wire::User {
            user_id: id.to_string(),
            username: self.username.to_string(),
            roles: self.roles.iter().copied().collect(),
            patient_id: self.patient_id.as_ref().map(ToString::to_string),
            provider_id: self.provider_id.as_ref().map(ToString::to_string),
            status: self.status,
        }
    }
}

#[cfg(test)]
mod tests {
    use contracts::id::UserId;

    use super::*;

    fn request() -> UserRequest {
        UserRequest {
            username: "Jane.Roe".to_owned(),
            password: "correct horse battery staple".to_owned(),
            roles: vec![Role::Clinician],
            patient_id: None,
            provider_id: Some("prov001".to_owned()),
        }
    }

    fn user(request: &UserRequest) -> User {
        User::create(request, PasswordPolicy::default()).unwrap()
    }

    fn faults(request: &UserRequest) -> Vec<String> {
        let problem = User::create(request, PasswordPolicy::default()).unwrap_err();
        problem.errors.into_iter().map(|fault| fault.field).collect()
    }

    #[test]
    fn every_fault_is_told_at_once() {
        let bad = UserRequest { username: "x".to_owned(), password: "short".to_owned(), ..request() };
        assert_eq!(faults(&bad), ["username", "password"]);
        let bad = UserRequest { roles: vec![Role::Service, Role::Patient], ..request() };
        assert_eq!(faults(&bad), ["roles", "patientId"]);
        let bad = UserRequest { roles: vec![], provider_id: Some("a/b".to_owned()), ..request() };
        assert_eq!(faults(&bad), ["roles", "providerId"]);
    }

    #[test]
    fn a_user_shows_as_it_was_made() {
        let view = user(&request()).view(&UserId::parse("usr_1").unwrap());
        assert_eq!((view.username.as_str(), view.roles), ("jane.roe", vec![Role::Clinician]));
        assert_eq!(view.provider_id.as_deref(), Some("prov001"));
    }

    #[test]
    fn an_erased_patients_account_is_closed_unless_it_does_other_work() {
        let patient =
            UserRequest { roles: vec![Role::Patient], patient_id: Some("p1".to_owned()), ..request() };
        let closed = user(&patient).without_patient();
        assert_eq!((closed.is_active(), closed.patient_id), (false, None));
        let both = UserRequest { roles: vec![Role::Patient, Role::Admin], ..patient };
        let open = user(&both).without_patient();
        assert!(open.is_active_admin() && !open.roles.contains(&Role::Patient));
    }

    #[test]
    fn tokens_outlive_only_changes_that_they_do_not_tell() {
        let before = user(&request());
        assert!(!before.outdates_tokens(&before));
        for request in [
            UserRequest { roles: vec![Role::Admin], ..request() },
            UserRequest { provider_id: None, ..request() },
        ] {
            assert!(before.outdates_tokens(&user(&request)));
        }
        let disabled = User { status: UserStatus::Disabled, ..before.clone() };
        assert!(before.outdates_tokens(&disabled));
    }

    #[test]
    fn a_password_hash_is_never_shown() {
        assert!(!format!("{:?}", PasswordHash("$argon2id$…".to_owned())).contains("argon2"));
    }
}
