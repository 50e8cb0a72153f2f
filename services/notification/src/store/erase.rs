//! What becomes of notifications when the patient is erased whom they concern.

use chrono::Datelike;
use contracts::id::PatientId;
use db::{Db, Fate, Item, Tx, on, sql};

use crate::store::device::devices_erase;
use crate::store::notification::Sealed;
use crate::store::preference::preference_erase;
use crate::store::told::told_erase;

/// So many are looked at in one go.
const BATCH: i64 = 100;

/// Takes away all that concerns a patient, under [`db::erasure_lock`], and asks for their key to be destroyed. What has its years, or whom a hold
/// is on, is kept aside; what was still to be sent is not.
pub async fn notifications_erase(
    tx: &mut Tx,
    db: &Db,
    patient: &PatientId,
    years: u32,
) -> Result<(), db::Error> {
    db::access_forget(tx, patient.as_str()).await?;
    db::erasure_request(tx, patient.as_str()).await?;
    let hold = db::legal_hold_on(tx, patient.as_str()).await?;
    let mut aside = 0;
    if years > 0 || hold.is_some() {
        aside = keep_aside(tx, db, patient, (years, hold)).await?;
    }
    let gone = on!(tx, |conn| sqlx::query(sql!("delete from notification where patient_id = $1"))
        .bind(patient.as_str())
        .execute(conn)
        .await
        .map(|done| done.rows_affected()))?;
    told_erase(tx, patient).await?;
    let wishes = preference_erase(tx, patient).await?;
    let devices = devices_erase(tx, patient).await?;
    let notifications = ("notifications", gone.saturating_sub(aside));
    let others = [("preferences", wishes), ("devices", devices)];
    let shredded: Vec<_> =
        std::iter::once(notifications).chain(others.into_iter().filter(|(_, count)| *count > 0)).collect();
    db::erasure_shredded(tx, db, patient.as_str(), &shredded).await
}

/// Returns how many are.
async fn keep_aside(
    tx: &mut Tx,
    db: &Db,
    patient: &PatientId,
    (years, hold): (u32, Option<i64>),
) -> Result<u64, db::Error> {
    let (mut after, mut aside, this_year) = (String::new(), 0, db::retention_year(tx.now()));
    loop {
        let rows = batch(tx, patient, &after).await?;
        let Some(last) = rows.last() else { return Ok(aside) };
        last.id().clone_into(&mut after);
        for sealed in rows {
            let from_year = i64::from(sealed.created_at().year());
            let Fate::Kept(how) = db::fate_at_erasure(from_year, Some(years), hold, this_year) else {
                continue;
            };
            let Some(notification) = sealed.open(db).await? else { continue };
            let item = Item {
                kind: "notifications",
                id: notification.id.as_str(),
                patient: patient.as_str(),
                from_year,
            };
            db::retained_put(tx, db, item, how, &notification.view()).await?;
            aside += 1;
        }
    }
}

async fn batch(tx: &mut Tx, patient: &PatientId, after: &str) -> Result<Vec<Sealed>, db::Error> {
    Ok(on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select id, version, created_at, channel, status, patient_id, body, sent_at, delivered_at, error, provider_code, kind, appointment_id, send_at, complained_at, clicks, first_clicked_at, answer from notification \
         where patient_id = $1 and id > $2 and status <> 'Scheduled' order by id limit $3"
    ))
    .bind(patient.as_str())
    .bind(after)
    .bind(BATCH)
    .fetch_all(conn)
    .await
    })?)
}
