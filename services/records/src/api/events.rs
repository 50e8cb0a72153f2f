//! `POST /internal/events`

use contracts::consents::DataClass;
use contracts::event::{Accepted, What};
use contracts::id::PatientId;
use contracts::records::DeliverToRecords;
use db::Tx;
use http_kit::{Answer, Call, access, consents, erasure, relay, retention};

use super::Api;
use crate::error::Error;
use crate::store::erase::records_erase;

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
    let denials = consents::ask(&api.patients, &event.what).await?;
    let first_time = db::retrying(&api.db, async |mut tx| {
        tx.lock(&locks).await?;
        let first_time = db::inbox_accept(&mut tx, event.id.as_str()).await?;
        if first_time {
            take_in(&api, &mut tx, &event.what).await?;
        }
        if let (true, Some(denials)) = (first_time, &denials) {
            consents::keep(&mut tx, &api.db, denials, &[DataClass::Records]).await?;
        }
        tx.commit().await?;
        Ok::<_, Error>(first_time)
    })
    .await?;
    if let Some(patient) = event.what.erased() {
        erasure::finish(&api.db, patient).await;
    }
    Ok(Answer::new(Accepted { first_time }))
}

/// Whom an event is about that this service subscribes to.
fn concerned(what: &What) -> Vec<&PatientId> {
    match what.erased() {
        Some(patient) => vec![patient],
        None => access::told_of(what),
    }
}

async fn take_in(api: &Api, tx: &mut Tx, what: &What) -> Result<(), db::Error> {
    let Some(patient) = what.erased() else { return access::take_in(tx, what).await };
    retention::take_hold(tx, what).await?;
    records_erase(tx, &api.db, patient, api.years).await
}
