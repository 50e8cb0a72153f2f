//! `PUT /api/auth/users/{userId}/password`

use contracts::auth::{PasswordChanged, SetPassword};
use http_kit::{Answer, Call};

use crate::api::Api;
use crate::api::hold::hold;
use crate::domain::user::Account;
use crate::domain::{policy, role};
use crate::error::Error;
use crate::store::account::{account_find, account_update};
use crate::store::outside_identity::outside_identity_provider;
use crate::store::revocation::revocation_insert;
use crate::store::session::sessions_end;

/// Sets a user's password. Whoever knew the old one is signed out, and a lock is lifted.
pub async fn set_password(api: Api, call: Call<SetPassword>) -> Result<Answer<SetPassword>, Error> {
    let (id,) = &call.path;
    let kept = account_find(&mut api.db.read().await?, &api.db, id).await?.ok_or(Error::NotFound)?;
    call.if_match.check(kept.version)?;
    // With somebody's password one is them.
    role::within(call.caller.has_to_give(), kept.account.user.permissions(), "userId")?;
    let (new, username) = (&call.body.new_password, kept.account.user.username.as_str());
    policy::check(api.policy, new, username).map_err(|error| Error::BadField("newPassword", error))?;
    let password = api.hasher.hash(new).await?;

    let (version, ended) = db::retrying(&api.db, async |mut tx| {
        api.guard.forgive(&mut tx, username).await?;
        let kept = account_find(&mut tx, &api.db, id).await?.ok_or(Error::NotFound)?;
        call.if_match.check(kept.version)?;
        role::within(call.caller.has_to_give(), kept.account.user.permissions(), "userId")?;
        // A second way in, that the provider knows nothing of, would stay when it lets them in no more.
        if outside_identity_provider(&mut tx, id).await?.is_some() {
            return Err(Error::NoPassword);
        }
        let account = Account { password: password.clone(), ..kept.account };
        if !account_update(&mut tx, &api.db, id, kept.version, &account).await? {
            return Err(Error::Db(db::Error::LostRace));
        }
        hold(&mut tx, &call.caller).await?;
        let ended = sessions_end(&mut tx, id, None).await?;
        revocation_insert(&mut tx, &ended).await?;
        tx.commit().await?;
        Ok((kept.version + 1, ended))
    })
    .await?;
    api.announce(&ended);
    Ok(Answer::new(PasswordChanged { status: "Password changed".to_owned() }).version(version))
}
