//! A user, and what makes one valid.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use contracts::auth::{self as wire, UserRequest, UserStatus};
use contracts::id::{PatientId, ProviderId};
use contracts::permission::{Permissions, Role};
use contracts::problem::{Faults, Problem};
use contracts::role_name::RoleName;
use serde::{Deserialize, Serialize};
use settings::PasswordPolicy;

use super::policy;
use super::username::Username;

/// A user may have so many roles that were made here: all of them stand in the token, with what they may.
pub const MADE_MAX: usize = 5;

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
    /// What they are, of what every stack has. `service` is never among them.
    pub roles: BTreeSet<Role>,
    /// What they are beside that, of what was made here, with what it may do. Kept apart, where a change of such a role finds them.
    #[serde(skip)]
    pub made: BTreeMap<RoleName, Permissions>,
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
        roles: &[RoleName],
        status: UserStatus,
        (patient_id, provider_id): (Option<&str>, Option<&str>),
        faults: &mut Faults,
    ) -> Option<Self> {
        if roles.is_empty() {
            faults.add("roles", "must have at least one role");
        }
        let built_in: BTreeSet<Role> = roles.iter().filter_map(RoleName::built_in).collect();
        let made = roles.iter().filter(|role| role.built_in().is_none());
        // What they may is looked up where they are kept.
        let made: BTreeMap<_, _> = made.map(|role| (role.clone(), Permissions::NONE)).collect();
        if built_in.contains(&Role::Service) {
            faults.add("roles", "must not have service, which is for services alone");
        }
        if made.len() > MADE_MAX {
            faults.add("roles", format_args!("must have {MADE_MAX} at most of those that were made here"));
        }
        if built_in.contains(&Role::Patient) && patient_id.is_none() {
            faults.add("patientId", "is required for the role patient");
        }
        let patient_id = faults.take("patientId", patient_id.map(PatientId::parse).transpose())?;
        let provider_id = faults.take("providerId", provider_id.map(ProviderId::parse).transpose())?;
        Some(Self { username, roles: built_in, made, status, patient_id, provider_id })
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
        let built_in = self.roles.iter().map(|role| role.permissions());
        built_in.chain(self.made.values().copied()).fold(Permissions::NONE, Permissions::and)
    }

    /// Whether tokens that say what this user was are wrong once they are `next`.
    pub fn outdates_tokens(&self, next: &Self) -> bool {
        let claims = |user: &Self| {
            (user.roles.clone(), user.made.clone(), user.patient_id.clone(), user.provider_id.clone())
        };
        !next.is_active() || claims(self) != claims(next)
    }

    /// What becomes of the user when the patient they are was erased. Somebody who is nothing else can do nothing any more; whoever
    /// works here too goes on doing that.
    #[must_use]
    pub fn without_patient(mut self) -> Self {
        self.patient_id = None;
        if !self.made.is_empty() || self.roles.iter().any(|role| *role != Role::Patient) {
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

    /// All that they are, by name.
    pub fn role_names(&self) -> Vec<RoleName> {
        self.roles.iter().map(|role| RoleName::from(*role)).chain(self.made.keys().cloned()).collect()
    }

    /// As the API shows it.
    pub fn view(&self, id: &contracts::id::UserId) -> wire::User {
        wire::User {
            user_id: id.to_string(),
            username: self.username.to_string(),
            roles: self.role_names(),
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
            roles: vec![Role::Clinician.into()],
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
        let bad = UserRequest { roles: vec![Role::Service.into(), Role::Patient.into()], ..request() };
        assert_eq!(faults(&bad), ["roles", "patientId"]);
        let bad = UserRequest { roles: vec![], provider_id: Some("a/b".to_owned()), ..request() };
        assert_eq!(faults(&bad), ["roles", "providerId"]);
    }

    #[test]
    fn a_user_shows_as_it_was_made() {
        let view = user(&request()).view(&UserId::parse("usr_1").unwrap());
        assert_eq!((view.username.as_str(), view.roles), ("jane.roe", vec![RoleName::from(Role::Clinician)]));
        assert_eq!(view.provider_id.as_deref(), Some("prov001"));
    }

    #[test]
    fn an_erased_patients_account_is_closed_unless_it_does_other_work() {
        let patient =
            UserRequest { roles: vec![Role::Patient.into()], patient_id: Some("p1".to_owned()), ..request() };
        let closed = user(&patient).without_patient();
        assert_eq!((closed.is_active(), closed.patient_id), (false, None));
        let both = UserRequest { roles: vec![Role::Patient.into(), Role::Admin.into()], ..patient };
        let open = user(&both).without_patient();
        assert!(open.is_active_admin() && !open.roles.contains(&Role::Patient));
    }

    #[test]
    fn tokens_outlive_only_changes_that_they_do_not_tell() {
        let before = user(&request());
        assert!(!before.outdates_tokens(&before));
        for request in [
            UserRequest { roles: vec![Role::Admin.into()], ..request() },
            UserRequest { provider_id: None, ..request() },
        ] {
            assert!(before.outdates_tokens(&user(&request)));
        }
        let disabled = User { status: UserStatus::Disabled, ..before.clone() };
        assert!(before.outdates_tokens(&disabled));
    }

    #[test]
    fn a_role_that_was_made_here_counts_in_all_that_a_user_is() {
        let lab = RoleName::parse("lab").unwrap();
        let roles = vec![Role::Billing.into(), lab.clone()];
        let mut user = user(&UserRequest { roles: roles.clone(), ..request() });
        assert_eq!(user.view(&UserId::parse("usr_1").unwrap()).roles, roles);
        let before = user.clone();
        user.made.insert(lab, Permissions::from_scope("records:read"));
        assert!(before.outdates_tokens(&user));
        assert_eq!(
            user.permissions(),
            Role::Billing.permissions().and(Permissions::from_scope("records:read"))
        );
        let many = (0..6).map(|at| RoleName::parse(&format!("lab-{at}")).unwrap()).collect();
        assert_eq!(faults(&UserRequest { roles: many, ..request() }), ["roles"]);
    }

    #[test]
    fn what_is_kept_of_a_user_reads_as_the_version_before_wrote_it() {
        let made = BTreeMap::from([(RoleName::parse("lab").unwrap(), Permissions::NONE)]);
        let kept = serde_json::to_value(User { made, ..user(&request()) }).unwrap();
        assert!(kept.get("made").is_none(), "{kept}");
        assert_eq!(serde_json::from_value::<User>(kept).unwrap(), user(&request()));
    }

    #[test]
    fn a_password_hash_is_never_shown() {
        assert!(!format!("{:?}", PasswordHash("$argon2id$…".to_owned())).contains("argon2"));
    }
}
