//! `POST /api/referrals/{referralId}/decline`

use contracts::appointments::DeclineReferral;
use http_kit::{Answer, Call};

use super::{check_is_clinic, check_may_answer, saved};
use crate::api::Api;
use crate::domain::appointment::fault;
use crate::domain::referral::{Step, prose};
use crate::error::Error;

/// Does not take the patient: who referred them is told, and reads why here.
pub async fn decline(api: Api, call: Call<DeclineReferral>) -> Result<Answer<DeclineReferral>, Error> {
    check_is_clinic(&call.caller)?;
    let (id,) = &call.path;
    let reason = prose(&call.body.reason).map_err(|error| fault("reason", error))?;
    db::retrying(&api.db, async |mut tx| {
        let kept = api.visible_referral(&mut tx, &call.caller, id).await?;
        call.if_match.check(kept.version)?;
        check_may_answer(&call.caller, &kept.referral)?;
        let after = kept.referral.after(Step::Decline, api.today())?;
        let answer = Answer::new(saved(&kept, &after)).version(kept.version + 1);
        api.save_referral(&mut tx, (&kept, &after), (&call.caller.user, Some(reason.clone()))).await?;
        call.receipt.commit(tx, &answer).await?;
        Ok::<_, Error>(answer)
    })
    .await
}
