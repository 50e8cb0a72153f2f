//! `GET /api/slots`

use contracts::appointments::NextSlots;
use contracts::availability::{NextSlot, NextSlotFilter, PROVIDERS_MAX};
use contracts::page::Page;
use contracts::schedules::{ProviderSchedule, SchedulesFilter};
use http_kit::{Answer, Call};

use super::Api;
use crate::domain::search::{NextSearch, SlotSearch};
use crate::domain::slots::{FreeSlot, free};
use crate::domain::week::Schedule;
use crate::error::Error;
use crate::store::taken::taken;

/// Providers with their next free slots, the soonest first: of the [`PROVIDERS_MAX`] that were added last and whom the filter finds.
pub async fn next(api: Api, call: Call<NextSlots>) -> Result<Answer<NextSlots>, Error> {
    let search = NextSearch::parse(&call.query)?;
    let found = api.peers.schedules(&providers(&call.query)).await?;
    let mut next = Vec::new();
    for found in &found.items {
        next.extend(next_of(&api, &search.slots, found).await?.map(|slot| (slot.starts_at, slot, found)));
    }
    next.sort_by_key(|(starts_at, ..)| *starts_at);
    let items = next.into_iter().take(search.limit).map(|(_, slot, found)| view(&slot, found));
    Ok(Answer::new(Page { items: items.collect(), next_cursor: None }))
}

fn providers(filter: &NextSlotFilter) -> SchedulesFilter {
    let NextSlotFilter { specialization, taxonomy_code, location, language, .. } = filter.clone();
    let limit = Some(PROVIDERS_MAX);
    SchedulesFilter { specialization, taxonomy_code, location, language, limit, ..SchedulesFilter::default() }
}

/// A provider's next free slot. Hardly anybody is booked out for a week: the rest of the time is looked through where somebody is.
pub(super) async fn next_of(
    api: &Api,
    search: &SlotSearch,
    found: &ProviderSchedule,
) -> Result<Option<FreeSlot>, Error> {
    let schedule = Schedule::with_time_off(found)?;
    // Who has no such visits is not who is looked for, though somebody without any kinds of visits could be booked for them.
    if !search.is_of(&schedule) {
        return Ok(None);
    }
    let sought = search.sought(&schedule)?;
    for search in [search.clone(), search.clone().for_long()] {
        let range = search.range(&schedule, api.now())?;
        let mut tx = api.db.read().await?;
        let taken = taken(&mut tx, &found.provider_id, None, range, None).await?;
        drop(tx);
        if let Some(first) = free(&schedule, taken, range, &sought).into_iter().next() {
            return Ok(Some(first));
        }
    }
    Ok(None)
}

pub(super) fn view(slot: &FreeSlot, found: &ProviderSchedule) -> NextSlot {
    let slot = slot.view();
    let location =
        found.provider.locations.iter().find(|each| Some(&each.location_id) == slot.location_id.as_ref());
    let zone = location.and_then(|location| location.time_zone.as_ref()).unwrap_or(&found.provider.time_zone);
    NextSlot {
        provider_id: found.provider_id.to_string(),
        name: found.provider.name.clone(),
        specialization: found.provider.specialization.clone(),
        time_zone: zone.clone(),
        slot,
    }
}
