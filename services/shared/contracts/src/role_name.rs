//! [`RoleName`]: what a role is called, be it one that every stack has or one that a clinic made for itself.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

use crate::permission::Role;

const CHARS: std::ops::RangeInclusive<usize> = 2..=40;

/// Why a text names no role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 2 to 40 small letters, digits and dashes, beginning with a letter")]
pub struct BadRoleName;

/// A role by its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct RoleName(String);

impl RoleName {
    /// Reads one that came from outside.
    pub fn parse(text: &str) -> Result<Self, BadRoleName> {
        let is_small = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let is_name = CHARS.contains(&text.len())
            && text.as_bytes()[0].is_ascii_lowercase()
            && text.bytes().all(is_small);
        is_name.then(|| Self(text.to_owned())).ok_or(BadRoleName)
    }

    /// Takes one that was checked before, as when it comes out of our own database.
    pub fn trusted(text: String) -> Self {
        Self(text)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The role that every stack has, if it is one of those.
    pub fn built_in(&self) -> Option<Role> {
        self.0.parse().ok()
    }
}

impl From<Role> for RoleName {
    fn from(role: Role) -> Self {
        Self(role.as_str().to_owned())
    }
}

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RoleName {
    type Err = BadRoleName;

    fn from_str(text: &str) -> Result<Self, BadRoleName> {
        Self::parse(text)
    }
}

impl<'de> Deserialize<'de> for RoleName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for RoleName {
    fn schema_name() -> crate::id::Name {
        "RoleName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A role: `admin`, `clinician`, `receptionist`, `billing`, `privacy-officer`, `patient`, or one that was made here.",
            "type": "string",
            "pattern": "^[a-z][a-z0-9-]{1,39}$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_role_is_known_by_its_name_again() {
        for role in Role::ALL {
            let name = RoleName::parse(role.as_str()).unwrap();
            assert_eq!((name.built_in(), &name), (Some(role), &RoleName::from(role)));
        }
        assert_eq!(RoleName::parse("lab-2").unwrap().built_in(), None);
    }

    #[test]
    fn what_could_be_taken_for_something_else_is_no_name() {
        for text in ["", "a", "2lab", "-lab", "Lab", "lab ", "lab/x", "lab.x", "läb", &"x".repeat(41)] {
            assert_eq!(RoleName::parse(text), Err(BadRoleName), "{text}");
        }
    }
}
