//! `POST /internal/events`

use contracts::event::Accepted;
use contracts::patients::DeliverToPatients;
use http_kit::{Answer, Call, access, relay};

use super::Api;
use crate::error::Error;

/// Takes an event: who treats whom, and who sees whom in an emergency. One that comes again has no effect.
pub async fn deliver(api: Api, call: Call<DeliverToPatients>) -> Result<Answer<DeliverToPatients>, Error> {
    let event = &call.body;
    relay::check_teller(&call.caller, event)?;
    let seen = access::told_of(&event.what);
    if seen.is_empty() {
        return Ok(Answer::new(Accepted { first_time: false }));
    }
    let locks: Vec<_> = seen.iter().map(|patient| db::erasure_lock_name(patient.as_str())).collect();
    let locks: Vec<_> = locks.iter().map(String::as_str).collect();
    let first_time = db::retrying(&api.db, async |mut tx| {
        tx.lock(&locks).await?;
        let first_time = db::inbox_accept(&mut tx, event.id.as_str()).await?;
        if first_time {
            access::take_in(&mut tx, &event.what).await?;
        }
        tx.commit().await?;
        Ok::<_, Error>(first_time)
    })
    .await?;
    Ok(Answer::new(Accepted { first_time }))
}
