//! `POST /api/referrals/{referralId}/accept`

use contracts::appointments::AcceptReferral;
use contracts::id::ProviderId;
use http_kit::{Answer, Call};

use super::{check_is_clinic, check_may_answer, saved};
use crate::api::Api;
use crate::domain::appointment::fault;
use crate::domain::referral::Step;
use crate::error::Error;

/// Takes the patient: who referred them is told. It makes nobody treat them yet.
pub async fn accept(api: Api, call: Call<AcceptReferral>) -> Result<Answer<AcceptReferral>, Error> {
    check_is_clinic(&call.caller)?;
    let (id,) = &call.path;
    let asked = call.body.provider_id.as_deref().map(ProviderId::parse).transpose();
    let asked = asked.map_err(|error| fault("providerId", error))?;
    let mut tx = api.db.read().await?;
    let kept = api.visible_referral(&mut tx, &call.caller, id).await?;
    drop(tx);
    call.if_match.check(kept.version)?;
    check_may_answer(&call.caller, &kept.referral)?;
    let to = asked.or_else(|| kept.referral.to.clone());
    let to = to.ok_or_else(|| fault("providerId", "must say who takes the patient"))?;
    if kept.referral.to.as_ref() != Some(&to) && !api.has_provider(&to).await? {
        return Err(fault("providerId", "must be the id of a provider").into());
    }
    db::retrying(&api.db, async |mut tx| {
        let kept = api.visible_referral(&mut tx, &call.caller, id).await?;
        call.if_match.check(kept.version)?;
        check_may_answer(&call.caller, &kept.referral)?;
        let after = kept.referral.after(Step::Accept(to.clone()), api.today())?;
        let answer = Answer::new(saved(&kept, &after)).version(kept.version + 1);
        api.save_referral(&mut tx, (&kept, &after), (&call.caller.user, None)).await?;
        call.receipt.commit(tx, &answer).await?;
        Ok::<_, Error>(answer)
    })
    .await
}
