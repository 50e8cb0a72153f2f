//! `POST /api/referrals`

use contracts::appointments::CreateReferral;
use contracts::id::ReferralId;
use contracts::problem::Faults;
use contracts::referrals::ReferralSaved;
use http_kit::{Answer, Call, Caller};

use super::check_is_clinic;
use crate::api::{Api, is_with};
use crate::domain::referral::{Entry, Referral};
use crate::error::Error;
use crate::store::referral::referral_insert;

/// Refers a patient. A clinician refers whom they treat, and for themselves.
pub async fn create(api: Api, call: Call<CreateReferral>) -> Result<Answer<CreateReferral>, Error> {
    check_is_clinic(&call.caller)?;
    let referral = Referral::parse(&call.body, api.today())?;
    check(&api, &call.caller, &referral).await?;
    let id = ReferralId::generate(api.db.random());
    let (referral_id, patient_id, status) = (id.clone(), referral.patient.clone(), referral.status);
    let answer = Answer::new(ReferralSaved { referral_id, patient_id, status }).located(&id).version(1);
    let entry = Entry { by: call.caller.user.clone(), status, reason: None };
    db::retrying(&api.db, async |mut tx| {
        db::erasure_lock(&mut tx, referral.patient.as_str()).await?;
        referral_insert(&mut tx, &api.db, &id, &referral, &entry).await?;
        Ok::<_, Error>(call.receipt.commit(tx, &answer).await?)
    })
    .await?;
    Ok(answer)
}

/// Whether patient and providers are there. To a clinician those patients are not whom they do not treat.
async fn check(api: &Api, caller: &Caller, referral: &Referral) -> Result<(), Error> {
    let reaches = api.may_book(caller, &referral.patient).await?;
    let to = async {
        match &referral.to {
            Some(to) => api.has_provider(to).await,
            None => Ok(true),
        }
    };
    let (patient, from, to) =
        tokio::join!(api.peers.has_patient(&referral.patient), api.has_provider(&referral.from), to);
    let mut faults = Faults::new();
    if !(patient? && reaches) {
        faults.add("patientId", "must be the id of a patient");
    }
    if !from? {
        faults.add("fromProviderId", "must be the id of a provider");
    } else if caller.is_carer() && !is_with(caller, referral.from.as_str()) {
        faults.add("fromProviderId", "must be yours: nobody refers for somebody else");
    }
    if !to? {
        faults.add("toProviderId", "must be the id of a provider");
    }
    Ok(faults.into_result()?)
}
