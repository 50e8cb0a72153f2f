//! `GET` and `DELETE /api/auth/users/{userId}/second-factor`

use contracts::auth::{ResetSecondFactor, SecondFactorRemoved, UserSecondFactor};
use http_kit::{Answer, Call};

use super::view;
use crate::api::Api;
use crate::api::hold::hold;
use crate::domain::role;
use crate::error::Error;
use crate::store::account::{account_find, account_touch};
use crate::store::revocation::revocation_insert;
use crate::store::second_factor::second_factor_delete;
use crate::store::session::sessions_end;

/// Shows whether a user has a second factor, and whether they must.
pub async fn status(api: Api, call: Call<UserSecondFactor>) -> Result<Answer<UserSecondFactor>, Error> {
    let (user,) = &call.path;
    Ok(Answer::new(view(&api, user).await?))
}

/// Takes it away from somebody who has lost it: they log in with the password alone, and enrol another. Not one's own: whoever has stolen an
/// administrator's token must not get rid of the code with it.
pub async fn reset(api: Api, call: Call<ResetSecondFactor>) -> Result<Answer<ResetSecondFactor>, Error> {
    let (id,) = &call.path;
    let (version, ended) = db::retrying(&api.db, async |mut tx| {
        let kept = account_find(&mut tx, &api.db, id).await?.ok_or(Error::NotFound)?;
        call.if_match.check(kept.version)?;
        // As with a password: without the second factor, who knows the password is them.
        role::within(call.caller.has_to_give(), kept.account.user.permissions(), "userId")?;
        if call.caller.user == id.as_str() {
            return Err(Error::OwnSecondFactor);
        }
        if !account_touch(&mut tx, id, kept.version).await? {
            return Err(Error::Db(db::Error::LostRace));
        }
        let there_was_one = second_factor_delete(&mut tx, id).await?;
        hold(&mut tx, &call.caller).await?;
        let ended = if there_was_one { sessions_end(&mut tx, id, None).await? } else { Vec::new() };
        revocation_insert(&mut tx, &ended).await?;
        tx.commit().await?;
        Ok((kept.version + 1, ended))
    })
    .await?;
    api.announce(&ended);
    Ok(Answer::new(SecondFactorRemoved { status: "Removed".to_owned() }).version(version))
}
