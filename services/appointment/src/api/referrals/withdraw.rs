//! `POST /api/referrals/{referralId}/withdraw`

use contracts::appointments::WithdrawReferral;
use http_kit::{Answer, Call};

use super::{check_is_clinic, check_may_withdraw, saved};
use crate::api::Api;
use crate::domain::appointment::fault;
use crate::domain::referral::{Step, prose};
use crate::error::Error;

/// Takes a referral back that nothing has come of yet: to whom it was is told. One that is booked is given back by calling off its appointment.
pub async fn withdraw(api: Api, call: Call<WithdrawReferral>) -> Result<Answer<WithdrawReferral>, Error> {
    check_is_clinic(&call.caller)?;
    let (id,) = &call.path;
    let reason = call.body.reason.as_deref().map(prose).transpose();
    let reason = reason.map_err(|error| fault("reason", error))?;
    db::retrying(&api.db, async |mut tx| {
        let kept = api.visible_referral(&mut tx, &call.caller, id).await?;
        call.if_match.check(kept.version)?;
        check_may_withdraw(&call.caller, &kept.referral)?;
        let after = kept.referral.after(Step::Withdraw, api.today())?;
        let answer = Answer::new(saved(&kept, &after)).version(kept.version + 1);
        api.save_referral(&mut tx, (&kept, &after), (&call.caller.user, reason.clone())).await?;
        call.receipt.commit(tx, &answer).await?;
        Ok::<_, Error>(answer)
    })
    .await
}
