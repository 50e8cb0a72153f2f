//! `POST /api/patients`

use contracts::id::PatientId;
use contracts::patients::{PatientRegistered, RegisterPatient};
use http_kit::{Answer, Call};

use super::Api;
use crate::domain::patient::Patient;
use crate::error::Error;
use crate::store::patient::patient_insert;

/// Registers a patient. Whoever sees whom they treat, and nobody else, does not choose the id.
pub async fn register(api: Api, call: Call<RegisterPatient>) -> Result<Answer<RegisterPatient>, Error> {
    let (id, patient) = Patient::register(&call.body, api.today())?;
    // An id that is taken would tell a clinician of somebody whom they do not treat.
    if id.is_some() && call.caller.is_carer() {
        return Err(Error::IdIsGiven);
    }
    let id = id.unwrap_or_else(|| PatientId::generate(api.db.random()));
    let registered = PatientRegistered { patient_id: id.clone(), status: "Registered".to_owned() };
    let answer = Answer::new(registered).located(&id).version(1);
    db::retrying(&api.db, async |mut tx| {
        patient_insert(&mut tx, &api.db, &id, &patient).await?;
        // A clinician goes on seeing whom they register.
        if let (true, Some(provider)) = (call.caller.is_carer(), &call.caller.provider_id) {
            api.seat(&mut tx, &id, provider, true, None).await?;
        }
        Ok::<_, Error>(call.receipt.commit(tx, &answer).await?)
    })
    .await?;
    Ok(answer)
}
