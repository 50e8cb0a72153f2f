//! `PUT /api/bills/{billId}`

use contracts::bills::{BillUpdated, UpdateBill};
use http_kit::{Answer, Call, json};

use super::Api;
use crate::error::Error;
use crate::store::bill::bill_update;

/// Changes what the body names (RFC 7396), as far as the bill's status allows.
pub async fn update(api: Api, call: Call<UpdateBill>) -> Result<Answer<UpdateBill>, Error> {
    let (id,) = &call.path;
    let version = db::retrying(&api.db, async |mut tx| {
        let kept = api.visible(&mut tx, &call.caller, id).await?;
        call.if_match.check(kept.version)?;
        let current = api.view(&kept);
        let next = kept.bill.change(&current, &json::merge(&call.body, &current)?)?;
        let Some(changed) = kept.bill.changed_to(next)? else { return Ok(kept.version) };
        bill_update(&mut tx, &api.db, &kept, &changed).await?;
        tx.commit().await?;
        Ok::<_, Error>(kept.version + 1)
    })
    .await?;
    let updated = BillUpdated { bill_id: id.clone(), status: "Updated".to_owned() };
    Ok(Answer::new(updated).version(version))
}
