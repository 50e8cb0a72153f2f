//! What becomes of records when their patient is erased, or a legal hold is on whom they are of.

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use contracts::id::{PatientId, RecordId};
use db::{Db, Fate, Item, Subject, Tx, on, sql};
use sqlx::FromRow;

use crate::domain::record::Record;
use crate::store::amendment::{amendments_delete, amendments_erase, amendments_of};
use crate::store::record::{Kept, place, record_clear};

/// So many are looked at in one go.
const BATCH: i64 = 100;

#[derive(FromRow)]
struct Row {
    id: String,
    version: i64,
    day: NaiveDate,
    updated_at: DateTime<Utc>,
    body: Vec<u8>,
}

/// Takes all of a patient's records away, under [`db::erasure_lock`], and asks for their erasure. What has its years, or whom a hold is on, is kept
/// aside; the ids stay taken.
pub async fn records_erase(tx: &mut Tx, db: &Db, patient: &PatientId, years: u32) -> Result<(), db::Error> {
    let hold = db::legal_hold_on(tx, patient.as_str()).await?;
    if years > 0 || hold.is_some() {
        keep_aside(tx, db, patient, (years, hold)).await?;
    }
    let now = tx.now();
    let records = on!(tx, |conn| sqlx::query(sql!(
        "update medical_record set version = version + 1, updated_at = $2, deleted_at = $2, \
         patient_id = null, day = null, body = null \
         where patient_id = $1 and deleted_at is null"
    ))
    .bind(patient.as_str())
    .bind(now)
    .execute(conn)
    .await
    .map(|done| done.rows_affected()))?;
    let amendments = amendments_erase(tx, patient).await?;
    db::access_forget(tx, patient.as_str()).await?;
    db::erasure_request(tx, patient.as_str()).await?;
    db::erasure_shredded(tx, db, patient.as_str(), &[("records", records), ("amendments", amendments)]).await
}

async fn keep_aside(
    tx: &mut Tx,
    db: &Db,
    patient: &PatientId,
    (years, hold): (u32, Option<i64>),
) -> Result<(), db::Error> {
    let (mut after, this_year) = (String::new(), db::retention_year(tx.now()));
    loop {
        let rows = batch(tx, patient, &after).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after.clone_from(&last.id);
        for row in rows {
            let from_year = from_year(row.day, row.updated_at);
            let Fate::Kept(how) = db::fate_at_erasure(from_year, Some(years), hold, this_year) else {
                continue;
            };
            let subject = Subject::Patient(patient.as_str());
            let record: Record = match db.vault().open_json(&subject, place(&row.id), &row.body).await {
                // An older copy of the data has brought it back, under a key that is destroyed: nothing can be kept of it.
                Err(db::Error::KeyDestroyed { .. }) => continue,
                opened => opened?,
            };
            let id = RecordId::trusted(row.id);
            aside(tx, db, (&id, row.version), &record, (from_year, how)).await?;
        }
    }
}

/// Years count from the later of its day and its last change: treatment was not over before, nor the record what it is.
fn from_year(day: NaiveDate, updated_at: DateTime<Utc>) -> i64 {
    i64::from(day.year().max(updated_at.year()))
}

async fn batch(tx: &mut Tx, patient: &PatientId, after: &str) -> Result<Vec<Row>, db::Error> {
    Ok(on!(tx, |conn| sqlx::query_as(sql!(
        "select id, version, day, updated_at, body from medical_record \
         where patient_id = $1 and deleted_at is null and id > $2 order by id limit $3"
    ))
    .bind(patient.as_str())
    .bind(after)
    .bind(BATCH)
    .fetch_all(conn)
    .await)?)
}

/// Deletes one record of a patient whom a hold is on: it is kept aside. Under [`db::erasure_lock`].
pub async fn record_hold(tx: &mut Tx, db: &Db, kept: &Kept, hold: i64) -> Result<(), db::Error> {
    let how = (db::NO_YEARS, db::Kept::Held(hold));
    aside(tx, db, (&kept.id, kept.version), &kept.record, how).await
}

/// The row first: whoever changes it, or what was asked to have amended in it, is waited for here.
async fn aside(
    tx: &mut Tx,
    db: &Db,
    (id, version): (&RecordId, i64),
    record: &Record,
    (from_year, how): (i64, db::Kept),
) -> Result<(), db::Error> {
    record_clear(tx, id, version).await?;
    let patient = record.patient_id.as_str();
    db::retained_put(
        tx,
        db,
        Item { kind: "records", id: id.as_str(), patient, from_year },
        how,
        &record.view(id),
    )
    .await?;
    for asked in amendments_of(tx, db, id).await? {
        db::retained_put(
            tx,
            db,
            Item { kind: "amendments", id: asked.id.as_str(), patient, from_year },
            how,
            &asked.view(),
        )
        .await?;
    }
    amendments_delete(tx, id).await
}
