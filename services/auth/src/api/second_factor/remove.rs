//! `POST /api/auth/me/second-factor/remove`

use contracts::auth::{RemoveSecondFactor, SecondFactorRemoved, SecondFactorStatus};
use http_kit::{Answer, Call};

use super::{Known, owner, view};
use crate::api::Api;
use crate::api::hold::hold;
use crate::error::Error;
use crate::store::account::account_touch;
use crate::store::revocation::revocation_insert;
use crate::store::second_factor::second_factor_delete;
use crate::store::session::sessions_end;

/// Removes one's own, by the password and a code. Where a role asks for one it is not removed, but another enrolled in its place.
pub async fn remove(api: Api, call: Call<RemoveSecondFactor>) -> Result<Answer<RemoveSecondFactor>, Error> {
    let present = view(&api, &owner(&call.caller)?).await?;
    match present.status {
        SecondFactorStatus::None => return Err(Error::NoSecondFactor),
        SecondFactorStatus::Active if present.required => return Err(Error::SecondFactorAsked),
        SecondFactorStatus::Active => {}
    }
    let known = Known::by(&api, &call.caller, call.client_address.as_deref(), &call.body).await?;
    let answer = Answer::new(SecondFactorRemoved { status: "Removed".to_owned() });
    let (proof, ended) = db::retrying(&api.db, async |mut tx| {
        let (_, version, proof) = known.prove(&mut tx, &api, call.body.code.as_deref()).await?;
        if !proof.is_good() {
            tx.rollback().await?;
            return Ok((proof, Vec::new()));
        }
        if !account_touch(&mut tx, &known.id, version).await? {
            return Err(Error::Db(db::Error::LostRace));
        }
        second_factor_delete(&mut tx, &known.id).await?;
        hold(&mut tx, &call.caller).await?;
        let ended = sessions_end(&mut tx, &known.id, call.caller.session.as_deref()).await?;
        revocation_insert(&mut tx, &ended).await?;
        call.receipt.commit(tx, &answer).await?;
        Ok((proof, ended))
    })
    .await?;
    known.judge(&api, proof).await?;
    api.announce(&ended);
    Ok(answer)
}
