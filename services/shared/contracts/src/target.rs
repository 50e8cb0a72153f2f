//! [`Target`]: what an operation is about beside patients: a user, a role, a session.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id;

/// What kind of thing it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TargetKind {
    /// A role, by its name.
    Role,
    /// A session, by its id.
    Session,
    /// A user, by their id.
    User,
}

impl TargetKind {
    const ALL: [Self; 3] = [Self::Role, Self::Session, Self::User];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Role => "role",
            Self::Session => "session",
            Self::User => "user",
        }
    }

    /// What is so called in a path template: `userId` names a user.
    pub fn of_path_id(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| name.strip_suffix("Id") == Some(kind.as_str()))
    }
}

/// A user, a role or a session.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// What kind of thing it is.
    pub kind: TargetKind,
    /// Its id; of a role, its name.
    pub id: String,
}

/// Why a text names no target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be user:, role: or session:, and an id")]
pub struct BadTarget;

impl Target {
    /// One, unless the id is not of an id's form: then it is nothing that there could be.
    pub fn new(kind: TargetKind, id: &str) -> Option<Self> {
        id::check(id).is_ok().then(|| Self { kind, id: id.to_owned() })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind.as_str(), self.id)
    }
}

impl FromStr for Target {
    type Err = BadTarget;

    fn from_str(text: &str) -> Result<Self, BadTarget> {
        let (kind, id) = text.split_once(':').ok_or(BadTarget)?;
        let kind = TargetKind::ALL.into_iter().find(|known| known.as_str() == kind).ok_or(BadTarget)?;
        Self::new(kind, id).ok_or(BadTarget)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_read_as_it_is_written() {
        for text in ["user:usr_1", "role:lab-2", "session:ses_1"] {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), text);
        }
        for text in ["", "user", "user:", "user:a b", "usr_1", "patient:12345", "User:usr_1", "user:usr_1:2"]
        {
            assert_eq!(text.parse::<Target>(), Err(BadTarget), "{text}");
        }
    }

    #[test]
    fn what_stands_in_a_path_says_what_it_is() {
        assert_eq!(TargetKind::of_path_id("userId"), Some(TargetKind::User));
        assert_eq!(TargetKind::of_path_id("roleId"), Some(TargetKind::Role));
        assert_eq!(TargetKind::of_path_id("sessionId"), Some(TargetKind::Session));
        for other in ["patientId", "user", "appointmentId", ""] {
            assert_eq!(TargetKind::of_path_id(other), None, "{other}");
        }
    }
}
