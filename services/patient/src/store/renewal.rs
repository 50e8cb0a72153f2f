//! The search index as the version before this one kept it, moved to where it is now.
//!
//! What stands there is what is to be done. That version writes there when it registers or changes a patient, and takes somebody who is
//! deleted out of there alone: a trigger takes them out here.

use db::{Db, SealError, Subject, Tx, on, search_index_old, search_index_old_clear, sql};

use super::patient::place;
use crate::domain::patient::Patient;
use crate::domain::search::terms_of;

/// So many patients are moved at a time.
const BATCH: i64 = 100;

/// Moves some. Whether there were any.
pub async fn some(db: Db) -> Result<bool, db::Error> {
    db::retrying(&db, async |mut tx| {
        // One at a time: two would move the same.
        tx.lock(&["renewal"]).await?;
        let patients = search_index_old(&mut tx, BATCH).await?;
        for patient in &patients {
            renew(&mut tx, &db, patient).await?;
            search_index_old_clear(&mut tx, patient).await?;
        }
        tx.commit_unaudited().await?;
        Ok(!patients.is_empty())
    })
    .await
}

async fn renew(tx: &mut Tx, db: &Db, id: &str) -> Result<(), db::Error> {
    // Taken hold of: whoever is changing the patient is waited for, and waits.
    let body: Option<Vec<u8>> = on!(tx, |conn| sqlx::query_scalar(sql!(
        "update patient set version = version where id = $1 and deleted_at is null returning body"
    ))
    .bind(id)
    .fetch_optional(conn)
    .await)?;
    let Some(body) = body else { return Ok(()) };
    match db.vault().open_json::<Patient>(&Subject::Patient(id), place(id), &body).await {
        Ok(patient) => db::search_terms_put(tx, db, id, terms_of(&patient)).await,
        // Nobody can read them any more. A service that would not start for that shows nobody else either.
        Err(
            error @ (db::Error::KeyDestroyed { .. }
            | db::Error::Sealed(
                SealError::NoKey | SealError::Malformed | SealError::Refused | SealError::Shape,
            )),
        ) => {
            tracing::warn!(%error, "a patient is found by nothing any more");
            db::search_terms_clear(tx, id).await
        }
        Err(error) => Err(error),
    }
}
