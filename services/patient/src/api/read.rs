//! `GET /api/patients/{patientId}`

use contracts::patients::PatientById;
use http_kit::{Answer, Call};

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
