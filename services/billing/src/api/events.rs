//! `POST /internal/events`

use contracts::bills::DeliverToBilling;
use contracts::consents::DataClass;
use contracts::event::{Accepted, What};
use contracts::id::PatientId;
use db::Tx;
use http_kit::{Answer, Call, access, consents, erasure, relay};

use super::Api;
use crate::domain::status::is_kept_by_law;
use crate::error::Error;
use crate::store::bill::{bill_delete, bill_restrict, bills_delete_unopened, bills_unrestricted};

/// Takes an event; one that comes again has no effect.
pub async fn deliver(api: Api, call: Call<DeliverToBilling>) -> Result<Answer<DeliverToBilling>, Error> {
    let event = &call.body;
    relay::check_teller(&call.caller, event)?;
    let concerned = concerned(&event.what);
    if concerned.is_empty() {
        return Ok(Answer::new(Accepted { first_time: false }));
    }
    let locks: Vec<_> = concerned.iter().map(|patient| db::erasure_lock_name(patient.as_str())).collect();
    let locks: Vec<_> = locks.iter().map(String::as_str).collect();
    let denials = consents::ask(&api.patients, &event.what).await?;
    let first_time = db::retrying(&api.db, async |mut tx| {
        tx.lock(&locks).await?;
        let first_time = db::inbox_accept(&mut tx, event.id.as_str()).await?;
        if first_time {
            take_in(&api, &mut tx, &event.what).await?;
        }
        if let (true, Some(denials)) = (first_time, &denials) {
            consents::keep(&mut tx, &api.db, denials, &[DataClass::Bills]).await?;
        }
        tx.commit().await?;
        Ok::<_, Error>(first_time)
    })
    .await?;
    if let What::PatientErased { patient_id } = &event.what {
        erasure::finish(&api.db, patient_id).await;
    }
    Ok(Answer::new(Accepted { first_time }))
}

/// Whom an event is about that this service subscribes to.
fn concerned(what: &What) -> Vec<&PatientId> {
    match what {
        What::PatientErased { patient_id } => vec![patient_id],
        what => access::told_of(what),
    }
}

async fn take_in(api: &Api, tx: &mut Tx, what: &What) -> Result<(), Error> {
    match what {
        What::PatientErased { patient_id } => erase(api, tx, patient_id).await,
        what => Ok(access::take_in(tx, what).await?),
    }
}

/// Restricts what the law keeps, deletes the rest, and asks for the key to be destroyed. If it is already, nothing can be kept of what stands under
/// it: an older copy of the data has brought that back.
async fn erase(api: &Api, tx: &mut Tx, patient: &PatientId) -> Result<(), Error> {
    let mut drafts = 0;
    loop {
        let batch = bills_unrestricted(tx, &api.db, patient).await?;
        if batch.is_empty() {
            drafts += bills_delete_unopened(tx, patient).await?;
            db::access_forget(tx, patient.as_str()).await?;
            db::erasure_request(tx, patient.as_str()).await?;
            return Ok(db::erasure_shredded(tx, &api.db, patient.as_str(), &[("bills", drafts)]).await?);
        }
        for kept in &batch {
            if is_kept_by_law(kept.bill.status) {
                bill_restrict(tx, &api.db, kept).await?;
            } else {
                bill_delete(tx, kept).await?;
                drafts += 1;
            }
        }
    }
}
