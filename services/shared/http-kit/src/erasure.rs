//! Finishing the erasure of patients: their keys are destroyed at once where that is possible, and else by the job that runs in
//! every service. And telling what became of it.

use std::time::Duration;

use contracts::erasure::{Kept, ServiceErasure, ServiceErasureStatus, Shredded};
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

/// Why the audit outlives whom it is about.
const WHY_AUDIT: &str = "Who saw and changed the data is kept for six years (45 CFR 164.316(b)(2)(i)).";

/// What this service did with the data of a patient who was deleted; `None` if it was not told of that yet. What it keeps for reasons of its
/// own is handed in; what every service keeps, its audit, is added.
pub async fn report(
    db: &Db,
    patient: &PatientId,
    mut kept: Vec<Kept>,
) -> Result<Option<ServiceErasure>, db::Error> {
    let Some(erased) = db::erasure_find(&mut db.read().await?, db, patient.as_str()).await? else {
        return Ok(None);
    };
    if let Some((count, until)) = db::audit_kept(db, patient.as_str()).await? {
        kept.push(Kept { kind: "audit".to_owned(), count, why: WHY_AUDIT.to_owned(), until: Some(until) });
    }
    kept.retain(|kept| kept.count > 0);
    let status = match erased.key_destroyed_at {
        Some(_) => ServiceErasureStatus::Completed,
        None => ServiceErasureStatus::Pending,
    };
    let shredded = erased.shredded.into_iter().map(|kind| Shredded { kind: kind.kind, count: kind.count });
    Ok(Some(ServiceErasure {
        erased_at: Some(erased.requested_at),
        key_destroyed_at: erased.key_destroyed_at,
        shredded: shredded.filter(|kind| kind.count > 0).collect(),
        kept,
        ..ServiceErasure::unknown(db.service(), status)
    }))
}
