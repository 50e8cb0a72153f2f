//! What becomes of bills when their patient is erased, or a legal hold is on whom they are of.

use chrono::{DateTime, Datelike, Utc};
use contracts::id::PatientId;
use db::{Db, Fate, Item, Tx, Years, on, sql};
use sqlx::FromRow;

use crate::domain::bill::Heading;
use crate::domain::status::is_kept_by_law;
use crate::store::bill::{Kept, Sealed, bill_clear, bill_delete, bill_restrict};

/// So many bills of an erased patient are taken at a time.
const BATCH: i64 = 100;

#[derive(FromRow)]
struct Row {
    updated_at: DateTime<Utc>,
    #[sqlx(flatten)]
    sealed: Sealed,
}

/// Restricts what the law keeps, keeps aside what a hold keeps, deletes the rest, and asks for the key to be destroyed.
pub async fn bills_erase(
    tx: &mut Tx,
    db: &Db,
    patient: &PatientId,
    years: Years,
    currency: &str,
) -> Result<(), db::Error> {
    let (hold, this_year) = (db::legal_hold_on(tx, patient.as_str()).await?, db::retention_year(tx.now()));
    let mut gone = 0;
    loop {
        let batch = unrestricted(tx, patient).await?;
        if batch.is_empty() {
            db::access_forget(tx, patient.as_str()).await?;
            db::erasure_request(tx, patient.as_str()).await?;
            return db::erasure_shredded(tx, db, patient.as_str(), &[("bills", gone)]).await;
        }
        for Row { updated_at, sealed } in batch {
            let (id, version) = sealed.head();
            let Some(kept) = sealed.open(db).await? else {
                // An older copy of the data has brought it back, under a key that is destroyed: nothing can be kept of it.
                bill_clear(tx, &id, version).await?;
                gone += 1;
                continue;
            };
            let from_year = i64::from(updated_at.year());
            // A draft is nobody's record: it has no years.
            let years = if is_kept_by_law(kept.bill.status) { years } else { Some(0) };
            match db::fate_at_erasure(from_year, years, hold, this_year) {
                Fate::Kept(db::Kept::Always) => bill_restrict(tx, db, &kept, from_year, None).await?,
                Fate::Kept(db::Kept::Until(until)) => {
                    bill_restrict(tx, db, &kept, from_year, Some(until)).await?;
                }
                Fate::Kept(db::Kept::Held(hold)) => {
                    bill_hold(tx, db, &kept, (from_year, hold), currency).await?;
                }
                Fate::Gone => {
                    bill_delete(tx, &kept).await?;
                    gone += 1;
                }
            }
        }
    }
}

/// Takes a bill away, and keeps it aside as long as a hold is on its patient. Under [`db::erasure_lock`].
pub async fn bill_hold(
    tx: &mut Tx,
    db: &Db,
    kept: &Kept,
    (from_year, hold): (i64, i64),
    currency: &str,
) -> Result<(), db::Error> {
    bill_delete(tx, kept).await?;
    let shown = kept.bill.view(Heading { id: &kept.id, currency, restricted: true });
    let item =
        Item { kind: "bills", id: kept.id.as_str(), patient: kept.bill.patient_id.as_str(), from_year };
    db::retained_put(tx, db, item, db::Kept::Held(hold), &shown).await
}

/// Some of a patient's bills that still stand under the patient's key; none once all were restricted or taken away.
async fn unrestricted(tx: &mut Tx, patient: &PatientId) -> Result<Vec<Row>, db::Error> {
    Ok(on!(tx, |conn| sqlx::query_as(sql!(
        "select id, version, created_at, updated_at, patient_id, restricted, until_year, body from bill \
         where patient_id = $1 and restricted = $2 and deleted_at is null order by created_at, id limit $3"
    ))
    .bind(patient.as_str())
    .bind(false)
    .bind(BATCH)
    .fetch_all(conn)
    .await)?)
}
