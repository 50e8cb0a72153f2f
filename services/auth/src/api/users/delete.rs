//! `DELETE /api/auth/users/{userId}`

use contracts::auth::{DeleteUser, UserDeleted};
use http_kit::{Answer, Call};

use crate::api::Api;
use crate::api::hold::hold;
use crate::domain::role;
use crate::error::Error;
use crate::store::account::{ADMINS, account_delete, account_find, account_other_admin};
use crate::store::revocation::revocation_insert;
use crate::store::session::sessions_end;

/// Deletes a user. The name stays taken: what it stands under elsewhere must not become somebody else's.
pub async fn delete(api: Api, call: Call<DeleteUser>) -> Result<Answer<DeleteUser>, Error> {
    let (id,) = &call.path;
    let (version, ended) = db::retrying(&api.db, async |mut tx| {
        tx.lock(&[ADMINS]).await?;
        let kept = account_find(&mut tx, &api.db, id).await?.ok_or(Error::NotFound)?;
        call.if_match.check(kept.version)?;
        role::within(call.caller.has_to_give(), kept.account.user.permissions(), "userId")?;
        if kept.account.user.is_active_admin() && !account_other_admin(&mut tx, id).await? {
            return Err(Error::LastAdmin);
        }
        if !account_delete(&mut tx, id, kept.version).await? {
            return Err(Error::Db(db::Error::LostRace));
        }
        api.tell_user(&mut tx, (id, kept.version + 1), (&kept.account.user, None)).await?;
        hold(&mut tx, &call.caller).await?;
        let ended = sessions_end(&mut tx, id, None).await?;
        revocation_insert(&mut tx, &ended).await?;
        tx.commit().await?;
        Ok((kept.version + 1, ended))
    })
    .await?;
    api.announce(&ended);
    Ok(Answer::new(UserDeleted { status: "Deleted".to_owned(), user_id: id.clone() }).version(version))
}
