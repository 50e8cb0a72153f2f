//! Erasing a patient: the service takes its rows' bodies away and asks for the erasure in one transaction; the patient's key is
//! destroyed after that commit.
//!
//! Keys stand in a store of their own, so the two cannot be one transaction. The request stays, so that what a crash left undone is
//! found, and so that a write that was under way meanwhile can be refused: [`erasure_is_requested`].

use crate::vault::Subject;
use crate::{Db, Error, Tx, on, sql};

/// Looked for at a time.
const BATCH: i64 = 100;

/// Makes the transaction the only one that writes something new for this patient, or erases them. First in the transaction.
pub async fn erasure_lock(tx: &mut Tx, patient: &str) -> Result<(), Error> {
    tx.lock(&[&erasure_lock_name(patient)]).await
}

/// The name of that lock, for a transaction that takes several at once.
pub fn erasure_lock_name(patient: &str) -> String {
    format!("patient:{patient}")
}

/// Asks for a patient's erasure, in the transaction that takes their data away. Repeating it does no harm.
pub async fn erasure_request(tx: &mut Tx, patient: &str) -> Result<(), Error> {
    let now = tx.now();
    on!(tx, |conn| sqlx::query(sql!(
        "insert into erasure (patient, requested_at) values ($1, $2) on conflict (patient) do nothing"
    ))
    .bind(patient)
    .bind(now)
    .execute(conn)
    .await
    .map(drop))?;
    Ok(())
}

/// Whether a patient was erased here: whoever writes something new for one asks first. On PostgreSQL the answer holds only under
/// [`erasure_lock`], or a lock of that name, that the erasing transaction takes too.
pub async fn erasure_is_requested(tx: &mut Tx, patient: &str) -> Result<bool, Error> {
    let found: i64 =
        on!(tx, |conn| sqlx::query_scalar(sql!("select count(*) from erasure where patient = $1"))
            .bind(patient)
            .fetch_one(conn)
            .await)?;
    Ok(found > 0)
}

/// Destroys the key of a patient whose erasure was requested, and notes it.
pub async fn erasure_finish(db: &Db, patient: &str) -> Result<(), Error> {
    db.vault().destroy(&Subject::Patient(patient)).await?;
    let mut tx = db.begin().await?;
    let now = tx.now();
    on!(tx, |conn| sqlx::query(sql!(
        "update erasure set key_destroyed_at = $2 where patient = $1 and key_destroyed_at is null"
    ))
    .bind(patient)
    .bind(now)
    .execute(conn)
    .await
    .map(drop))?;
    tx.commit_unaudited().await
}

/// Patients whose keys are destroyed although nobody asked for their erasure in this data, which is older than its keys: after a restore.
/// Looks at a hundred keys beyond `after`, and tells which was the last, if there may be more.
pub async fn erasures_unasked(db: &Db, after: Option<&str>) -> Result<(Vec<String>, Option<String>), Error> {
    let destroyed = db.vault().patients_destroyed(after, BATCH).await?;
    let last = destroyed.last().cloned();
    let (mut tx, mut unasked) = (db.read().await?, Vec::new());
    for patient in destroyed {
        if !erasure_is_requested(&mut tx, &patient).await? {
            unasked.push(patient);
        }
    }
    Ok((unasked, last))
}

/// Patients whose erasure was requested and whose key still stands, a hundred at most.
pub async fn erasures_pending(db: &Db) -> Result<Vec<String>, Error> {
    let mut tx = db.read().await?;
    Ok(on!(tx, |conn| sqlx::query_scalar(sql!(
        "select patient from erasure where key_destroyed_at is null order by requested_at limit $1"
    ))
    .bind(BATCH)
    .fetch_all(conn)
    .await)?)
}
