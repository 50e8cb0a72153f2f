//! Users: who may log in, and as what.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::UserId;
use crate::role_name::RoleName;

/// A new user.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserRequest {
    /// 3 to 64 letters, digits, dots, dashes, underscores or `@`; upper and lower case are the same.
    #[schemars(length(min = 3, max = 64))]
    pub username: String,
    /// By the stack's password policy.
    #[schemars(length(min = 1, max = 256))]
    pub password: String,
    /// At least one, of those that were made here 5 at most; `service` is for services alone.
    #[schemars(length(min = 1, max = 11))]
    pub roles: Vec<RoleName>,
    /// The patient that the user is; required for the role `patient`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<String>,
    /// The provider that the user is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
}

/// Whether a user may log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum UserStatus {
    /// May.
    Active,
    /// May not.
    Disabled,
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// The id; read-only.
    pub user_id: String,
    /// The name; read-only.
    pub username: String,
    /// What they are.
    #[schemars(length(min = 1, max = 11))]
    pub roles: Vec<RoleName>,
    /// The patient they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<String>,
    /// The provider they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
    /// Whether they may log in.
    pub status: UserStatus,
}

/// The answer to a user's creation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserCreated {
    /// The new user's id.
    pub user_id: UserId,
    /// The name as it is kept.
    pub username: String,
    /// `Created`.
    pub status: String,
}

/// The answer to a user's update.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserUpdated {
    /// The user's id.
    pub user_id: UserId,
    /// `Updated`.
    pub status: String,
}

/// The answer to a user's deletion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserDeleted {
    /// `Deleted`.
    pub status: String,
    /// The user's id.
    pub user_id: UserId,
}

/// Which users.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserFilter {
    /// The name, exactly but for upper and lower case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// At most so many, 1 to 200; 50 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `nextCursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}
