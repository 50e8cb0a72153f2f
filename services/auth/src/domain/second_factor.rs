//! A second factor: who must have one, and which codes it takes.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use contracts::permission::Role;

use super::recovery_code::RecoveryCode;
use super::totp::{Passcode, Totp};
use super::user::User;

/// What is offered may be confirmed for so long.
pub const OFFER: TimeDelta = TimeDelta::minutes(15);
/// After so many wrong codes with the right password, one after another, the app's codes are good no more (NIST SP 800-63B §5.2.2). A
/// recovery code still is, and makes them good again: whoever guesses has the password, but keeps nobody out.
pub const FAILURES_MAX: i64 = 100;
/// The longest code that is looked at, characters: a recovery code, however it is spaced.
pub const CODE_CHARS_MAX: usize = 64;

/// A code as somebody typed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Code {
    /// What an app shows.
    App(Passcode),
    /// A recovery code.
    Recovery(RecoveryCode),
}

impl Code {
    /// Reads one. `None` of what is neither: it is as wrong as any other wrong code.
    pub fn parse(text: &str) -> Option<Self> {
        let plain: String = text.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
        let app = Passcode::parse(&plain).map(Self::App);
        app.or_else(|| RecoveryCode::parse(&plain).map(Self::Recovery))
    }
}

/// A second factor as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecondFactor {
    /// What its app makes codes from.
    pub totp: Totp,
    /// The step whose code was used last.
    pub last_step: i64,
    /// Wrong codes with the right password, since a right code.
    pub failures: i64,
}

impl SecondFactor {
    /// The step of a code that is good now.
    pub fn takes(&self, code: Passcode, now: DateTime<Utc>) -> Option<i64> {
        self.totp.step_of(code, now, self.last_step).filter(|_| self.failures < FAILURES_MAX)
    }
}

/// Who must have one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    roles: BTreeSet<Role>,
    custom_roles: bool,
}

impl From<&settings::SecondFactor> for Asked {
    fn from(settings: &settings::SecondFactor) -> Self {
        // A role that this version does not know is nobody's here.
        let roles = settings.roles.iter().filter_map(|role| role.parse().ok()).collect();
        Self { roles, custom_roles: settings.custom_roles }
    }
}

impl Asked {
    /// Whether this user must: one of their roles is enough.
    pub fn of(&self, user: &User) -> bool {
        !self.roles.is_disjoint(&user.roles) || self.custom_roles && !user.made.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use contracts::ambient::Random;
    use contracts::auth::UserStatus;
    use contracts::permission::Permissions;
    use contracts::role_name::RoleName;

    use super::*;
    use crate::domain::username::Username;

    fn user(roles: &[Role], made: &[&str]) -> User {
        let made = made.iter().map(|name| (RoleName::parse(name).unwrap(), Permissions::NONE));
        User {
            username: Username::parse("jane.roe").unwrap(),
            roles: roles.iter().copied().collect(),
            made: made.collect::<BTreeMap<_, _>>(),
            status: UserStatus::Active,
            patient_id: None,
            provider_id: None,
        }
    }

    #[test]
    fn one_role_that_asks_for_it_is_enough() {
        let roles = ["admin", "privacy-officer", "a-role-to-come"].map(str::to_owned).into();
        let asked = Asked::from(&settings::SecondFactor { roles, custom_roles: false });
        assert!(asked.of(&user(&[Role::Admin], &[])));
        assert!(asked.of(&user(&[Role::Patient, Role::PrivacyOfficer], &["lab"])));
        assert!(!asked.of(&user(&[Role::Clinician], &["lab"])));
        let asked = Asked { custom_roles: true, ..asked };
        assert!(asked.of(&user(&[Role::Clinician], &["lab"])) && !asked.of(&user(&[Role::Clinician], &[])));
        assert!(!Asked::default().of(&user(&Role::ALL, &["lab"])));
    }

    #[test]
    fn a_code_is_read_with_spaces_and_dashes() {
        let recovery = RecoveryCode::generate(&Random::seeded(1));
        assert_eq!(Code::parse(&recovery.shown()), Some(Code::Recovery(recovery)));
        assert_eq!(Code::parse(" 123 456\n"), Some(Code::App(Passcode::parse("123456").unwrap())));
        for bad in ["", "-", "12345", "password"] {
            assert_eq!(Code::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn after_a_hundred_wrong_codes_the_app_is_believed_no_more() {
        let now = DateTime::from_timestamp(1_768_467_600, 0).unwrap();
        let totp = Totp::generate(&Random::seeded(1));
        let code = totp.code(Totp::step(now));
        let factor = SecondFactor { totp, last_step: 0, failures: FAILURES_MAX - 1 };
        assert_eq!(factor.takes(code, now), Some(Totp::step(now)));
        assert_eq!(SecondFactor { failures: FAILURES_MAX, ..factor }.takes(code, now), None);
    }
}
