//! The `consent` table.

use chrono::{DateTime, Utc};
use contracts::consents::Denials;
use contracts::id::{ConsentId, PatientId};
use db::{Db, Place, Subject, Tx, on, sql};
use sqlx::FromRow;

use crate::domain::consent::Kept;

/// More than there are: what is over stands there until the next change.
const ROWS_MAX: i64 = 200;

#[derive(FromRow)]
struct Row {
    id: String,
    recorded_at: DateTime<Utc>,
    ends_at: DateTime<Utc>,
    body: Vec<u8>,
}

fn place(id: &str) -> Place<'_> {
    Place { table: "consent", column: "body", row: id }
}

/// Records a consent, under [`db::erasure_lock`].
pub async fn consent_insert(tx: &mut Tx, db: &Db, patient: &PatientId, kept: &Kept) -> Result<(), db::Error> {
    let subject = Subject::Patient(patient.as_str());
    let body = db.vault().seal_json(&subject, place(kept.id.as_str()), &kept.consent).await?;
    on!(tx, |conn| sqlx::query(sql!(
        "insert into consent (id, patient_id, recorded_at, ends_at, body) values ($1, $2, $3, $4, $5)"
    ))
    .bind(kept.id.as_str())
    .bind(patient.as_str())
    .bind(kept.recorded_at)
    .bind(kept.ends_at)
    .bind(&body)
    .execute(conn)
    .await
    .map(drop))?;
    Ok(())
}

/// A patient's consents that hold, the oldest first; none of one who was erased.
pub async fn consent_list(tx: &mut Tx, db: &Db, patient: &PatientId) -> Result<Vec<Kept>, db::Error> {
    let now = tx.now();
    let rows: Vec<Row> = on!(tx, |conn| sqlx::query_as(sql!(
        "select id, recorded_at, ends_at, body from consent where patient_id = $1 and ends_at > $2 \
         order by recorded_at, id limit $3"
    ))
    .bind(patient.as_str())
    .bind(now)
    .bind(ROWS_MAX)
    .fetch_all(conn)
    .await)?;
    let mut consents = Vec::with_capacity(rows.len());
    for row in rows {
        let subject = Subject::Patient(patient.as_str());
        let consent = match db.vault().open_json(&subject, place(&row.id), &row.body).await {
            Err(db::Error::KeyDestroyed { .. }) => return Ok(Vec::new()),
            opened => opened?,
        };
        let (id, recorded_at, ends_at) = (ConsentId::trusted(row.id), row.recorded_at, row.ends_at);
        consents.push(Kept { id, recorded_at, ends_at, consent });
    }
    Ok(consents)
}

/// All that a patient denies anybody. What it counts is read first: whatever comes between is of a later count, and is told once more.
pub async fn consent_denials(tx: &mut Tx, db: &Db, patient: &PatientId) -> Result<Denials, db::Error> {
    let version = db::denial_version(tx, patient.as_str()).await?;
    let items = consent_list(tx, db, patient).await?.iter().map(Kept::denial).collect();
    Ok(Denials { patient_id: patient.clone(), version, items })
}

/// Takes a consent away.
pub async fn consent_delete(tx: &mut Tx, id: &ConsentId) -> Result<(), db::Error> {
    on!(tx, |conn| sqlx::query(sql!("delete from consent where id = $1"))
        .bind(id.as_str())
        .execute(conn)
        .await
        .map(drop))?;
    Ok(())
}

/// Takes away those of a patient's consents that are over.
pub async fn consent_purge(tx: &mut Tx, patient: &PatientId) -> Result<(), db::Error> {
    let now = tx.now();
    on!(tx, |conn| sqlx::query(sql!("delete from consent where patient_id = $1 and ends_at <= $2"))
        .bind(patient.as_str())
        .bind(now)
        .execute(conn)
        .await
        .map(drop))?;
    Ok(())
}

/// Takes all of a patient's consents away.
pub async fn consent_forget(tx: &mut Tx, patient: &PatientId) -> Result<u64, db::Error> {
    let gone = on!(tx, |conn| sqlx::query(sql!("delete from consent where patient_id = $1"))
        .bind(patient.as_str())
        .execute(conn)
        .await
        .map(|done| done.rows_affected()))?;
    Ok(gone)
}
