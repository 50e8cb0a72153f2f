//! `PUT /api/auth/roles/{roleId}`

use contracts::auth::{RoleUpdated, UpdateRole};
use http_kit::{Answer, Call, json};

use super::{changeable, end_sessions, holders};
use crate::api::Api;
use crate::api::hold::hold;
use crate::domain::role;
use crate::error::Error;
use crate::store::role::{ROLES, role_update};

/// Changes what a role may do (RFC 7396), and ends the sessions of whoever has it: nobody goes on with what they were given before.
pub async fn update(api: Api, call: Call<UpdateRole>) -> Result<Answer<UpdateRole>, Error> {
    let (name,) = &call.path;
    let own = call.caller.has_to_give();
    let (version, ended) = db::retrying(&api.db, async |mut tx| {
        tx.lock(&[ROLES]).await?;
        let kept = changeable(&mut tx, name).await?;
        call.if_match.check(kept.version)?;
        // What somebody may not give they may not take either: it is not theirs to decide.
        role::within(own, kept.permissions, "permissions")?;
        let current = role::view(name, kept.permissions);
        let permissions = role::change(&current, &json::merge(&call.body, &current)?)?;
        role::within(own, permissions, "permissions")?;
        if permissions == kept.permissions {
            return Ok((kept.version, Vec::new()));
        }
        if !role_update(&mut tx, name, kept.version, permissions).await? {
            return Err(Error::Db(db::Error::LostRace));
        }
        let holders = holders(&mut tx, name).await?;
        hold(&mut tx, &call.caller).await?;
        let ended = end_sessions(&mut tx, &holders).await?;
        tx.commit().await?;
        Ok::<_, Error>((kept.version + 1, ended))
    })
    .await?;
    api.announce(&ended);
    Ok(Answer::new(RoleUpdated { role: name.clone(), status: "Updated".to_owned() }).version(version))
}
