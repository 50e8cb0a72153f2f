//! `GET /internal/schedules/{providerId}`, `GET /internal/schedules`

use contracts::page::Page;
use contracts::providers::{ScheduleOfProvider, SchedulesOfProviders};
use contracts::schedules::ProviderSchedule;
use db::Tx;
use http_kit::{Answer, Call};

use super::Api;
use super::credentials::standing::not_bookable;
use super::credentials::today;
use crate::domain::search::Search;
use crate::domain::time_off::OVER;
use crate::error::Error;
use crate::store::provider::{Kept, provider_search};
use crate::store::time_off::{schedule_version, time_off_list};

/// All that decides when a provider can be booked.
pub async fn by_id(api: Api, call: Call<ScheduleOfProvider>) -> Result<Answer<ScheduleOfProvider>, Error> {
    let mut tx = api.db.read().await?;
    let kept = api.found(&mut tx, &call.path.0).await?;
    Ok(Answer::new(schedule(&api, &mut tx, kept).await?))
}

/// The same of those whom a filter finds.
pub async fn list(api: Api, call: Call<SchedulesOfProviders>) -> Result<Answer<SchedulesOfProviders>, Error> {
    let search = Search::parse(&call.query)?;
    let mut tx = api.db.read().await?;
    let page = search.window.page(provider_search(&mut tx, &api.db, &search).await?);
    let mut items = Vec::with_capacity(page.items.len());
    for kept in page.items {
        items.push(schedule(&api, &mut tx, kept).await?);
    }
    Ok(Answer::new(Page { items, next_cursor: page.next_cursor }))
}

async fn schedule(api: &Api, tx: &mut Tx, kept: Kept) -> Result<ProviderSchedule, Error> {
    let after = tx.now() - OVER;
    let time_off = time_off_list(tx, &api.db, &kept.id, after).await?;
    Ok(ProviderSchedule {
        version: schedule_version(tx, &kept.id).await?,
        not_bookable: not_bookable(tx, &kept.id, today(&kept.provider, tx.now())).await?,
        provider: kept.provider.view(&kept.id),
        provider_id: kept.id,
        time_off: time_off.iter().map(|kept| kept.time_off.view(&kept.id, false)).collect(),
    })
}
