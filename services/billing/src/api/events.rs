//! `POST /internal/events`

use contracts::bills::DeliverToBilling;
use contracts::event::{Accepted, What};
use contracts::id::PatientId;
use db::Tx;
use http_kit::{Answer, Call, erasure, relay};

use super::Api;
use crate::domain::status::is_kept_by_law;
use crate::error::Error;
use crate::store::bill::{bill_delete, bill_restrict, bills_unrestricted};

/// Takes an event; one that comes again has no effect.
pub async fn deliver(api: Api, call: Call<DeliverToBilling>) -> Result<Answer<DeliverToBilling>, Error> {
    let event = &call.body;
    relay::check_teller(&call.caller, event)?;
    // This service subscribes to nothing else.
    let What::PatientErased { patient_id } = &event.what else {
        return Ok(Answer::new(Accepted { first_time: false }));
    };
    let first_time = db::retrying(&api.db, async |mut tx| {
        db::erasure_lock(&mut tx, patient_id.as_str()).await?;
        let first_time = db::inbox_accept(&mut tx, event.id.as_str()).await?;
        if first_time {
            erase(&api, &mut tx, patient_id).await?;
        }
        tx.commit().await?;
        Ok::<_, Error>(first_time)
    })
    .await?;
    erasure::finish(&api.db, patient_id).await;
    Ok(Answer::new(Accepted { first_time }))
}

/// Restricts what the law keeps, deletes the rest, and asks for the key to be destroyed.
async fn erase(api: &Api, tx: &mut Tx, patient: &PatientId) -> Result<(), Error> {
    loop {
        let batch = bills_unrestricted(tx, &api.db, patient).await?;
        if batch.is_empty() {
            return Ok(db::erasure_request(tx, patient.as_str()).await?);
        }
        for kept in &batch {
            if is_kept_by_law(kept.bill.status) {
                bill_restrict(tx, &api.db, kept).await?;
            } else {
                bill_delete(tx, kept).await?;
            }
        }
    }
}
