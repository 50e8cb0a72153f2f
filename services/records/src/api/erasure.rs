//! What is kept here of a patient who was deleted.

use contracts::erasure::Kept;
use contracts::id::PatientId;

use super::Api;
use crate::error::Error;
use crate::store::break_glass::break_glass_kept;

const WHY: &str = "That records were opened in an emergency, and what a review found, is kept for six years, as the audit is \
                   (45 CFR 164.316(b)(2)(i)).";

/// Records and amendments that have their years, or are under a hold; and emergencies.
pub async fn kept(api: Api, patient: PatientId) -> Result<Vec<Kept>, Error> {
    let mut kept = api.retention.kept(&patient).await?;
    let (count, until) = break_glass_kept(&mut api.db.read().await?, &patient).await?;
    kept.push(Kept { kind: "break-glass".to_owned(), count, why: WHY.to_owned(), until });
    Ok(kept)
}
