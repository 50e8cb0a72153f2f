//! `GET /api/auth/roles/{roleId}`

use contracts::auth::RoleByName;
use contracts::permission::Role;
use http_kit::{Answer, Call};

use crate::api::Api;
use crate::domain::role;
use crate::error::Error;
use crate::store::role::role_find;

/// Retrieves a role.
pub async fn by_name(api: Api, call: Call<RoleByName>) -> Result<Answer<RoleByName>, Error> {
    let (name,) = &call.path;
    if let Some(built_in) = name.built_in().filter(|role| *role != Role::Service) {
        return Ok(Answer::new(role::view_of_built_in(built_in)));
    }
    let kept = role_find(&mut api.db.read().await?, name).await?.ok_or(Error::NotFound)?;
    Ok(Answer::new(role::view(&kept.name, kept.permissions)).version(kept.version))
}
