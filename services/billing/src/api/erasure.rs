//! What is kept here of a patient who was deleted.

use contracts::erasure::Kept;
use contracts::id::PatientId;

use super::Api;
use crate::error::Error;

/// Bills that were sent, and what a hold keeps.
pub async fn kept(api: Api, patient: PatientId) -> Result<Vec<Kept>, Error> {
    Ok(api.retention.kept(&patient).await?)
}
