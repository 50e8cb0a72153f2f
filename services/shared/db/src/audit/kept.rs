//! What the audit keeps of a patient: how many entries name them, and how long the last of these can be read.

use chrono::{DateTime, Utc};

use super::entry::{patient_hash, period};
use crate::{Db, Error, on, sql};

/// How many entries name a patient, and until when the last of them can be read; `None`: not one does.
pub async fn audit_kept(db: &Db, patient: &str) -> Result<Option<(u64, DateTime<Utc>)>, Error> {
    let patient = patient_hash(db, patient)?;
    let mut tx = db.read().await?;
    let (count, last): (i64, Option<DateTime<Utc>>) = on!(tx, |conn| sqlx::query_as(sql!(
        "select count(*), max(at) from audit_patient where patient = $1"
    ))
    .bind(&patient)
    .fetch_one(conn)
    .await)?;
    Ok(last.map(|last| (count.unsigned_abs(), period(last).expires_at())))
}
