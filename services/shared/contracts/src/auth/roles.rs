//! Roles, those that every stack has and those made here.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::role_name::RoleName;

/// A role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoleInfo {
    /// Its name; read-only.
    pub role: RoleName,
    /// What it may do.
    #[schemars(length(min = 1))]
    pub permissions: Vec<String>,
    /// Whether every stack has it, so that it cannot be changed; read-only.
    pub built_in: bool,
}

/// A new role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoleRequest {
    /// Its name: 2 to 40 small letters, digits and dashes, beginning with a letter. One once used is never used again.
    #[schemars(regex(pattern = "^[a-z][a-z0-9-]{1,39}$"))]
    pub role: String,
    /// What it may do: permissions that whoever makes it has.
    #[schemars(length(min = 1))]
    pub permissions: Vec<String>,
}

/// The answer to a role's creation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoleCreated {
    /// Its name.
    pub role: RoleName,
    /// `Created`.
    pub status: String,
}

/// The answer to a role's update.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoleUpdated {
    /// Its name.
    pub role: RoleName,
    /// `Updated`.
    pub status: String,
}

/// The answer to a role's deletion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoleDeleted {
    /// `Deleted`.
    pub status: String,
    /// Its name.
    pub role: RoleName,
}
