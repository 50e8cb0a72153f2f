//! `GET /api/providers/{providerId}/slots`

use contracts::appointments::ProviderSlots;
use contracts::page::Page;
use http_kit::{Answer, Call};

use super::Api;
use crate::domain::search::SlotSearch;
use crate::domain::slots::{FreeSlot, free};
use crate::error::Error;
use crate::store::taken::taken;

/// A provider's free slots: their hours, less time off, what is booked and what is past.
pub async fn slots(api: Api, call: Call<ProviderSlots>) -> Result<Answer<ProviderSlots>, Error> {
    let (provider,) = &call.path;
    let search = SlotSearch::parse(&call.query)?;
    let schedule = api.peers.schedule(provider).await?.ok_or(Error::NotFound)?;
    let sought = search.sought(&schedule)?;
    let range = search.range(&schedule, api.now())?;
    let mut tx = api.db.read().await?;
    let taken = taken(&mut tx, provider, None, range, None).await?;
    drop(tx);
    let slots = free(&schedule, taken, range, &sought)
        .into_iter()
        .filter(|slot| search.window.after.is_none_or(|after| slot.starts_at > after))
        .take(search.window.limit as usize + 1)
        .map(|slot| (slot.starts_at, slot));
    let page = search.window.page(slots.collect());
    let items = page.items.iter().map(FreeSlot::view).collect();
    Ok(Answer::new(Page { items, next_cursor: page.next_cursor }))
}
