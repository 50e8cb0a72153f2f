//! Destroys the keys of deleted patients. Keys stand in a store of their own, so it cannot be one transaction with the deletion:
//! what a crash left undone is done here.

use std::time::Duration;

use contracts::id::PatientId;
use db::{Db, Subject};

use crate::store::patient::{patient_erased, patients_to_erase};

const EVERY: Duration = Duration::from_secs(60);

/// Destroys one patient's key, and notes it.
pub async fn destroy(db: &Db, id: &PatientId) -> Result<(), db::Error> {
    db.vault().destroy(&Subject::Patient(id.as_str())).await?;
    let mut tx = db.begin().await?;
    patient_erased(&mut tx, id).await?;
    tx.commit().await
}

/// Destroys what is left, again and again.
pub async fn run(db: Db) {
    loop {
        if let Err(error) = destroy_pending(&db).await {
            tracing::warn!(%error, "deleted patients' keys are still to be destroyed");
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Destroys the keys of every deleted patient whose key still stands.
pub async fn destroy_pending(db: &Db) -> Result<(), db::Error> {
    let mut tx = db.read().await?;
    let ids = patients_to_erase(&mut tx).await?;
    drop(tx);
    for id in ids {
        destroy(db, &id).await?;
    }
    Ok(())
}
