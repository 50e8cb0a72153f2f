//! The `told_appointment` table: each appointment, and each offer, as it was told of last.

use chrono::{DateTime, Utc};
use contracts::id::{AppointmentId, PatientId};
use db::{Db, Place, Subject, Tx, on, sql};
use sqlx::FromRow;

use crate::domain::visit::{Person, Visit};

/// So long after its beginning nothing is told of an appointment any more, days.
const KEEP_DAYS: i64 = 30;

#[derive(FromRow)]
struct Row {
    appointment_id: String,
    patient_id: String,
    body: Vec<u8>,
}

/// Under which name something is noted that was told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// An appointment, under its id.
    Appointment,
    /// An offer, under its entry's, by a name that no appointment has, since no id has a colon in it.
    Offer,
}

impl Noted {
    fn name(self, visit: &Visit) -> String {
        match self {
            Self::Appointment => visit.id.to_string(),
            Self::Offer => format!("offer:{}", visit.id),
        }
    }
}

fn place(id: &str) -> Place<'_> {
    Place { table: "told_appointment", column: "body", row: id }
}

/// Takes in what is told of an appointment, or of an offer, under the patient's [`db::erasure_lock`]; whether it is news. Events may come in any order: the highest
/// version counts. Of an erased patient nothing is taken in.
pub async fn told_take(tx: &mut Tx, db: &Db, noted: Noted, visit: &Visit) -> Result<bool, db::Error> {
    if db::erasure_is_requested(tx, visit.patient.as_str()).await? {
        return Ok(false);
    }
    let (name, subject) = (noted.name(visit), Subject::Patient(visit.patient.as_str()));
    let body = match db.vault().seal_json(&subject, place(&name), visit).await {
        Err(db::Error::KeyDestroyed { .. }) => return Ok(false),
        sealed => sealed?,
    };
    let taken = on!(tx, |conn| {
        sqlx::query(sql!(
        "insert into told_appointment (appointment_id, version, patient_id, provider_id, starts_at, stands, body) \
         values ($1, $2, $3, $4, $5, $6, $7) \
         on conflict (appointment_id) do update set version = excluded.version, provider_id = excluded.provider_id, \
             starts_at = excluded.starts_at, stands = excluded.stands, body = excluded.body \
         where excluded.version > told_appointment.version and excluded.patient_id = told_appointment.patient_id"
    ))
    .bind(&name)
    .bind(visit.version)
    .bind(visit.patient.as_str())
    .bind(visit.provider.as_str())
    .bind(visit.starts_at)
    .bind(visit.stands)
    .bind(&body)
    .execute(conn)
    .await
    .map(|done| done.rows_affected())
    })?;
    Ok(taken == 1)
}

/// Somebody's appointments that are still to take place, the next ones first: `limit` at most.
pub async fn told_ahead(tx: &mut Tx, db: &Db, person: &Person, limit: u32) -> Result<Vec<Visit>, db::Error> {
    let now = tx.now();
    let (patient, provider) = match person {
        Person::Patient(id) => (Some(id.as_str()), None),
        Person::Provider(id) => (None, Some(id.as_str())),
    };
    let rows: Vec<Row> = on!(tx, |conn| sqlx::query_as(sql!(
        "select appointment_id, patient_id, body from told_appointment \
         where (patient_id = $1 or provider_id = $2) and starts_at > $3 and stands \
         order by starts_at, appointment_id limit $4"
    ))
    .bind(patient)
    .bind(provider)
    .bind(now)
    .bind(i64::from(limit))
    .fetch_all(conn)
    .await)?;
    let mut ahead = Vec::with_capacity(rows.len());
    for row in rows {
        let subject = Subject::Patient(&row.patient_id);
        match db.vault().open_json(&subject, place(&row.appointment_id), &row.body).await {
            Err(db::Error::KeyDestroyed { .. }) => {}
            opened => ahead.push(opened?),
        }
    }
    Ok(ahead)
}

/// An appointment as it was told of last, if it was.
pub async fn told_find(tx: &mut Tx, db: &Db, id: &AppointmentId) -> Result<Option<Visit>, db::Error> {
    let row: Option<Row> = on!(tx, |conn| sqlx::query_as(sql!(
        "select appointment_id, patient_id, body from told_appointment where appointment_id = $1"
    ))
    .bind(id.as_str())
    .fetch_optional(conn)
    .await)?;
    let Some(row) = row else { return Ok(None) };
    let subject = Subject::Patient(&row.patient_id);
    match db.vault().open_json(&subject, place(&row.appointment_id), &row.body).await {
        Err(db::Error::KeyDestroyed { .. }) => Ok(None),
        opened => opened.map(Some),
    }
}

/// Takes away what is known of a patient's appointments.
pub async fn told_erase(tx: &mut Tx, patient: &PatientId) -> Result<(), db::Error> {
    on!(tx, |conn| sqlx::query(sql!("delete from told_appointment where patient_id = $1"))
        .bind(patient.as_str())
        .execute(conn)
        .await
        .map(drop))?;
    Ok(())
}

/// Takes away what is long over.
pub async fn told_forget(tx: &mut Tx) -> Result<(), db::Error> {
    let before: DateTime<Utc> = tx.now() - chrono::TimeDelta::days(KEEP_DAYS);
    on!(tx, |conn| sqlx::query(sql!("delete from told_appointment where starts_at < $1"))
        .bind(before)
        .execute(conn)
        .await
        .map(drop))?;
    Ok(())
}
