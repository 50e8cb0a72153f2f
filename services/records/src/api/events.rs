//! `POST /internal/events`

use contracts::event::{Accepted, What};
use contracts::records::DeliverToRecords;
use http_kit::{Answer, Call, erasure};

use super::Api;
use crate::error::Error;
use crate::store::record::records_erase;

/// Takes an event; one that comes again has no effect.
pub async fn deliver(api: Api, call: Call<DeliverToRecords>) -> Result<Answer<DeliverToRecords>, Error> {
    let event = &call.body;
    // This service subscribes to nothing else.
    let What::PatientErased { patient_id } = &event.what else {
        return Ok(Answer::new(Accepted { first_time: false }));
    };
    let first_time = db::retrying(&api.db, async |mut tx| {
        db::erasure_lock(&mut tx, patient_id.as_str()).await?;
        let first_time = db::inbox_accept(&mut tx, event.id.as_str()).await?;
        if first_time {
            records_erase(&mut tx, patient_id).await?;
        }
        tx.commit().await?;
        Ok::<_, Error>(first_time)
    })
    .await?;
    erasure::finish(&api.db, patient_id).await;
    Ok(Answer::new(Accepted { first_time }))
}
