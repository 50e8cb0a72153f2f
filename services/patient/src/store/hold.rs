//! The `hold_reason` table: why legal holds are on patients.

use contracts::id::PatientId;
use db::{Db, Place, Subject, Tx, on, sql};

use crate::domain::hold::Hold;

fn place(patient: &PatientId) -> Place<'_> {
    Place { table: "hold_reason", column: "body", row: patient.as_str() }
}

/// Keeps why a hold is on a patient, in place of what was kept, under [`db::erasure_lock`].
pub async fn hold_put(tx: &mut Tx, db: &Db, patient: &PatientId, hold: &Hold) -> Result<(), db::Error> {
    let body = db.vault().seal_json(&Subject::Service, place(patient), hold).await?;
    on!(tx, |conn| sqlx::query(sql!(
        "insert into hold_reason (patient_id, body) values ($1, $2) \
         on conflict (patient_id) do update set body = excluded.body"
    ))
    .bind(patient.as_str())
    .bind(&body)
    .execute(conn)
    .await
    .map(drop))?;
    Ok(())
}

/// The hold on a patient, as it was placed.
pub async fn hold_find(tx: &mut Tx, db: &Db, patient: &PatientId) -> Result<Option<Hold>, db::Error> {
    let body: Option<Vec<u8>> =
        on!(tx, |conn| sqlx::query_scalar(sql!("select body from hold_reason where patient_id = $1"))
            .bind(patient.as_str())
            .fetch_optional(conn)
            .await)?;
    match body {
        Some(body) => db.vault().open_json(&Subject::Service, place(patient), &body).await.map(Some),
        None => Ok(None),
    }
}

/// Takes away why a hold was on a patient.
pub async fn hold_delete(tx: &mut Tx, patient: &PatientId) -> Result<(), db::Error> {
    on!(tx, |conn| sqlx::query(sql!("delete from hold_reason where patient_id = $1"))
        .bind(patient.as_str())
        .execute(conn)
        .await
        .map(drop))?;
    Ok(())
}

/// Takes away why holds were on patients that are over.
pub async fn hold_forget(tx: &mut Tx) -> Result<(), db::Error> {
    let now = tx.now();
    on!(tx, |conn| sqlx::query(sql!(
        "delete from hold_reason where patient_id in (select patient from legal_hold where until <= $1)"
    ))
    .bind(now)
    .execute(conn)
    .await
    .map(drop))?;
    Ok(())
}
