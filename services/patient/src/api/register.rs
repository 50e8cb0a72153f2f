//! `POST /api/patients`

use contracts::id::PatientId;
use contracts::patients::{PatientRegistered, RegisterPatient};
use http_kit::{Answer, Call};

use super::Api;
use crate::domain::patient::Patient;
use crate::error::Error;
use crate::store::patient::patient_insert;

/// Registers a patient.
pub async fn register(api: Api, call: Call<RegisterPatient>) -> Result<Answer<RegisterPatient>, Error> {
    let (id, patient) = Patient::register(&call.body, api.today())?;
    let id = id.unwrap_or_else(|| PatientId::generate(api.db.random()));
    let registered = PatientRegistered { patient_id: id.clone(), status: "Registered".to_owned() };
    let answer = Answer::new(registered).located(&id).version(1);
    db::retrying(&api.db, async |mut tx| {
        patient_insert(&mut tx, &api.db, &id, &patient).await?;
        // A clinician goes on seeing whom they register.
        if let Some(provider) = call.caller.carer().and_then(|carer| carer.provider) {
            api.seat(&mut tx, &id, &provider, true, None).await?;
        }
        Ok::<_, Error>(call.receipt.commit(tx, &answer).await?)
    })
    .await?;
    Ok(answer)
}
