//! `DELETE /api/auth/roles/{roleId}`

use contracts::auth::{DeleteRole, RoleDeleted};
use http_kit::{Answer, Call};

use super::{changeable, end_sessions, holders};
use crate::api::Api;
use crate::api::hold::hold;
use crate::domain::role;
use crate::error::Error;
use crate::store::role::{ROLES, role_delete};

/// Takes a role away, from whoever has it too; their sessions end. The name stays taken: nobody comes into it who was given another.
pub async fn delete(api: Api, call: Call<DeleteRole>) -> Result<Answer<DeleteRole>, Error> {
    let (name,) = &call.path;
    let (version, ended) = db::retrying(&api.db, async |mut tx| {
        tx.lock(&[ROLES]).await?;
        let kept = changeable(&mut tx, name).await?;
        call.if_match.check(kept.version)?;
        role::within(call.caller.has_to_give(), kept.permissions, "permissions")?;
        let holders = holders(&mut tx, name).await?;
        if !role_delete(&mut tx, name, kept.version).await? {
            return Err(Error::Db(db::Error::LostRace));
        }
        hold(&mut tx, &call.caller).await?;
        let ended = end_sessions(&mut tx, &holders).await?;
        tx.commit().await?;
        Ok::<_, Error>((kept.version + 1, ended))
    })
    .await?;
    api.announce(&ended);
    Ok(Answer::new(RoleDeleted { status: "Deleted".to_owned(), role: name.clone() }).version(version))
}
