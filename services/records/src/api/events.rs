//! `POST /internal/events`

use contracts::event::{Accepted, What};
use contracts::id::PatientId;
use contracts::records::DeliverToRecords;
use db::Tx;
use http_kit::{Answer, Call, access, erasure, relay};

use super::Api;
use crate::error::Error;
use crate::store::record::records_erase;

/// Takes an event; one that comes again has no effect.
pub async fn deliver(api: Api, call: Call<DeliverToRecords>) -> Result<Answer<DeliverToRecords>, Error> {
    let event = &call.body;
    relay::check_teller(&call.caller, event)?;
    let concerned = concerned(&event.what);
    if concerned.is_empty() {
        return Ok(Answer::new(Accepted { first_time: false }));
    }
    let locks: Vec<_> = concerned.iter().map(|patient| db::erasure_lock_name(patient.as_str())).collect();
    let locks: Vec<_> = locks.iter().map(String::as_str).collect();
    let first_time = db::retrying(&api.db, async |mut tx| {
        tx.lock(&locks).await?;
        let first_time = db::inbox_accept(&mut tx, event.id.as_str()).await?;
        if first_time {
            take_in(&mut tx, &event.what).await?;
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

async fn take_in(tx: &mut Tx, what: &What) -> Result<(), db::Error> {
    match what {
        What::PatientErased { patient_id } => records_erase(tx, patient_id).await,
        what => access::take_in(tx, what).await,
    }
}
