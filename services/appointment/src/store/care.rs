//! Who treats whom, told to the others: with each change, and by a job where a change was not told.
//!
//! A row knows which of its versions was told. So what the version before this one writes, and what stood there before, is found, and nothing
//! is lost with a process.

use chrono::{DateTime, Utc};
use contracts::event::{CARE_MAX, CareNotice, Event, What};
use contracts::id::{AppointmentId, EventId, PatientId, ProviderId};
use db::{Db, Tx, on, sql};
use http_kit::{access, relay};
use sqlx::FromRow;

use crate::domain::care::Seeing;

#[derive(FromRow)]
struct Row {
    id: String,
    version: i64,
    patient_id: String,
    provider_id: String,
    ends_at: DateTime<Utc>,
    active: bool,
}

/// Tells the others, in the transaction of what they are told, and takes it in here. Whoever erases the patient waits for the appointment's
/// row, which is written already, and takes this away with the rest.
pub(super) async fn care_tell(tx: &mut Tx, db: &Db, care: Vec<CareNotice>) -> Result<(), db::Error> {
    for notice in &care {
        access::take_care(tx, notice).await?;
    }
    let (id, occurred_at) = (EventId::generate(db.random()), tx.now());
    relay::publish(tx, db, &Event { id, occurred_at, what: What::CareTold { care } }).await
}

/// Tells of some of the appointments that were not told of. Whether there were any.
pub async fn care_tell_untold(tx: &mut Tx, db: &Db) -> Result<bool, db::Error> {
    // One at a time: two would tell the same.
    tx.lock(&["care"]).await?;
    let rows: Vec<Row> = on!(tx, |conn| sqlx::query_as(sql!(
        "select id, version, patient_id, provider_id, ends_at, active from appointment \
         where care_told < version and patient_id is not null order by id limit $1"
    ))
    .bind(i64::from(CARE_MAX))
    .fetch_all(conn)
    .await)?;
    if rows.is_empty() {
        return Ok(false);
    }
    let mut care = Vec::with_capacity(rows.len());
    for row in rows {
        // One whose patient was erased since has nothing to tell any more.
        if mark(tx, &row).await? {
            care.push(Seeing::from(row).notice());
        }
    }
    if !care.is_empty() {
        care_tell(tx, db, care).await?;
    }
    Ok(true)
}

async fn mark(tx: &mut Tx, row: &Row) -> Result<bool, db::Error> {
    let marked = on!(tx, |conn| sqlx::query(sql!(
        "update appointment set care_told = $2 where id = $1 and patient_id is not null"
    ))
    .bind(&row.id)
    .bind(row.version)
    .execute(conn)
    .await
    .map(|done| done.rows_affected()))?;
    Ok(marked == 1)
}

impl From<Row> for Seeing {
    fn from(row: Row) -> Self {
        Self {
            id: AppointmentId::trusted(row.id),
            version: row.version,
            patient: PatientId::trusted(row.patient_id),
            provider: ProviderId::trusted(row.provider_id),
            ends_at: row.ends_at,
            is_active: row.active,
        }
    }
}
