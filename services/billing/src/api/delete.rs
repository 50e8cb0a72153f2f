//! `DELETE /api/bills/{billId}`

use contracts::bills::{BillDeleted, DeleteBill};
use db::Tx;
use http_kit::{Answer, Call};

use super::Api;
use crate::domain::status::{Removal, removal};
use crate::error::Error;
use crate::store::bill::{Kept, bill_delete, bill_update};
use crate::store::erase::bill_hold;

/// Deletes a draft; what was sent is kept as void.
pub async fn delete(api: Api, call: Call<DeleteBill>) -> Result<Answer<DeleteBill>, Error> {
    let (id,) = &call.path;
    let version = db::retrying(&api.db, async |mut tx| {
        let kept = api.visible(&mut tx, &call.caller, id).await?;
        call.if_match.check(kept.version)?;
        match removal(kept.bill.status)? {
            Removal::Delete => draft_delete(&api, &mut tx, &kept).await?,
            Removal::Void => bill_update(&mut tx, &api.db, &kept, &kept.bill.clone().voided()).await?,
            Removal::Nothing => return Ok(kept.version),
        }
        tx.commit().await?;
        Ok::<_, Error>(kept.version + 1)
    })
    .await?;
    let deleted = BillDeleted { status: "Deleted".to_owned(), bill_id: id.clone() };
    Ok(Answer::new(deleted).version(version))
}

/// A draft of whom a legal hold is on is kept aside until that is over.
async fn draft_delete(api: &Api, tx: &mut Tx, kept: &Kept) -> Result<(), db::Error> {
    let patient = kept.bill.patient_id.as_str();
    db::erasure_lock(tx, patient).await?;
    match db::legal_hold_on(tx, patient).await? {
        Some(hold) => bill_hold(tx, &api.db, kept, (db::NO_YEARS, hold), &api.currency).await,
        None => bill_delete(tx, kept).await,
    }
}
