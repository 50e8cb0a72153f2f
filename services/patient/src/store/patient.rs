//! The `patient` table and its search index.

use chrono::{DateTime, Utc};
use contracts::id::PatientId;
use db::{Db, Place, Subject, Tx, on, sql};
use sqlx::FromRow;

use crate::domain::patient::Patient;
use crate::domain::search::{Key, Search, TERMS_MAX, Term, terms_of};
use crate::error::Error;

/// A patient as kept: the data with its id and version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The id.
    pub id: PatientId,
    /// Counts changes, from 1.
    pub version: i64,
    /// When they were registered.
    pub created_at: DateTime<Utc>,
    /// The data.
    pub patient: Patient,
}

#[derive(FromRow)]
struct Row {
    id: String,
    version: i64,
    created_at: DateTime<Utc>,
    body: Vec<u8>,
}

fn place(id: &str) -> Place<'_> {
    Place { table: "patient", column: "body", row: id }
}

async fn seal(db: &Db, id: &PatientId, patient: &Patient) -> Result<Vec<u8>, db::Error> {
    db.vault().seal_json(&Subject::Patient(id.as_str()), place(id.as_str()), patient).await
}

async fn opened(db: &Db, row: Row) -> Result<Kept, db::Error> {
    let patient = db.vault().open_json(&Subject::Patient(&row.id), place(&row.id), &row.body).await?;
    Ok(Kept { id: PatientId::trusted(row.id), version: row.version, created_at: row.created_at, patient })
}

fn tokens(db: &Db, terms: &[Term]) -> Result<Vec<Vec<u8>>, db::Error> {
    terms.iter().map(|term| db.vault().blind(term.field, &term.value)).collect()
}

/// Registers a patient. [`Error::Taken`] if the id was ever used.
pub async fn patient_insert(tx: &mut Tx, db: &Db, id: &PatientId, patient: &Patient) -> Result<(), Error> {
    let body = match seal(db, id, patient).await {
        Err(db::Error::KeyDestroyed { .. }) => return Err(Error::Taken),
        sealed => sealed?,
    };
    let now = tx.now();
    let inserted = on!(tx, |conn| sqlx::query(sql!(
        "insert into patient (id, version, created_at, updated_at, body) values ($1, 1, $2, $2, $3) \
         on conflict (id) do nothing"
    ))
    .bind(id.as_str())
    .bind(now)
    .bind(&body)
    .execute(conn)
    .await
    .map(|done| done.rows_affected()))
    .map_err(db::Error::from)?;
    if inserted == 0 {
        return Err(Error::Taken);
    }
    Ok(index_add(tx, db, id, patient).await?)
}

/// The patient, if there is one.
pub async fn patient_find(tx: &mut Tx, db: &Db, id: &PatientId) -> Result<Option<Kept>, db::Error> {
    let row: Option<Row> = on!(tx, |conn| sqlx::query_as(sql!(
        "select id, version, created_at, body from patient where id = $1 and deleted_at is null"
    ))
    .bind(id.as_str())
    .fetch_optional(conn)
    .await)?;
    match row {
        Some(row) => opened(db, row).await.map(Some),
        None => Ok(None),
    }
}

/// Replaces a patient's data, if `version` is still the present one; tells whether it was.
pub async fn patient_update(
    tx: &mut Tx,
    db: &Db,
    id: &PatientId,
    version: i64,
    patient: &Patient,
) -> Result<bool, db::Error> {
    let (now, body) = (tx.now(), seal(db, id, patient).await?);
    let updated = on!(tx, |conn| sqlx::query(sql!(
        "update patient set version = version + 1, updated_at = $3, body = $4 \
         where id = $1 and version = $2 and deleted_at is null"
    ))
    .bind(id.as_str())
    .bind(version)
    .bind(now)
    .bind(&body)
    .execute(conn)
    .await
    .map(|done| done.rows_affected()))?;
    if updated == 1 {
        index_clear(tx, id).await?;
        index_add(tx, db, id, patient).await?;
    }
    Ok(updated == 1)
}

/// Takes a patient's data away, if `version` is still the present one; the id stays taken.
pub async fn patient_delete(tx: &mut Tx, id: &PatientId, version: i64) -> Result<bool, db::Error> {
    let now = tx.now();
    let deleted = on!(tx, |conn| sqlx::query(sql!(
        "update patient set version = version + 1, updated_at = $3, deleted_at = $3, body = null \
         where id = $1 and version = $2 and deleted_at is null"
    ))
    .bind(id.as_str())
    .bind(version)
    .bind(now)
    .execute(conn)
    .await
    .map(|done| done.rows_affected()))?;
    if deleted == 1 {
        index_clear(tx, id).await?;
    }
    Ok(deleted == 1)
}

/// Patients who are deleted and whose key still stands.
pub async fn patients_to_erase(tx: &mut Tx) -> Result<Vec<PatientId>, db::Error> {
    let ids: Vec<(String,)> = on!(tx, |conn| sqlx::query_as(sql!(
        "select id from patient where deleted_at is not null and key_destroyed_at is null \
         order by deleted_at limit 100"
    ))
    .fetch_all(conn)
    .await)?;
    Ok(ids.into_iter().map(|(id,)| PatientId::trusted(id)).collect())
}

/// Notes that a deleted patient's key is destroyed.
pub async fn patient_erased(tx: &mut Tx, id: &PatientId) -> Result<(), db::Error> {
    let now = tx.now();
    on!(tx, |conn| sqlx::query(sql!(
        "update patient set key_destroyed_at = $2 where id = $1 and deleted_at is not null"
    ))
    .bind(id.as_str())
    .bind(now)
    .execute(conn)
    .await
    .map(drop))?;
    Ok(())
}

/// A stretch of the list, newest first.
pub async fn patient_search(tx: &mut Tx, db: &Db, search: &Search) -> Result<Vec<(Key, Kept)>, db::Error> {
    let rows = if search.terms.is_empty() { list(tx, search).await? } else { find(tx, db, search).await? };
    let mut kept = Vec::with_capacity(rows.len());
    for row in rows {
        let key = (row.created_at, row.id.clone());
        kept.push((key, opened(db, row).await?));
    }
    Ok(kept)
}

/// Before this stands every patient.
fn start() -> Key {
    (DateTime::from_timestamp(253_402_300_799, 0).unwrap_or_default(), String::new())
}

async fn list(tx: &mut Tx, search: &Search) -> Result<Vec<Row>, db::Error> {
    let (created_at, id) = search.window.after.clone().unwrap_or_else(start);
    Ok(on!(tx, |conn| sqlx::query_as(sql!(
        "select id, version, created_at, body from patient \
         where deleted_at is null and (created_at, id) < ($1, $2) order by created_at desc, id desc limit $3"
    ))
    .bind(created_at)
    .bind(&id)
    .bind(search.window.rows())
    .fetch_all(conn)
    .await)?)
}

/// The first term drives; each further one must be there too.
async fn find(tx: &mut Tx, db: &Db, search: &Search) -> Result<Vec<Row>, db::Error> {
    let (created_at, id) = search.window.after.clone().unwrap_or_else(start);
    let mut tokens = tokens(db, &search.terms)?;
    // Asking twice for the same is the same as asking once.
    tokens.resize(TERMS_MAX, tokens[0].clone());
    Ok(on!(tx, |conn| sqlx::query_as(sql!(
        "select p.id, p.version, p.created_at, p.body \
         from patient_index i join patient p on p.id = i.patient_id \
         where i.token = $1 \
           and exists (select 1 from patient_index o where o.token = $2 and o.patient_id = p.id) \
           and exists (select 1 from patient_index o where o.token = $3 and o.patient_id = p.id) \
           and exists (select 1 from patient_index o where o.token = $4 and o.patient_id = p.id) \
           and exists (select 1 from patient_index o where o.token = $5 and o.patient_id = p.id) \
           and exists (select 1 from patient_index o where o.token = $6 and o.patient_id = p.id) \
           and p.deleted_at is null and (p.created_at, p.id) < ($7, $8) \
         order by p.created_at desc, p.id desc limit $9"
    ))
    .bind(&tokens[0])
    .bind(&tokens[1])
    .bind(&tokens[2])
    .bind(&tokens[3])
    .bind(&tokens[4])
    .bind(&tokens[5])
    .bind(created_at)
    .bind(&id)
    .bind(search.window.rows())
    .fetch_all(conn)
    .await)?)
}

async fn index_add(tx: &mut Tx, db: &Db, id: &PatientId, patient: &Patient) -> Result<(), db::Error> {
    for token in tokens(db, &terms_of(patient))? {
        on!(tx, |conn| sqlx::query(sql!("insert into patient_index (token, patient_id) values ($1, $2)"))
            .bind(&token)
            .bind(id.as_str())
            .execute(conn)
            .await
            .map(drop))?;
    }
    Ok(())
}

async fn index_clear(tx: &mut Tx, id: &PatientId) -> Result<(), db::Error> {
    on!(tx, |conn| sqlx::query(sql!("delete from patient_index where patient_id = $1"))
        .bind(id.as_str())
        .execute(conn)
        .await
        .map(drop))?;
    Ok(())
}
