//! The `appointment_change` table: an appointment's history.

use chrono::{DateTime, SecondsFormat, Utc};
use contracts::appointments::AppointmentChange;
use contracts::id::{AppointmentId, PatientId};
use db::{Db, Place, Subject, Tx, on, sql};
use http_kit::page::Window;
use sqlx::FromRow;

use super::among::among;
use super::appointment::Kept;
use crate::domain::conflict::Conflict;
use crate::domain::history::Entry;

/// So many changes, from the last one on, are looked through for one.
const LOOKED_AT: i64 = 200;

/// A change with its sort key among those of all of a patient's appointments.
pub type Change = ((AppointmentId, i64), (AppointmentId, AppointmentChange));

#[derive(FromRow)]
struct Row {
    version: i64,
    changed_at: DateTime<Utc>,
    body: Vec<u8>,
}

/// A row's own name, for its body to be bound to: no id has a colon in it.
fn row(id: &AppointmentId, version: i64) -> String {
    format!("{id}:{version}")
}

fn place(row: &str) -> Place<'_> {
    Place { table: "appointment_change", column: "body", row }
}

/// Remembers a change.
pub async fn change_add(
    tx: &mut Tx,
    db: &Db,
    id: &AppointmentId,
    patient: &PatientId,
    version: i64,
    entry: &Entry,
) -> Result<(), db::Error> {
    let (now, row) = (tx.now(), row(id, version));
    let body = db.vault().seal_json(&Subject::Patient(patient.as_str()), place(&row), entry).await?;
    on!(tx, |conn| sqlx::query(sql!(
        "insert into appointment_change (appointment_id, version, changed_at, body) values ($1, $2, $3, $4)"
    ))
    .bind(id.as_str())
    .bind(version)
    .bind(now)
    .bind(&body)
    .execute(conn)
    .await
    .map(drop))?;
    Ok(())
}

/// A stretch of an appointment's history, oldest first.
pub async fn change_list(
    tx: &mut Tx,
    db: &Db,
    id: &AppointmentId,
    patient: &PatientId,
    window: &Window<i64>,
) -> Result<Vec<(i64, AppointmentChange)>, db::Error> {
    let rows: Vec<Row> = on!(tx, |conn| sqlx::query_as(sql!(
        "select version, changed_at, body from appointment_change \
         where appointment_id = $1 and version > $2 order by version limit $3"
    ))
    .bind(id.as_str())
    .bind(window.after.unwrap_or(0))
    .bind(window.rows())
    .fetch_all(conn)
    .await)?;
    let mut changes = Vec::with_capacity(rows.len());
    for Row { version, changed_at, body } in rows {
        let row = row(id, version);
        let entry: Entry =
            db.vault().open_json(&Subject::Patient(patient.as_str()), place(&row), &body).await?;
        changes.push((version, shown(version, changed_at, entry)));
    }
    Ok(changes)
}

/// By whom what is to be resolved of an appointment was found, if that is known: the last time that it came to be so. What came before a change that cannot be
/// opened may have been over by then.
pub async fn conflict_raised_by(
    tx: &mut Tx,
    db: &Db,
    kept: &Kept,
    conflict: Conflict,
) -> Result<Option<String>, db::Error> {
    let rows: Vec<(i64, Vec<u8>)> = on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select version, body from appointment_change where appointment_id = $1 order by version desc limit $2"
    ))
    .bind(kept.id.as_str())
    .bind(LOOKED_AT)
    .fetch_all(conn)
    .await
    })?;
    let subject = Subject::Patient(kept.appointment.patient.as_str());
    for (version, body) in rows {
        let row = row(&kept.id, version);
        let entry = db.vault().open_json(&subject, place(&row), &body).await.map(Some);
        let entry: Option<Entry> = among("appointment_change", &row, entry)?;
        let Some(entry) = entry else { return Ok(None) };
        if entry.raises(conflict) {
            return Ok(Some(entry.by));
        }
    }
    Ok(None)
}

fn shown(version: i64, changed_at: DateTime<Utc>, entry: Entry) -> AppointmentChange {
    AppointmentChange {
        version,
        at: changed_at.to_rfc3339_opts(SecondsFormat::Millis, true),
        by: entry.by,
        action: entry.action.name().to_owned(),
        changes: entry.changes,
    }
}

/// A stretch of the history of all of a patient's appointments, one after another's, with each change's sort key.
pub async fn changes_of_patient(
    tx: &mut Tx,
    db: &Db,
    patient: &PatientId,
    window: &Window<(AppointmentId, i64)>,
) -> Result<Vec<Change>, db::Error> {
    let (after, version) = window.after.as_ref().map_or(("", 0), |(id, version)| (id.as_str(), *version));
    let rows: Vec<(String, i64, DateTime<Utc>, Vec<u8>)> = on!(tx, |conn| sqlx::query_as(sql!(
        "select c.appointment_id, c.version, c.changed_at, c.body \
         from appointment a join appointment_change c on c.appointment_id = a.id \
         where a.patient_id = $1 and a.deleted_at is null and (c.appointment_id, c.version) > ($2, $3) \
         order by c.appointment_id, c.version limit $4"
    ))
    .bind(patient.as_str())
    .bind(after)
    .bind(version)
    .bind(window.rows())
    .fetch_all(conn)
    .await)?;
    let mut changes = Vec::with_capacity(rows.len());
    for (id, version, changed_at, body) in rows {
        let id = AppointmentId::trusted(id);
        let row = row(&id, version);
        let entry: Entry =
            db.vault().open_json(&Subject::Patient(patient.as_str()), place(&row), &body).await?;
        changes.push(((id.clone(), version), (id, shown(version, changed_at, entry))));
    }
    Ok(changes)
}
