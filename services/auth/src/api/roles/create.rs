//! `POST /api/auth/roles`

use contracts::auth::{CreateRole, RoleCreated};
use http_kit::{Answer, Call};

use crate::api::Api;
use crate::api::hold::hold;
use crate::domain::role;
use crate::error::Error;
use crate::store::role::{ROLES, ROLES_MAX, role_insert, role_list};

/// Makes a role.
pub async fn create(api: Api, call: Call<CreateRole>) -> Result<Answer<CreateRole>, Error> {
    let (name, permissions) = role::parse(&call.body)?;
    role::within(call.caller.has_to_give(), permissions, "permissions")?;
    if name.built_in().is_some() {
        return Err(Error::RoleTaken);
    }
    let created = RoleCreated { role: name.clone(), status: "Created".to_owned() };
    let answer = Answer::new(created).located(&name).version(1);
    db::retrying(&api.db, async |mut tx| {
        tx.lock(&[ROLES]).await?;
        if role_list(&mut tx).await?.len() >= ROLES_MAX {
            return Err(Error::TooManyRoles);
        }
        role_insert(&mut tx, &name, permissions).await?;
        hold(&mut tx, &call.caller).await?;
        Ok::<_, Error>(call.receipt.commit(tx, &answer).await?)
    })
    .await?;
    Ok(answer)
}
