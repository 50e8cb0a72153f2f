//! `PUT /api/auth/users/{userId}`

use contracts::auth::{UpdateUser, UserUpdated};
use http_kit::{Answer, Call, json};

use crate::api::Api;
use crate::api::hold::hold;
use crate::domain::role;
use crate::domain::user::{Account, User};
use crate::error::Error;
use crate::store::account::{ADMINS, Kept, account_find, account_other_admin, account_update};
use crate::store::revocation::revocation_insert;
use crate::store::role::ROLES;
use crate::store::session::sessions_end;

/// Changes what the body names (RFC 7396). Tokens that would then say what is no longer so are revoked.
pub async fn update(api: Api, call: Call<UpdateUser>) -> Result<Answer<UpdateUser>, Error> {
    let (id,) = &call.path;
    // Other services are asked before a transaction begins: what the body names is the same however often that has to be repeated.
    let kept = account_find(&mut api.db.read().await?, &api.db, id).await?.ok_or(Error::NotFound)?;
    call.if_match.check(kept.version)?;
    api.check_ties(&changed(&kept, &call)?, Some(&kept.account.user)).await?;

    let (version, ended) = db::retrying(&api.db, async |mut tx| {
        tx.lock(&[ADMINS, ROLES]).await?;
        let kept = account_find(&mut tx, &api.db, id).await?.ok_or(Error::NotFound)?;
        call.if_match.check(kept.version)?;
        let (present, mut user) = (&kept.account.user, changed(&kept, &call)?);
        role::within(call.caller.has_to_give(), present.permissions(), "userId")?;
        api.fill_roles(&mut tx, &call.caller, &mut user).await?;
        if present.is_active_admin() && !user.is_active_admin() && !account_other_admin(&mut tx, id).await? {
            return Err(Error::LastAdmin);
        }
        let outdates_tokens = present.outdates_tokens(&user);
        api.tell_user(&mut tx, (id, kept.version + 1), (present, Some(&user))).await?;
        let account = Account { user, password: kept.account.password };
        if !account_update(&mut tx, &api.db, id, kept.version, &account).await? {
            return Err(Error::Db(db::Error::LostRace));
        }
        hold(&mut tx, &call.caller).await?;
        let ended = if outdates_tokens { sessions_end(&mut tx, id, None).await? } else { Vec::new() };
        revocation_insert(&mut tx, &ended).await?;
        tx.commit().await?;
        Ok((kept.version + 1, ended))
    })
    .await?;
    api.announce(&ended);
    Ok(Answer::new(UserUpdated { user_id: id.clone(), status: "Updated".to_owned() }).version(version))
}

fn changed(kept: &Kept, call: &Call<UpdateUser>) -> Result<User, Error> {
    let user = &kept.account.user;
    let current = user.view(&kept.id);
    Ok(user.change(&current, &json::merge(&call.body, &current)?)?)
}
