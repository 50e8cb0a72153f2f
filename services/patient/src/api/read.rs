//! `GET /api/patients/{patientId}`, and `GET /internal/contacts/{patientId}` for who writes to them.

use contracts::patients::{ContactOfPatient, PatientById, PatientContact};
use http_kit::{Answer, Call, View};

use super::Api;
use crate::error::Error;

/// Retrieves a patient.
pub async fn by_id(api: Api, call: Call<PatientById>) -> Result<Answer<PatientById>, Error> {
    let (id,) = call.path;
    let mut tx = api.db.read().await?;
    let kept = api.visible(&mut tx, &call.caller, &id).await?;
    let view = api.sees(&mut tx, &call.caller, &id).await?;
    Ok(Answer::new(kept.patient.view(&id, view)).version(kept.version).shown(view))
}

/// Where a patient is reached: a service that writes to them needs to know nothing else.
pub async fn contact(api: Api, call: Call<ContactOfPatient>) -> Result<Answer<ContactOfPatient>, Error> {
    let (patient_id,) = call.path;
    let mut tx = api.db.read().await?;
    let kept = api.visible(&mut tx, &call.caller, &patient_id).await?;
    let contact_info = kept.patient.view(&patient_id, View::Necessary).contact_info;
    Ok(Answer::new(PatientContact { patient_id, contact_info }).version(kept.version))
}
