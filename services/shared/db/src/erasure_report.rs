//! What was done away with when a patient was erased, remembered beside the request: so that it can be told.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::vault::{Place, Subject};
use crate::{Db, Error, Tx, on, sql};

/// A patient's erasure, as far as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erased {
    /// When their data was taken away.
    pub requested_at: DateTime<Utc>,
    /// When their key was destroyed.
    pub key_destroyed_at: Option<DateTime<Utc>>,
    /// What was taken away, and how many of each kind.
    pub shredded: Vec<ShreddedKind>,
}

/// How many of a kind were taken away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShreddedKind {
    /// Which.
    pub kind: String,
    /// How many.
    pub count: u64,
}

fn place(patient: &str) -> Place<'_> {
    Place { table: "erasure", column: "report", row: patient }
}

/// Adds to what was taken away of a patient, in the transaction that takes it away, after
/// [`erasure_request`](crate::erasure_request) and under its lock. What was counted before stays.
pub async fn erasure_shredded(
    tx: &mut Tx,
    db: &Db,
    patient: &str,
    shredded: &[(&str, u64)],
) -> Result<(), Error> {
    let mut all = erasure_find(tx, db, patient).await?.map(|erased| erased.shredded).unwrap_or_default();
    for (kind, count) in shredded {
        match all.iter_mut().find(|known| known.kind == *kind) {
            Some(known) => known.count += count,
            None => all.push(ShreddedKind { kind: (*kind).to_owned(), count: *count }),
        }
    }
    let report = db.vault().seal_json(&Subject::Service, place(patient), &all).await?;
    on!(tx, |conn| sqlx::query(sql!("update erasure set report = $2 where patient = $1"))
        .bind(patient)
        .bind(&report)
        .execute(conn)
        .await
        .map(drop))?;
    Ok(())
}

/// A patient's erasure, if they were erased here.
pub async fn erasure_find(tx: &mut Tx, db: &Db, patient: &str) -> Result<Option<Erased>, Error> {
    type Row = (DateTime<Utc>, Option<DateTime<Utc>>, Option<Vec<u8>>);
    let row: Option<Row> = on!(tx, |conn| sqlx::query_as(sql!(
        "select requested_at, key_destroyed_at, report from erasure where patient = $1"
    ))
    .bind(patient)
    .fetch_optional(conn)
    .await)?;
    let Some((requested_at, key_destroyed_at, report)) = row else { return Ok(None) };
    let shredded = match &report {
        Some(report) => db.vault().open_json(&Subject::Service, place(patient), report).await?,
        None => Vec::new(),
    };
    Ok(Some(Erased { requested_at, key_destroyed_at, shredded }))
}
