//! The `medical_record` table.

use chrono::NaiveDate;
use contracts::id::{PatientId, ProviderId, RecordId};
use db::{Db, Place, Subject, Tx, on, sql};
use http_kit::Carer;
use sqlx::FromRow;

use crate::domain::record::Record;
use crate::domain::search::{Key, Search};
use crate::error::Error;

/// A record as kept: the data with its id and version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The id.
    pub id: RecordId,
    /// Counts changes, from 1.
    pub version: i64,
    /// The data.
    pub record: Record,
}

/// A record as it stands in its row, not opened yet.
#[derive(FromRow)]
pub struct Sealed {
    id: String,
    version: i64,
    patient_id: String,
    day: NaiveDate,
    body: Vec<u8>,
}

fn place(id: &str) -> Place<'_> {
    Place { table: "medical_record", column: "body", row: id }
}

async fn seal(db: &Db, id: &RecordId, record: &Record) -> Result<Vec<u8>, db::Error> {
    let subject = Subject::Patient(record.patient_id.as_str());
    db.vault().seal_json(&subject, place(id.as_str()), record).await
}

impl Sealed {
    /// Whose it is.
    pub fn patient(&self) -> PatientId {
        PatientId::trusted(self.patient_id.clone())
    }

    /// The record. `None` if the patient was erased between the reading of the row and here: it is gone by now.
    pub async fn open(self, db: &Db) -> Result<Option<Kept>, db::Error> {
        let subject = Subject::Patient(&self.patient_id);
        match db.vault().open_json(&subject, place(&self.id), &self.body).await {
            Ok(record) => Ok(Some(Kept { id: RecordId::trusted(self.id), version: self.version, record })),
            Err(db::Error::KeyDestroyed { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Creates a record, under [`db::erasure_lock`]. [`Error::Taken`] if the id was ever used; [`Error::UnknownPatient`] if the patient was
/// erased.
pub async fn record_insert(tx: &mut Tx, db: &Db, id: &RecordId, record: &Record) -> Result<(), Error> {
    if db::erasure_is_requested(tx, record.patient_id.as_str()).await? {
        return Err(Error::UnknownPatient);
    }
    let (now, body) = (tx.now(), seal(db, id, record).await?);
    let inserted = on!(tx, |conn| sqlx::query(sql!(
        "insert into medical_record (id, version, created_at, updated_at, patient_id, day, body) \
         values ($1, 1, $2, $2, $3, $4, $5) on conflict (id) do nothing"
    ))
    .bind(id.as_str())
    .bind(now)
    .bind(record.patient_id.as_str())
    .bind(record.date)
    .bind(&body)
    .execute(conn)
    .await
    .map(|done| done.rows_affected()))
    .map_err(db::Error::from)?;
    if inserted == 1 { Ok(()) } else { Err(Error::Taken) }
}

/// The record, if there is one.
pub async fn record_find(tx: &mut Tx, id: &RecordId) -> Result<Option<Sealed>, db::Error> {
    Ok(on!(tx, |conn| sqlx::query_as(sql!(
        "select id, version, patient_id, day, body from medical_record where id = $1 and deleted_at is null"
    ))
    .bind(id.as_str())
    .fetch_optional(conn)
    .await)?)
}

/// Replaces a record's data. [`db::Error::LostRace`] if it changed since it was read.
pub async fn record_update(tx: &mut Tx, db: &Db, kept: &Kept, record: &Record) -> Result<(), db::Error> {
    let now = tx.now();
    let body = match seal(db, &kept.id, record).await {
        // The patient was erased since the record was read.
        Err(db::Error::KeyDestroyed { .. }) => return Err(db::Error::LostRace),
        sealed => sealed?,
    };
    let updated = on!(tx, |conn| sqlx::query(sql!(
        "update medical_record set version = version + 1, updated_at = $3, day = $4, body = $5 \
         where id = $1 and version = $2 and deleted_at is null"
    ))
    .bind(kept.id.as_str())
    .bind(kept.version)
    .bind(now)
    .bind(record.date)
    .bind(&body)
    .execute(conn)
    .await
    .map(|done| done.rows_affected()))?;
    if updated == 1 { Ok(()) } else { Err(db::Error::LostRace) }
}

/// Takes everything of a record away but its id, which stays taken. [`db::Error::LostRace`] if it changed since it was read.
pub async fn record_delete(tx: &mut Tx, kept: &Kept) -> Result<(), db::Error> {
    let now = tx.now();
    let deleted = on!(tx, |conn| sqlx::query(sql!(
        "update medical_record set version = version + 1, updated_at = $3, deleted_at = $3, \
         patient_id = null, day = null, body = null \
         where id = $1 and version = $2 and deleted_at is null"
    ))
    .bind(kept.id.as_str())
    .bind(kept.version)
    .bind(now)
    .execute(conn)
    .await
    .map(|done| done.rows_affected()))?;
    if deleted == 1 { Ok(()) } else { Err(db::Error::LostRace) }
}

/// Takes all of a patient's records away in the same manner, under [`db::erasure_lock`], and asks for their erasure.
pub async fn records_erase(tx: &mut Tx, patient: &PatientId) -> Result<(), db::Error> {
    let now = tx.now();
    on!(tx, |conn| sqlx::query(sql!(
        "update medical_record set version = version + 1, updated_at = $2, deleted_at = $2, \
         patient_id = null, day = null, body = null \
         where patient_id = $1 and deleted_at is null"
    ))
    .bind(patient.as_str())
    .bind(now)
    .execute(conn)
    .await
    .map(drop))?;
    db::access_forget(tx, patient.as_str()).await?;
    db::erasure_request(tx, patient.as_str()).await
}

/// A stretch of the list with each record's sort key, the latest day first; to somebody who sees whom they treat, of those.
pub async fn record_search(
    tx: &mut Tx,
    db: &Db,
    search: &Search,
    carer: Option<&Carer>,
) -> Result<Vec<(Key, Option<Kept>)>, db::Error> {
    let rows = match (&search.patient_id, carer) {
        (Some(patient), _) => of_patient(tx, search, patient).await?,
        (None, Some(carer)) => of_theirs(tx, search, carer).await?,
        (None, None) => of_everybody(tx, search).await?,
    };
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        let key = (row.day, row.id.clone());
        found.push((key, row.open(db).await?));
    }
    Ok(found)
}

async fn of_patient(tx: &mut Tx, search: &Search, patient: &PatientId) -> Result<Vec<Sealed>, db::Error> {
    let (day, id) = search.below();
    Ok(on!(tx, |conn| sqlx::query_as(sql!(
        "select id, version, patient_id, day, body from medical_record \
         where patient_id = $1 and deleted_at is null and day >= $2 and (day, id) < ($3, $4) \
         order by day desc, id desc limit $5"
    ))
    .bind(patient.as_str())
    .bind(search.from)
    .bind(day)
    .bind(&id)
    .bind(search.window.rows())
    .fetch_all(conn)
    .await)?)
}

async fn of_theirs(tx: &mut Tx, search: &Search, carer: &Carer) -> Result<Vec<Sealed>, db::Error> {
    let ((day, id), now) = (search.below(), tx.now());
    Ok(on!(tx, |conn| sqlx::query_as(sql!(
        "select id, version, patient_id, day, body from medical_record \
         where deleted_at is null and day >= $1 and (day, id) < ($2, $3) and patient_id in ( \
             select patient_id from care where provider_id = $5 and until > $6 \
             union select patient_id from glass where user_id = $7 and until > $6 \
             union select $8) \
         order by day desc, id desc limit $4"
    ))
    .bind(search.from)
    .bind(day)
    .bind(&id)
    .bind(search.window.rows())
    .bind(carer.provider.as_ref().map(ProviderId::as_str))
    .bind(now)
    .bind(&carer.user)
    .bind(carer.own.as_ref().map(PatientId::as_str))
    .fetch_all(conn)
    .await)?)
}

async fn of_everybody(tx: &mut Tx, search: &Search) -> Result<Vec<Sealed>, db::Error> {
    let (day, id) = search.below();
    Ok(on!(tx, |conn| sqlx::query_as(sql!(
        "select id, version, patient_id, day, body from medical_record \
         where deleted_at is null and day >= $1 and (day, id) < ($2, $3) order by day desc, id desc limit $4"
    ))
    .bind(search.from)
    .bind(day)
    .bind(&id)
    .bind(search.window.rows())
    .fetch_all(conn)
    .await)?)
}
