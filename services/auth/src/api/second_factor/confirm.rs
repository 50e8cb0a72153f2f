//! `POST /api/auth/me/second-factor/confirm`

use contracts::auth::{ConfirmSecondFactor, SecondFactorConfirmed};
use contracts::id::UserId;
use contracts::problem::Faults;
use db::Tx;
use http_kit::{Answer, Call, Caller};

use super::{owner, wrong_code};
use crate::api::hold::hold;
use crate::api::{Api, bounded};
use crate::domain::recovery_code::{self, RecoveryCode};
use crate::domain::second_factor::{CODE_CHARS_MAX, Code, OFFER_WRONG_MAX};
use crate::error::Error;
use crate::store::account::{account_find, account_touch};
use crate::store::recovery_code::recovery_codes_give;
use crate::store::revocation::revocation_insert;
use crate::store::second_factor::{
    Offer, second_factor_enrol, second_factor_offer, second_factor_offered, second_factor_withdraw,
};
use crate::store::session::sessions_end;

/// Makes what was offered the second factor, once a code has shown that it arrived.
///
/// Every other session ends: one that was begun with the password alone, perhaps not by its owner, must not come to more by this one's code.
/// The account counts a change, so that a login that is under way looks again.
pub async fn confirm(
    api: Api,
    call: Call<ConfirmSecondFactor>,
) -> Result<Answer<ConfirmSecondFactor>, Error> {
    let mut faults = Faults::new();
    bounded("code", &call.body.code, CODE_CHARS_MAX, &mut faults);
    faults.into_result()?;
    let id = owner(&call.caller)?;
    let Some(Code::App(code)) = Code::parse(&call.body.code) else { return Err(wrong_code()) };
    let codes: Vec<_> = (0..recovery_code::COUNT).map(|_| RecoveryCode::generate(api.db.random())).collect();
    let recovery_codes = codes.iter().map(RecoveryCode::shown).collect();
    let confirmed = SecondFactorConfirmed { status: "Active".to_owned(), recovery_codes };
    let answer = Answer::new(confirmed).no_store();
    let ended = db::retrying(&api.db, async |mut tx| {
        let kept = account_find(&mut tx, &api.db, &id).await?.ok_or(Error::NotFound)?;
        if !account_touch(&mut tx, &id, kept.version).await? {
            return Err(Error::Db(db::Error::LostRace));
        }
        let offer = offered(&mut tx, &api, &id, &call.caller).await?;
        let Some(step) = offer.totp.step_of(code, tx.now(), i64::MIN) else {
            count_wrong(tx, &api, &id, offer).await?;
            return Ok(None);
        };
        second_factor_enrol(&mut tx, &api.db, &id, &offer.totp, step).await?;
        recovery_codes_give(&mut tx, &api.db, &id, &codes).await?;
        hold(&mut tx, &call.caller).await?;
        let ended = sessions_end(&mut tx, &id, call.caller.session.as_deref()).await?;
        revocation_insert(&mut tx, &ended).await?;
        call.receipt.commit_once(tx, &answer).await?;
        Ok(Some(ended))
    })
    .await?
    .ok_or_else(wrong_code)?;
    api.announce(&ended);
    Ok(answer)
}

/// What this session was offered, if it may still be confirmed.
async fn offered(tx: &mut Tx, api: &Api, id: &UserId, caller: &Caller) -> Result<Offer, Error> {
    let offer = second_factor_offered(tx, &api.db, id).await?;
    let now = tx.now();
    offer.filter(|offer| offer.until > now && offer.session == caller.session).ok_or(Error::NothingOffered)
}

/// Counts a wrong code; after some of them what was offered is offered no more.
async fn count_wrong(mut tx: Tx, api: &Api, id: &UserId, offer: Offer) -> Result<(), Error> {
    let wrong = offer.wrong + 1;
    if wrong < OFFER_WRONG_MAX {
        second_factor_offer(&mut tx, &api.db, id, &Offer { wrong, ..offer }).await?;
    } else {
        second_factor_withdraw(&mut tx, id).await?;
    }
    // What the call comes to is written down when it is refused.
    Ok(tx.commit_unaudited().await?)
}
