//! The `series` table, and the appointments of a series.

use chrono::{DateTime, Utc};
use contracts::id::{PatientId, SeriesId};
use contracts::series::OCCURRENCES_MAX;
use db::{Db, Place, Subject, Tx, on, sql};
use http_kit::page::Window;
use sqlx::FromRow;

use super::among::Want;
use super::appointment::{Kept as KeptAppointment, Sealed as SealedAppointment, no_patient};
use crate::domain::series::Kept;
use crate::error::Error;

/// A series as it stands in its row, not opened yet.
#[derive(FromRow)]
pub struct Sealed {
    id: String,
    patient_id: String,
    created_at: DateTime<Utc>,
    body: Vec<u8>,
}

fn place(id: &str) -> Place<'_> {
    Place { table: "series", column: "body", row: id }
}

impl Sealed {
    /// Whose it is.
    pub fn patient(&self) -> PatientId {
        PatientId::trusted(self.patient_id.clone())
    }

    /// The series. `None`: the patient was erased after the row was read.
    pub async fn open(self, db: &Db) -> Result<Option<Kept>, db::Error> {
        let Self { id, patient_id, created_at, body } = self;
        match db.vault().open_json(&Subject::Patient(&patient_id), place(&id), &body).await {
            Ok(series) => Ok(Some(Kept {
                id: SeriesId::trusted(id),
                patient: PatientId::trusted(patient_id),
                created_at,
                series,
            })),
            Err(db::Error::KeyDestroyed { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Keeps a series, under its patient's lock. [`Error::Invalid`] if they are gone by now.
pub async fn series_insert(tx: &mut Tx, db: &Db, kept: &Kept) -> Result<(), Error> {
    let subject = Subject::Patient(kept.patient.as_str());
    let body = match db.vault().seal_json(&subject, place(kept.id.as_str()), &kept.series).await {
        Err(db::Error::KeyDestroyed { .. }) => return Err(no_patient()),
        sealed => sealed?,
    };
    on!(tx, |conn| sqlx::query(sql!(
        "insert into series (id, patient_id, created_at, body) values ($1, $2, $3, $4)"
    ))
    .bind(kept.id.as_str())
    .bind(kept.patient.as_str())
    .bind(kept.created_at)
    .bind(&body)
    .execute(conn)
    .await
    .map(drop))
    .map_err(db::Error::from)?;
    Ok(())
}

/// The series, if there is one.
pub async fn series_find(tx: &mut Tx, id: &SeriesId) -> Result<Option<Sealed>, db::Error> {
    Ok(on!(tx, |conn| sqlx::query_as(sql!(
        "select id, patient_id, created_at, body from series where id = $1"
    ))
    .bind(id.as_str())
    .fetch_optional(conn)
    .await)?)
}

/// The appointments of a series, in order. They are few: [`OCCURRENCES_MAX`].
pub async fn series_appointments(
    tx: &mut Tx,
    db: &Db,
    id: &SeriesId,
    want: Want,
) -> Result<Vec<KeptAppointment>, db::Error> {
    let rows: Vec<SealedAppointment> = on!(tx, |conn| sqlx::query_as(sql!(
        "select id, version, patient_id, provider_id, starts_at, body from appointment \
         where series_id = $1 and deleted_at is null order by starts_at, id limit $2"
    ))
    .bind(id.as_str())
    .bind(i64::from(OCCURRENCES_MAX))
    .fetch_all(conn)
    .await)?;
    let mut kept = Vec::with_capacity(rows.len());
    for row in rows {
        kept.extend(row.open_wanted(db, want).await?);
    }
    Ok(kept)
}

/// A stretch of a patient's series, by id.
pub async fn series_of_patient(
    tx: &mut Tx,
    db: &Db,
    patient: &PatientId,
    window: &Window<String>,
) -> Result<Vec<(String, Kept)>, db::Error> {
    let rows: Vec<Sealed> = on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select id, patient_id, created_at, body from series where patient_id = $1 and id > $2 order by id limit $3"
    ))
    .bind(patient.as_str())
    .bind(window.after.as_deref().unwrap_or(""))
    .bind(window.rows())
    .fetch_all(conn)
    .await
    })?;
    let mut kept = Vec::with_capacity(rows.len());
    for row in rows {
        let id = row.id.clone();
        kept.extend(row.open(db).await?.map(|series| (id, series)));
    }
    Ok(kept)
}

/// Takes away all series of a patient who is erased, under their lock. How many there were.
pub async fn series_of_patient_delete(tx: &mut Tx, patient: &PatientId) -> Result<u64, db::Error> {
    Ok(on!(tx, |conn| sqlx::query(sql!("delete from series where patient_id = $1"))
        .bind(patient.as_str())
        .execute(conn)
        .await
        .map(|done| done.rows_affected()))?)
}
