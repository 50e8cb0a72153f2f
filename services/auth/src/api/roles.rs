//! `GET /api/auth/roles`

use contracts::auth::{ListRoles, RoleInfo};
use contracts::page::Page;
use contracts::permission::Role;
use http_kit::{Answer, Call};

use super::Api;
use crate::error::Error;

/// Lists the roles that a user can have.
pub async fn list(_: Api, _: Call<ListRoles>) -> Result<Answer<ListRoles>, Error> {
    let roles = Role::ALL.into_iter().filter(|role| *role != Role::Service);
    let info = |role: Role| RoleInfo {
        role,
        permissions: role.permissions().iter().map(|permission| permission.to_string()).collect(),
    };
    Ok(Answer::new(Page { items: roles.map(info).collect(), next_cursor: None }))
}
