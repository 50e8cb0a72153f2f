//! Somebody whom an outside identity provider knows: what it says of them, and what they are here by that.

use std::collections::{BTreeMap, BTreeSet};

use contracts::ambient::Random;
use contracts::auth::UserStatus;
use contracts::permission::{Permissions, Role};
use contracts::role_name::RoleName;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use settings::{OutsideRole, OutsideSecondFactor};

use super::user::{MADE_MAX, User};
use super::username::{self, Username};

/// Of what a log line says that a claim holds, so many values…
const TOLD_MAX: usize = 10;
/// …of so many characters each.
const TOLD_CHARS_MAX: usize = 64;
/// Characters that make one name of two, behind a dot.
const SUFFIX_CHARS: usize = 4;

/// Who somebody is at a provider. Issuer and subject are what they are known by, and nothing else is: an address or a name may become somebody
/// else's there. No `Debug`: it is about a person.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Who says so.
    pub issuer: String,
    /// Whom it means.
    pub subject: String,
    /// What people call them.
    pub name: Option<String>,
    /// What they are here by what it says of them.
    pub roles: BTreeSet<RoleName>,
    /// Whether they have shown a second factor there.
    pub second_factor: bool,
}

impl Identity {
    /// What they are called here: the provider's name first, so that nobody is taken for somebody whom an administrator made.
    pub fn username(&self, provider: &str, random: &Random, is_taken: bool) -> Option<Username> {
        let known = |c: char| if c.is_ascii_alphanumeric() || "@._-".contains(c) { c } else { '-' };
        let name: String = self.name.as_deref().unwrap_or_default().chars().map(known).collect();
        let suffix = || data_encoding::BASE32_NOPAD.encode(&random.bytes::<8>())[..SUFFIX_CHARS].to_owned();
        let whole: String =
            format!("{provider}.{name}").chars().take(username::CHARS_MAX - SUFFIX_CHARS - 1).collect();
        let whole = match (name.is_empty(), is_taken) {
            (false, false) => whole,
            (false, true) => format!("{whole}.{}", suffix()),
            (true, _) => format!("{provider}.{}", suffix()),
        };
        Username::parse(&whole).ok()
    }
}

/// Where something stands in an ID token: a member's name, or a JSON pointer (RFC 6901).
#[derive(Clone, Debug)]
pub struct Claim(String);

impl Claim {
    /// From the settings.
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// What stands there.
    pub fn of<'a>(&self, claims: &'a Value) -> Option<&'a Value> {
        if self.0.starts_with('/') { claims.pointer(&self.0) } else { claims.get(&self.0) }
    }
}

/// Which of a provider's roles are which of ours.
#[derive(Clone, Debug)]
pub struct RoleTable {
    claim: Claim,
    rows: Vec<(String, RoleName)>,
}

/// Why there is no role for somebody. For whoever runs the stack, and for nobody else.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRole {
    /// The claim is not in the token.
    #[error("the claim {0} is not in the ID token")]
    Absent(String),
    /// It is no text, and no list of texts.
    #[error("the claim {0} is neither a text nor a list of texts")]
    Shape(String),
    /// None of its values is in the table.
    #[error("none of the values of the claim {0} stands in the table of roles: {1:?}")]
    Unknown(String, Vec<String>),
}

impl RoleTable {
    /// From the settings. A role that cannot be one is nobody's.
    pub fn new(claim: &str, rows: &[OutsideRole]) -> Self {
        let rows = rows.iter().filter_map(|row| Some((row.value.clone(), assignable(&row.role)?)));
        Self { claim: Claim::new(claim), rows: rows.collect() }
    }

    /// What somebody is here, at least one thing.
    pub fn roles(&self, claims: &Value) -> Result<BTreeSet<RoleName>, NoRole> {
        let name = || self.claim.0.clone();
        let values: Option<Vec<&str>> = match self.claim.of(claims) {
            None => return Err(NoRole::Absent(name())),
            Some(Value::String(one)) => Some(vec![one]),
            Some(Value::Array(several)) => several.iter().map(Value::as_str).collect(),
            Some(_) => None,
        };
        let values = values.ok_or_else(|| NoRole::Shape(name()))?;
        let roles: BTreeSet<_> =
            self.rows.iter().filter(|(value, _)| values.contains(&value.as_str())).collect();
        if roles.is_empty() {
            let told = |value: &&str| value.chars().take(TOLD_CHARS_MAX).collect();
            return Err(NoRole::Unknown(name(), values.iter().take(TOLD_MAX).map(told).collect()));
        }
        Ok(roles.into_iter().map(|(_, role)| role.clone()).collect())
    }
}

/// The provider does not know which patient somebody is, and is no service of the stack.
fn assignable(role: &str) -> Option<RoleName> {
    let role = RoleName::parse(role).ok()?;
    (!matches!(role.built_in(), Some(Role::Service | Role::Patient))).then_some(role)
}

/// Whether an ID token says that a second factor was shown.
pub fn has_shown_second_factor(settings: &OutsideSecondFactor, claims: &Value) -> bool {
    let is_among = |known: &[String], value: &Value| {
        value.as_str().is_some_and(|value| known.iter().any(|known| known == value))
    };
    let ways = claims.get("amr").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let class = claims.get("acr");
    ways.iter().any(|way| is_among(&settings.amr, way))
        || class.is_some_and(|class| is_among(&settings.acr, class))
}

/// What somebody is: the roles that every stack has, and those that were made here with what they may.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Granted {
    /// Of every stack's.
    pub roles: BTreeSet<Role>,
    /// Made here; as many as anybody may have.
    pub made: BTreeMap<RoleName, Permissions>,
}

impl Granted {
    /// Of the roles of a token, with what those that were made here may. One that there is not, or not any more, gives nothing.
    pub fn new(roles: &BTreeSet<RoleName>, made: BTreeMap<RoleName, Permissions>) -> Self {
        let built_in = roles.iter().filter_map(RoleName::built_in).collect();
        Self { roles: built_in, made: made.into_iter().take(MADE_MAX).collect() }
    }

    /// Whether it is nothing.
    pub fn is_nothing(&self) -> bool {
        self.roles.is_empty() && self.made.is_empty()
    }

    /// A new user.
    pub fn user(self, username: Username) -> User {
        let Self { roles, made } = self;
        User { username, roles, made, status: UserStatus::Active, patient_id: None, provider_id: None }
    }

    /// What becomes of a user: their roles are these and no others. Whether they may log in, and what they are tied to, is decided here and
    /// not at the provider.
    #[must_use]
    pub fn refresh(self, user: &User) -> User {
        User { roles: self.roles, made: self.made, ..user.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn table(claim: &str) -> RoleTable {
        let rows = [
            ("doctors", "clinician"),
            ("doctors", "lab"),
            ("it", "admin"),
            ("x", "service"),
            ("x", "patient"),
            ("x", "X"),
        ];
        let row =
            |(value, role): (&str, &str)| OutsideRole { value: value.to_owned(), role: role.to_owned() };
        RoleTable::new(claim, &rows.map(row))
    }

    fn names(roles: Result<BTreeSet<RoleName>, NoRole>) -> Vec<String> {
        roles.unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_value_in_the_table_is_a_role_and_no_other_is() {
        assert_eq!(
            names(table("roles").roles(&json!({"roles": ["doctors", "it", "nurses"]}))),
            ["admin", "clinician", "lab"]
        );
        assert_eq!(names(table("roles").roles(&json!({"roles": "it"}))), ["admin"]);
        let realm =
            json!({"realm_access": {"roles": ["it"]}, "https://clinic.example/roles": ["it"], "a/b": "it"});
        for claim in ["/realm_access/roles", "https://clinic.example/roles", "/a~1b"] {
            assert_eq!(names(table(claim).roles(&realm)), ["admin"], "{claim}");
        }
    }

    #[test]
    fn what_is_missing_is_told() {
        for (claims, says) in [
            (json!({}), "the claim roles is not in the ID token"),
            (json!({"roles": {"it": true}}), "the claim roles is neither a text nor a list of texts"),
            (json!({"roles": ["it", 7]}), "the claim roles is neither a text nor a list of texts"),
            (
                json!({"roles": ["IT", "x"]}),
                r#"none of the values of the claim roles stands in the table of roles: ["IT", "x"]"#,
            ),
            (json!({"roles": []}), "none of the values of the claim roles stands in the table of roles: []"),
        ] {
            assert_eq!(table("roles").roles(&claims).unwrap_err().to_string(), says);
        }
        let many = json!({"roles": vec!["y".repeat(1_000); 1_000]});
        assert!(table("roles").roles(&many).unwrap_err().to_string().len() < 1_000);
    }

    #[test]
    fn only_what_is_named_counts_as_a_second_factor() {
        let settings = OutsideSecondFactor { amr: vec!["mfa".to_owned()], acr: vec!["gold".to_owned()] };
        for (claims, is) in [
            (json!({"amr": ["pwd", "mfa"]}), true),
            (json!({"acr": "gold"}), true),
            (json!({"amr": ["pwd"], "acr": "silver"}), false),
            (json!({"amr": "mfa", "acr": ["gold"]}), false),
            (json!({}), false),
        ] {
            assert_eq!(has_shown_second_factor(&settings, &claims), is, "{claims}");
            assert!(!has_shown_second_factor(&OutsideSecondFactor::default(), &claims));
        }
    }

    #[test]
    fn a_name_begins_with_the_providers_and_is_a_name_whatever_comes() {
        let random = Random::seeded(1);
        let name = |name: Option<&str>, is_taken| {
            let identity = Identity {
                issuer: String::new(),
                subject: String::new(),
                name: name.map(str::to_owned),
                roles: BTreeSet::new(),
                second_factor: false,
            };
            identity.username("staff", &random, is_taken).unwrap().to_string()
        };
        assert_eq!(name(Some("Jane.Roe@clinic.example"), false), "staff.jane.roe@clinic.example");
        assert_eq!(name(Some("admin"), false), "staff.admin");
        assert_eq!(name(Some("Jürgen Groß/\n"), false), "staff.j-rgen-gro---");
        assert_eq!(name(Some("admin"), true).len(), "staff.admin.abcd".len());
        assert_eq!(name(None, false).len(), "staff.abcd".len());
        assert_eq!(name(Some(&"é".repeat(500)), true).len(), username::CHARS_MAX);
    }
}
