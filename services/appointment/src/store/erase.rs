//! What goes when a patient or a provider goes.

use contracts::id::{PatientId, ProviderId};
use db::{Db, Tx, on, sql};

use crate::store::appointment::provider_lock;
use crate::store::feed::{feeds_of_patient_delete, feeds_of_provider_delete};

/// Takes away all that is kept of a patient, and asks for their key to be destroyed. The ids stay taken.
pub async fn patient_erase(tx: &mut Tx, db: &Db, patient: &PatientId) -> Result<(), db::Error> {
    // Whoever books for the patient meanwhile waits for this lock, and then sees that they are gone.
    tx.lock(&[&format!("patient:{patient}")]).await?;
    db::erasure_request(tx, patient.as_str()).await?;
    let now = tx.now();
    // The bodies first: whoever is changing one of these rows is waited for here, and what they add to the history goes with the rest.
    let appointments = on!(tx, |conn| sqlx::query(sql!(
        "update appointment set version = version + 1, updated_at = $2, deleted_at = $2, \
             active = $3, status = null, body = null \
         where patient_id = $1 and deleted_at is null"
    ))
    .bind(patient.as_str())
    .bind(now)
    .bind(false)
    .execute(conn)
    .await
    .map(|done| done.rows_affected()))?;
    let changes = on!(tx, |conn| {
        sqlx::query(sql!(
        "delete from appointment_change \
         where appointment_id in (select id from appointment where patient_id = $1 and deleted_at is not null)"
    ))
    .bind(patient.as_str())
    .execute(conn)
    .await
    .map(|done| done.rows_affected())
    })?;
    on!(tx, |conn| sqlx::query(sql!(
        "update appointment set patient_id = null where patient_id = $1 and deleted_at is not null"
    ))
    .bind(patient.as_str())
    .execute(conn)
    .await
    .map(drop))?;
    let feeds = feeds_of_patient_delete(tx, patient).await?;
    db::access_forget(tx, patient.as_str()).await?;
    let shredded = [("appointments", appointments), ("history", changes), ("feeds", feeds)];
    db::erasure_shredded(tx, db, patient.as_str(), &shredded).await
}

/// Notes that a provider's profile is gone: nothing can be booked with them any more.
pub async fn provider_remove(tx: &mut Tx, provider: &ProviderId) -> Result<(), db::Error> {
    tx.lock(&[&provider_lock(provider)]).await?;
    let now = tx.now();
    on!(tx, |conn| sqlx::query(sql!(
        "insert into removed_provider (id, removed_at) values ($1, $2) on conflict (id) do nothing"
    ))
    .bind(provider.as_str())
    .bind(now)
    .execute(conn)
    .await
    .map(drop))?;
    feeds_of_provider_delete(tx, provider).await
}
