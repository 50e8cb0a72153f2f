//! `GET /api/patients/{patientId}/erasure`

use std::sync::Arc;
use std::time::Duration;

use contracts::client::Transport;
use contracts::erasure::{
    CollectErasure, ErasureReport, ErasureStatus, ServiceErasure, ServiceErasureStatus,
};
use contracts::id::PatientId;
use contracts::patients::PatientErasure;
use futures_util::future::join_all;
use http_kit::{Answer, Call, erasure};
use settings::ServiceName;

use super::Api;
use crate::error::Error;

/// Whoever takes longer to say is said not to answer.
const WAIT: Duration = Duration::from_secs(3);

/// Tells what became of a deleted patient's data. Of whom nobody deleted there is nothing to tell.
pub async fn report(api: Api, call: Call<PatientErasure>) -> Result<Answer<PatientErasure>, Error> {
    let (patient,) = &call.path;
    let own = erasure::report(&api.db, patient, api.retention.kept(patient).await?)
        .await?
        .ok_or(Error::NotFound)?;
    let requested_at = own.erased_at.ok_or(Error::NotFound)?;
    let asked = api.holders.peers.iter().map(|(service, way)| ask(*service, way, patient));
    let off = |service: &ServiceName| ServiceErasure::unknown(*service, ServiceErasureStatus::SwitchedOff);
    let services: Vec<_> = std::iter::once(own)
        .chain(join_all(asked).await)
        .chain(api.holders.switched_off.iter().map(off))
        .collect();
    let is_done = services.iter().all(|service| service.status == ServiceErasureStatus::Completed);
    let status = if is_done { ErasureStatus::Completed } else { ErasureStatus::InProgress };
    let patient_id = patient.clone();
    Ok(Answer::new(ErasureReport { patient_id, status, requested_at, services }).no_store())
}

async fn ask(service: ServiceName, way: &Arc<Transport>, patient: &PatientId) -> ServiceErasure {
    let told = tokio::time::timeout(WAIT, way.call::<CollectErasure>(&[patient], &(), &())).await;
    match told {
        Ok(Ok(told)) => told,
        Ok(Err(error)) => {
            tracing::warn!(%service, %error, "a service does not say what became of a deleted patient's data");
            ServiceErasure::unknown(service, ServiceErasureStatus::NoAnswer)
        }
        Err(_) => ServiceErasure::unknown(service, ServiceErasureStatus::NoAnswer),
    }
}
