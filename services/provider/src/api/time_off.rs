//! `POST`, `GET /api/providers/{providerId}/time-off`, `DELETE /api/providers/{providerId}/time-off/{timeOffId}`

use contracts::id::{ProviderId, TimeOffId};
use contracts::page::Page;
use contracts::providers::{GiveTimeOffBack, ListTimeOff, TakeTimeOff};
use contracts::schedules::{TimeOffCreated, TimeOffDeleted};
use http_kit::{Answer, Call, Caller};

use super::Api;
use crate::domain::time_off::{KEPT, TimeOff};
use crate::error::Error;
use crate::store::time_off::{Kept, schedule_changed, time_off_delete, time_off_insert, time_off_list};

/// Refuses whoever may not say when a provider is away: staff may, clinicians of themselves.
fn check_may(caller: &Caller, provider: &ProviderId) -> Result<(), Error> {
    let is_theirs = caller.provider_id.as_ref() == Some(provider);
    if caller.is_staff() && (!caller.is_carer() || is_theirs) { Ok(()) } else { Err(Error::NotTheirs) }
}

/// Takes time off. What is booked in it, the appointment service is told to look at.
pub async fn take(api: Api, call: Call<TakeTimeOff>) -> Result<Answer<TakeTimeOff>, Error> {
    let (provider,) = &call.path;
    check_may(&call.caller, provider)?;
    let kept = Kept { id: TimeOffId::generate(api.db.random()), time_off: TimeOff::parse(&call.body)? };
    let created = TimeOffCreated { time_off_id: kept.id.clone(), status: "Created".to_owned() };
    let path = format!("/api/providers/{provider}/time-off/{}", kept.id);
    let answer = Answer::new(created).located_at(path);
    db::retrying(&api.db, async |mut tx| {
        let version = schedule_changed(&mut tx, provider).await?;
        let over = tx.now() - KEPT;
        time_off_insert(&mut tx, &api.db, provider, &kept, over).await?;
        api.tell_schedule(&mut tx, provider, version).await?;
        Ok::<_, Error>(call.receipt.commit(tx, &answer).await?)
    })
    .await?;
    Ok(answer)
}

/// A provider's time off; why, staff and they themselves are shown.
pub async fn list(api: Api, call: Call<ListTimeOff>) -> Result<Answer<ListTimeOff>, Error> {
    let (provider,) = &call.path;
    let mut tx = api.db.read().await?;
    let _ = api.found(&mut tx, provider).await?;
    let after = tx.now() - KEPT;
    let kept = time_off_list(&mut tx, &api.db, provider, after).await?;
    let with_reason = call.caller.is_staff() || call.caller.provider_id.as_ref() == Some(provider);
    let items = kept.iter().map(|kept| kept.time_off.view(&kept.id, with_reason)).collect();
    Ok(Answer::new(Page { items, next_cursor: None }))
}

/// Gives time off back.
pub async fn give_back(api: Api, call: Call<GiveTimeOffBack>) -> Result<Answer<GiveTimeOffBack>, Error> {
    let (provider, id) = &call.path;
    check_may(&call.caller, provider)?;
    db::retrying(&api.db, async |mut tx| {
        let version = schedule_changed(&mut tx, provider).await?;
        if !time_off_delete(&mut tx, provider, id).await? {
            return Err(Error::NotFound);
        }
        api.tell_schedule(&mut tx, provider, version).await?;
        Ok::<_, Error>(tx.commit().await?)
    })
    .await?;
    Ok(Answer::new(TimeOffDeleted { status: "Deleted".to_owned(), time_off_id: id.clone() }))
}
