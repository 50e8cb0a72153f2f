//! Erases again whom an older copy of the data has brought back.
//!
//! Whoever puts an older backup beside the latest keys has rows of patients whose keys are destroyed: they open no more, and nobody asked for
//! that in this data. When the service starts, it takes them away and tells the others, as if they were deleted now.

use std::time::Duration;

use contracts::id::PatientId;
use db::Db;
use http_kit::erasure;

use crate::api::delete::forget;
use crate::store::patient::patient_delete_unopened;

const AGAIN_AFTER: Duration = Duration::from_mins(1);

/// Once through all whose keys are destroyed; from where it was, if that fails.
pub async fn run(db: Db) {
    let mut after = None;
    loop {
        match some(&db, after.as_deref()).await {
            Ok(None) => return,
            Ok(last) => after = last,
            Err(error) => {
                tracing::warn!(%error, "whom an older copy of the data has brought back could not be erased again");
                tokio::time::sleep(AGAIN_AFTER).await;
            }
        }
    }
}

/// Some of them; the last one that was looked at, if there may be more.
async fn some(db: &Db, after: Option<&str>) -> Result<Option<String>, db::Error> {
    let (patients, last) = db::erasures_unasked(db, after).await?;
    for patient in patients {
        erase(db, &PatientId::trusted(patient)).await?;
    }
    Ok(last)
}

async fn erase(db: &Db, patient: &PatientId) -> Result<(), db::Error> {
    let is_erased = db::retrying(db, async |mut tx| {
        db::erasure_lock(&mut tx, patient.as_str()).await?;
        if db::erasure_is_requested(&mut tx, patient.as_str()).await? {
            return Ok(false);
        }
        let deleted = patient_delete_unopened(&mut tx, patient).await?;
        // Whatever hold is on them: nobody can read what it would keep.
        forget(&mut tx, db, patient, u64::from(deleted), None).await?;
        tx.commit().await?;
        Ok::<_, db::Error>(true)
    })
    .await?;
    if is_erased {
        tracing::info!("a patient whom an older copy of the data had brought back was erased again");
        erasure::finish(db, patient).await;
    }
    Ok(())
}
