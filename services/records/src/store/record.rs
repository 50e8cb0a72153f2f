//! The `medical_record` table.

use chrono::NaiveDate;
use contracts::id::{PatientId, ProviderId, RecordId};
use db::{Db, Denied, Place, Subject, Tx, on, sql};
use http_kit::Seeker;
use sqlx::FromRow;

use crate::domain::record::Record;
use crate::domain::search::{Key, Search};
use crate::error::Error;
use crate::store::amendment::amendments_delete;

/// A record as kept: the data with its id and version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The id.
    pub id: RecordId,
    /// Counts changes, from 1.
    pub version: i64,
    /// The data.
    pub record: Record,
    /// Whether the patient denies it to whoever asked for a list.
    pub denied: Denied,
    /// Whether its patient has asked to have something amended.
    pub is_amended: bool,
}

/// A record as it stands in its row, not opened yet.
#[derive(FromRow)]
pub struct Sealed {
    id: String,
    version: i64,
    patient_id: String,
    day: NaiveDate,
    body: Vec<u8>,
    #[sqlx(flatten)]
    denied: Denied,
    is_amended: bool,
}

pub(super) fn place(id: &str) -> Place<'_> {
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
            Ok(record) => {
                let (id, version, is_amended) = (RecordId::trusted(self.id), self.version, self.is_amended);
                Ok(Some(Kept { id, version, record, denied: self.denied, is_amended }))
            }
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
    Ok(on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select id, version, patient_id, day, body, \
         exists (select 1 from amendment where record_id = medical_record.id) as is_amended from medical_record where id = $1 and deleted_at is null"
    ))
    .bind(id.as_str())
    .fetch_optional(conn)
    .await
    })?)
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

/// Counts a change of what is shown with a record. [`db::Error::LostRace`] if it changed since it was read.
pub async fn record_touch(tx: &mut Tx, kept: &Kept) -> Result<(), db::Error> {
    let now = tx.now();
    let touched = on!(tx, |conn| sqlx::query(sql!(
        "update medical_record set version = version + 1, updated_at = $3 \
         where id = $1 and version = $2 and deleted_at is null"
    ))
    .bind(kept.id.as_str())
    .bind(kept.version)
    .bind(now)
    .execute(conn)
    .await
    .map(|done| done.rows_affected()))?;
    if touched == 1 { Ok(()) } else { Err(db::Error::LostRace) }
}

/// Takes everything of a record away but its id, which stays taken. [`db::Error::LostRace`] if it changed since it was read.
pub async fn record_delete(tx: &mut Tx, kept: &Kept) -> Result<(), db::Error> {
    record_clear(tx, &kept.id, kept.version).await?;
    amendments_delete(tx, &kept.id).await
}

/// The same, but for its amendments.
pub(super) async fn record_clear(tx: &mut Tx, id: &RecordId, version: i64) -> Result<(), db::Error> {
    let now = tx.now();
    let deleted = on!(tx, |conn| sqlx::query(sql!(
        "update medical_record set version = version + 1, updated_at = $3, deleted_at = $3, \
         patient_id = null, day = null, body = null \
         where id = $1 and version = $2 and deleted_at is null"
    ))
    .bind(id.as_str())
    .bind(version)
    .bind(now)
    .execute(conn)
    .await
    .map(|done| done.rows_affected()))?;
    if deleted == 1 { Ok(()) } else { Err(db::Error::LostRace) }
}

/// A stretch of the list with each record's sort key, the latest day first: of all whose records they may see, or of one patient, of whom that is
/// known.
pub async fn record_search(
    tx: &mut Tx,
    db: &Db,
    search: &Search,
    whose: Whose<'_>,
) -> Result<Vec<(Key, Option<Kept>)>, db::Error> {
    let rows = match whose {
        Whose::Patient(patient) => of_patient(tx, search, patient).await?,
        Whose::Seen(seeker) if seeker.is_carer => of_theirs(tx, search, seeker).await?,
        Whose::Seen(seeker) => of_everybody(tx, search, seeker).await?,
    };
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        let key = (row.day, row.id.clone());
        found.push((key, row.open(db).await?));
    }
    Ok(found)
}

/// Whose records a list holds.
#[derive(Clone, Copy, Debug)]
pub enum Whose<'a> {
    /// This patient's.
    Patient(&'a PatientId),
    /// Those of all whom they may see.
    Seen(&'a Seeker),
}

async fn of_patient(tx: &mut Tx, search: &Search, patient: &PatientId) -> Result<Vec<Sealed>, db::Error> {
    let (day, id) = search.below();
    Ok(on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select id, version, patient_id, day, body, \
         exists (select 1 from amendment where record_id = medical_record.id) as is_amended from medical_record \
         where patient_id = $1 and deleted_at is null and day >= $2 and (day, id) < ($3, $4) \
         order by day desc, id desc limit $5"
    ))
    .bind(patient.as_str())
    .bind(search.from)
    .bind(day)
    .bind(&id)
    .bind(search.window.rows())
    .fetch_all(conn)
    .await
    })?)
}

async fn of_theirs(tx: &mut Tx, search: &Search, seeker: &Seeker) -> Result<Vec<Sealed>, db::Error> {
    let ((day, id), now) = (search.below(), tx.now());
    let own = seeker.own.as_ref().map(PatientId::as_str);
    Ok(on!(tx, |conn| sqlx::query_as(sql!(
        "select * from ( \
             select m.id, m.version, m.patient_id, m.day, m.body, \
                 exists (select 1 from amendment where record_id = m.id) as is_amended, \
                 (select min(d.consent) from denial d where d.patient_id = m.patient_id and d.until > $6 \
                      and $9 like '%' || d.who || '%' and d.patient_id <> coalesce($8, '')) as denial, \
                 (select max(g.id) from glass g \
                  where g.user_id = $7 and g.patient_id = m.patient_id and g.until > $6) as glass \
             from medical_record m \
             where m.deleted_at is null and m.day >= $1 and (m.day, m.id) < ($2, $3) and m.patient_id in ( \
                 select patient_id from care where provider_id = $5 and until > $6 \
                 union select patient_id from glass where user_id = $7 and until > $6 \
                 union select $8)) theirs \
         where denial is null or glass is not null \
         order by day desc, id desc limit $4"
    ))
    .bind(search.from)
    .bind(day)
    .bind(&id)
    .bind(search.window.rows())
    .bind(seeker.provider.as_ref().map(ProviderId::as_str))
    .bind(now)
    .bind(&seeker.user)
    .bind(own)
    .bind(&seeker.names)
    .fetch_all(conn)
    .await)?)
}

async fn of_everybody(tx: &mut Tx, search: &Search, seeker: &Seeker) -> Result<Vec<Sealed>, db::Error> {
    let ((day, id), now) = (search.below(), tx.now());
    let own = seeker.own.as_ref().map(PatientId::as_str);
    Ok(on!(tx, |conn| sqlx::query_as(sql!(
        "select * from ( \
             select m.id, m.version, m.patient_id, m.day, m.body, \
                 exists (select 1 from amendment where record_id = m.id) as is_amended, \
                 (select min(d.consent) from denial d where d.patient_id = m.patient_id and d.until > $5 \
                      and $8 like '%' || d.who || '%' and d.patient_id <> coalesce($7, '')) as denial, \
                 (select max(g.id) from glass g \
                  where g.user_id = $6 and g.patient_id = m.patient_id and g.until > $5) as glass \
             from medical_record m \
             where m.deleted_at is null and m.day >= $1 and (m.day, m.id) < ($2, $3)) everybodys \
         where $9 or denial is null or glass is not null \
         order by day desc, id desc limit $4"
    ))
    .bind(search.from)
    .bind(day)
    .bind(&id)
    .bind(search.window.rows())
    .bind(now)
    .bind(&seeker.user)
    .bind(own)
    .bind(&seeker.names)
    .bind(seeker.is_exempt)
    .fetch_all(conn)
    .await)?)
}
