//! What is kept here of a patient who was deleted.

use contracts::erasure::Kept;
use contracts::id::PatientId;

use super::Api;
use crate::error::Error;
use crate::store::bill::bills_restricted;

const WHY: &str = "The books keep what was sent; whoever keeps them sees it, and nobody else.";

/// Bills that were sent.
pub async fn kept(api: Api, patient: PatientId) -> Result<Vec<Kept>, Error> {
    let count = bills_restricted(&mut api.db.read().await?, &patient).await?;
    Ok(vec![Kept { kind: "bills".to_owned(), count, why: WHY.to_owned(), until: None }])
}
