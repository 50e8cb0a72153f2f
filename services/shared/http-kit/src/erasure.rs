//! Finishing the erasure of patients: their keys are destroyed at once where that is possible, and else by the job that runs in
//! every service.

use std::time::Duration;

use contracts::id::PatientId;
use db::Db;

const EVERY: Duration = Duration::from_mins(1);

/// Destroys the key of a patient whose erasure was just committed. Their data is gone with that commit: if the key cannot be destroyed
/// at once, the job does it, and whoever asked for the erasure need not wait.
pub async fn finish(db: &Db, patient: &PatientId) {
    if let Err(error) = db::erasure_finish(db, patient.as_str()).await {
        tracing::warn!(%error, "an erased patient's key is still to be destroyed");
    }
}

/// Finishes what is pending, again and again.
pub(crate) async fn run(db: Db) {
    loop {
        if let Err(error) = finish_pending(&db).await {
            tracing::warn!(%error, "erased patients' keys are still to be destroyed");
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn finish_pending(db: &Db) -> Result<(), db::Error> {
    for patient in db::erasures_pending(db).await? {
        db::erasure_finish(db, &patient).await?;
    }
    Ok(())
}
