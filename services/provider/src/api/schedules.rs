//! `GET /internal/schedules/{providerId}`, `GET /internal/schedules`

use chrono::{DateTime, NaiveTime, Utc};
use contracts::field;
use contracts::page::Page;
use contracts::problem::{Faults, Problem};
use contracts::providers::{ProviderFilter, ScheduleOfProvider, SchedulesOfProviders};
use contracts::schedules::{ProviderSchedule, SchedulesFilter};
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
    let from = time_off_from(call.query.time_off_from.as_deref())?;
    let mut tx = api.db.read().await?;
    let kept = api.found(&mut tx, &call.path.0).await?;
    Ok(Answer::new(schedule(&api, &mut tx, kept, from).await?))
}

/// The same of those whom a filter finds.
pub async fn list(api: Api, call: Call<SchedulesOfProviders>) -> Result<Answer<SchedulesOfProviders>, Error> {
    let from = time_off_from(call.query.time_off_from.as_deref())?;
    let search = Search::parse(&filter(&call.query))?;
    let mut tx = api.db.read().await?;
    let page = search.window.page(provider_search(&mut tx, &api.db, &search).await?);
    let mut items = Vec::with_capacity(page.items.len());
    for kept in page.items {
        items.push(schedule(&api, &mut tx, kept, from).await?);
    }
    Ok(Answer::new(Page { items, next_cursor: page.next_cursor }))
}

fn filter(asked: &SchedulesFilter) -> ProviderFilter {
    let SchedulesFilter { specialization, taxonomy_code, location, language, limit, cursor, .. } =
        asked.clone();
    ProviderFilter { name: None, specialization, taxonomy_code, location, language, limit, cursor }
}

/// The beginning of a date, as it would be in UTC.
fn time_off_from(date: Option<&str>) -> Result<Option<DateTime<Utc>>, Problem> {
    let mut faults = Faults::new();
    let date = faults.take("timeOffFrom", date.map(field::date).transpose());
    let date = faults.finish_query(date)?;
    Ok(date.map(|date| date.and_time(NaiveTime::MIN).and_utc()))
}

/// With the time off that is not over wherever the provider is, or was not at `from`, if that is earlier.
async fn schedule(
    api: &Api,
    tx: &mut Tx,
    kept: Kept,
    from: Option<DateTime<Utc>>,
) -> Result<ProviderSchedule, Error> {
    let now = tx.now();
    let after = from.map_or(now, |from| from.min(now)) - OVER;
    let time_off = time_off_list(tx, &api.db, &kept.id, after).await?;
    Ok(ProviderSchedule {
        version: schedule_version(tx, &kept.id).await?,
        not_bookable: not_bookable(tx, &kept.id, today(&kept.provider, tx.now())).await?,
        provider: kept.provider.view(&kept.id),
        provider_id: kept.id,
        time_off: time_off.iter().map(|kept| kept.time_off.view(&kept.id, false)).collect(),
    })
}
