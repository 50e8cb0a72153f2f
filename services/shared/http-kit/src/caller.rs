//! [`Caller`]: who calls, how far they see ([`Reach`]), and how much of what they see they are shown ([`View`]).

use std::sync::Arc;

use contracts::id::{PatientId, ProviderId};
use contracts::merge_patch::MergePatch;
use contracts::permission::{Permission, Permissions, Role};
use contracts::problem::{Problem, ProblemCode};
use contracts::role_name::RoleName;

use crate::token::PART_PREFIX;

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// A user's id, or `service:` and a name.
    pub user: String,
    /// The user's name, if it is a person.
    pub username: Option<String>,
    /// The session, if it is a person.
    pub session: Option<String>,
    /// What they are, of what every stack has.
    pub roles: Vec<Role>,
    /// What they are beside that, of what was made here.
    pub made: Vec<Made>,
    /// What they may do.
    pub permissions: Permissions,
    /// Whether they may do nothing but enrol a second factor, since a role of theirs asks for one that they do not have.
    pub only_enrols: bool,
    /// The patient they are.
    pub patient_id: Option<PatientId>,
    /// The provider they are.
    pub provider_id: Option<ProviderId>,
    /// When the token was issued, milliseconds since 1970.
    pub issued_at_ms: i64,
    /// Until when it is good, seconds since 1970.
    pub expires_at: i64,
    /// Which edition of the keys said that the token is good.
    pub(crate) keys_edition: u64,
}

/// A role that was made here: for somebody who works here, whatever it may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Its name.
    pub name: RoleName,
    /// What it may do.
    pub permissions: Permissions,
}

/// How far a caller sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Every patient.
    Everyone,
    /// This patient alone: the caller is they.
    Only(PatientId),
    /// Nobody: a patient's account that is tied to no patient.
    Nobody,
}

impl Reach {
    /// Whether this patient's data may be seen.
    pub fn covers(&self, patient: &PatientId) -> bool {
        match self {
            Self::Everyone => true,
            Self::Only(own) => own == patient,
            Self::Nobody => false,
        }
    }
}

/// Somebody who sees whom they treat, and nobody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carer {
    /// The user.
    pub user: String,
    /// The provider they are; without, they treat nobody.
    pub provider: Option<ProviderId>,
    /// The patient they are, if they act as one too.
    pub own: Option<PatientId>,
}

/// How much of what they see a caller is shown: to each what their work needs (45 CFR 164.502(b), "minimum necessary").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View {
    /// All of it.
    #[default]
    Whole,
    /// Without the members that ask for a permission of their own.
    Necessary,
}

impl View {
    /// Whether all of it is shown.
    pub fn is_whole(self) -> bool {
        self == Self::Whole
    }

    /// Refuses a change of what the caller is not shown. What it does not name stays as it is, seen or not.
    pub fn may_change<T>(
        self,
        patch: &MergePatch<T>,
        member: &str,
        permission: Permission,
    ) -> Result<(), Problem> {
        if self.is_whole() || !patch.names(member) {
            return Ok(());
        }
        Err(Problem::new(ProblemCode::Forbidden)
            .detail(format!("The permission {permission} is needed."))
            .fault(member, format!("needs the permission {permission}")))
    }
}

impl Caller {
    /// Whoever calls a public operation.
    pub fn nobody() -> Self {
        Self {
            user: String::new(),
            username: None,
            session: None,
            roles: Vec::new(),
            made: Vec::new(),
            permissions: Permissions::NONE,
            only_enrols: false,
            patient_id: None,
            provider_id: None,
            issued_at_ms: 0,
            expires_at: 0,
            keys_edition: 0,
        }
    }

    /// Whether they may.
    pub fn may(&self, permission: Permission) -> bool {
        self.permissions.contains(permission)
    }

    /// Whether it is a part of the stack, and no person.
    pub fn is_part(&self) -> bool {
        self.user.starts_with(PART_PREFIX)
    }

    /// Whether one of their roles is staff: books for others, past stated hours if need be.
    pub fn is_staff(&self) -> bool {
        !self.made.is_empty() || self.roles.iter().any(|role| role.is_staff())
    }

    /// The caller as far as they do this by right: without the roles that do not grant the permission. Somebody who is a patient and works
    /// at the front desk sees their own records as a patient, and nobody else's.
    pub fn acting_by(caller: Arc<Self>, permission: Permission) -> Arc<Self> {
        let grants = |role: &Role| role.permissions().contains(permission);
        let was_made_for = |role: &Made| role.permissions.contains(permission);
        if caller.roles.iter().all(grants) && caller.made.iter().all(was_made_for) {
            return caller;
        }
        let mut acting = (*caller).clone();
        if !grants(&Role::Patient) {
            // What was theirs with what is theirs alone would reach everybody from here on.
            acting.permissions = caller.beyond_a_patients();
        }
        acting.roles.retain(grants);
        acting.made.retain(was_made_for);
        Arc::new(acting)
    }

    /// How much of a patient's they are shown where a member asks for this permission: all, if one of their roles that grants it reaches
    /// that patient. So somebody who is a patient and works at the front desk sees their own whole, and others' as the front desk does.
    ///
    /// Their roles decide, not the token's scope: one that was issued by the version before does not name what is new.
    pub fn view(&self, permission: Permission, patient: &PatientId) -> View {
        let by_right: Vec<_> =
            self.roles.iter().copied().filter(|role| role.permissions().contains(permission)).collect();
        let is_whole = self.made.iter().any(|role| role.permissions.contains(permission))
            || !by_right.is_empty() && self.reach_by(&by_right).covers(patient);
        if is_whole { View::Whole } else { View::Necessary }
    }

    /// How far they see: whoever is nothing but a patient sees what is theirs.
    pub fn reach(&self) -> Reach {
        if self.made.is_empty() { self.reach_by(&self.roles) } else { Reach::Everyone }
    }

    /// The caller as somebody who sees whom they treat: clinicians, where who treats whom decides. `None` of everybody else, who see as far
    /// as [`Caller::reach`] says.
    pub fn carer(&self) -> Option<Carer> {
        let is_bound = |role: &Role| matches!(role, Role::Clinician | Role::Patient);
        let bound = self.made.is_empty() && self.roles.iter().all(is_bound);
        (bound && self.roles.contains(&Role::Clinician)).then(|| Carer {
            user: self.user.clone(),
            provider: self.provider_id.clone(),
            own: self.patient_id.clone().filter(|_| self.roles.contains(&Role::Patient)),
        })
    }

    /// What they can give to others, by right of what they are: a token that was issued by the version before does not name what is new.
    ///
    /// What somebody may as a patient they may with what is theirs, and in another's hands it would reach everybody: it is not theirs to give.
    pub fn has_to_give(&self) -> Permissions {
        self.beyond_a_patients().and(self.by_other_roles())
    }

    /// What the roles but the patient's may that every stack has.
    fn by_other_roles(&self) -> Permissions {
        let roles = self.roles.iter().filter(|role| **role != Role::Patient);
        roles.fold(Permissions::NONE, |all, role| all.and(role.permissions()))
    }

    /// Their permissions, without what they have as a patient and by nothing else.
    fn beyond_a_patients(&self) -> Permissions {
        if !self.roles.contains(&Role::Patient) {
            return self.permissions;
        }
        let others = self.made.iter().fold(self.by_other_roles(), |all, role| all.and(role.permissions));
        let as_patient = Role::Patient.permissions();
        let is_beyond =
            |permission: &Permission| !as_patient.contains(*permission) || others.contains(*permission);
        self.permissions.iter().filter(is_beyond).fold(Permissions::NONE, Permissions::with)
    }

    /// All that they are, by name.
    pub fn role_names(&self) -> Vec<RoleName> {
        let built_in = self.roles.iter().map(|role| RoleName::from(*role));
        built_in.chain(self.made.iter().map(|role| role.name.clone())).collect()
    }

    fn reach_by(&self, roles: &[Role]) -> Reach {
        if roles.iter().any(|role| *role != Role::Patient) {
            return Reach::Everyone;
        }
        self.patient_id.clone().map_or(Reach::Nobody, Reach::Only)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patient(id: &str) -> PatientId {
        PatientId::trusted(id.to_owned())
    }

    fn caller(roles: &[Role]) -> Caller {
        Caller { roles: roles.to_vec(), patient_id: Some(patient("own")), ..Caller::nobody() }
    }

    #[test]
    fn a_patient_who_works_here_sees_others_only_where_their_work_lets_them() {
        let both = Arc::new(caller(&[Role::Patient, Role::Receptionist]));
        let reach = |permission| Caller::acting_by(Arc::clone(&both), permission).reach();
        assert_eq!(reach(Permission::PatientsRead), Reach::Everyone);
        assert_eq!(reach(Permission::RecordsRead), Reach::Only(patient("own")));
    }

    #[test]
    fn clinicians_and_nobody_else_are_bound_by_whom_they_treat() {
        let carer = |roles: &[Role]| caller(roles).carer();
        assert_eq!(carer(&[Role::Clinician]).map(|carer| carer.own), Some(None));
        assert_eq!(
            carer(&[Role::Clinician, Role::Patient]).map(|carer| carer.own),
            Some(Some(patient("own")))
        );
        for roles in [
            &[Role::Admin][..],
            &[Role::Patient],
            &[Role::PrivacyOfficer, Role::Clinician],
            &[Role::Clinician, Role::Receptionist],
            &[],
        ] {
            assert_eq!(carer(roles), None, "{roles:?}");
        }
        let lab = Made { name: RoleName::parse("lab").unwrap(), permissions: Permissions::NONE };
        assert_eq!(Caller { made: vec![lab], ..caller(&[Role::Clinician]) }.carer(), None);
    }

    #[test]
    fn what_is_shown_whole_is_what_a_role_that_grants_it_reaches() {
        let shown = |roles: &[Role]| {
            let caller = caller(roles);
            ["own", "other"].map(|id| caller.view(Permission::PatientsClinical, &patient(id)).is_whole())
        };
        assert_eq!(shown(&[Role::Clinician]), [true, true]);
        assert_eq!(shown(&[Role::Receptionist]), [false, false]);
        assert_eq!(shown(&[Role::Patient]), [true, false]);
        assert_eq!(shown(&[Role::Patient, Role::Receptionist]), [true, false]);
        assert_eq!(shown(&[Role::Billing, Role::Clinician]), [true, true]);
        assert_eq!(shown(&[Role::Service]), [false, false]);
        // A role that this version does not know is none.
        assert_eq!(shown(&[]), [false, false]);
    }

    #[test]
    fn a_role_that_was_made_here_does_what_it_says_and_no_more() {
        let scope = Permissions::from_scope("patients:read patients:clinical appointments:write");
        let lab = Made { name: RoleName::parse("lab").unwrap(), permissions: scope };
        let caller = Arc::new(Caller { made: vec![lab], ..caller(&[Role::Patient]) });
        let acting = |permission| Caller::acting_by(Arc::clone(&caller), permission);
        assert_eq!(acting(Permission::PatientsRead).reach(), Reach::Everyone);
        assert!(acting(Permission::AppointmentsWrite).is_staff());
        assert!(!acting(Permission::RecordsRead).is_staff());
        assert!(
            acting(Permission::PatientsRead).view(Permission::PatientsClinical, &patient("other")).is_whole()
        );
        assert_eq!(acting(Permission::RecordsRead).reach(), Reach::Only(patient("own")));
        assert!(
            !acting(Permission::AppointmentsRead)
                .view(Permission::AppointmentsReason, &patient("other"))
                .is_whole()
        );
    }

    #[test]
    fn an_administrator_gives_what_is_new_by_a_token_of_the_version_before() {
        let before = Permissions::from_scope("users:write");
        let admin = Caller { permissions: before, ..caller(&[Role::Admin]) };
        assert!(admin.has_to_give().contains_all(Role::Clinician.permissions()));
        let helper = Caller { permissions: before, ..caller(&[]) };
        assert_eq!(helper.has_to_give(), before);
    }

    #[test]
    fn what_somebody_may_as_a_patient_is_not_theirs_to_give() {
        let office = Permissions::from_scope("users:write");
        let made = vec![Made { name: RoleName::parse("office").unwrap(), permissions: office }];
        let both = office.and(Role::Patient.permissions());
        let patient = Caller { permissions: both, made, ..caller(&[Role::Patient]) };
        assert_eq!(patient.has_to_give(), office);
        // As a handler sees them, too.
        let acting = Caller::acting_by(Arc::new(patient.clone()), Permission::UsersWrite);
        assert_eq!((acting.has_to_give(), acting.permissions), (office, office));
        let clinician = Caller { roles: vec![Role::Patient, Role::Clinician], ..patient };
        assert_eq!(clinician.has_to_give(), office.and(Role::Clinician.permissions()));
    }

    #[test]
    fn a_change_of_what_is_not_shown_is_refused_by_name_even_one_that_takes_it_away() {
        let change = |view: View, patch: &str| {
            let patch: MergePatch<serde_json::Value> = serde_json::from_str(patch).unwrap();
            view.may_change(&patch, "reason", Permission::AppointmentsReason)
        };
        assert!(change(View::Whole, r#"{"reason": "knee"}"#).is_ok());
        assert!(change(View::Necessary, r#"{"status": "Confirmed"}"#).is_ok());
        for patch in [r#"{"reason": "knee"}"#, r#"{"reason": null}"#] {
            let refused = change(View::Necessary, patch).unwrap_err();
            assert_eq!((refused.status, refused.errors[0].field.as_str()), (403, "reason"));
        }
    }
}
