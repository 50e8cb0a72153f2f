//! `GET /api/providers`

use contracts::page::Page;
use contracts::providers::ListProviders;
use http_kit::{Answer, Call};

use super::Api;
use crate::domain::search::Search;
use crate::error::Error;
use crate::store::provider::provider_search;

/// Lists providers, or finds them.
pub async fn list(api: Api, call: Call<ListProviders>) -> Result<Answer<ListProviders>, Error> {
    let search = Search::parse(&call.query)?;
    let mut tx = api.db.read().await?;
    let page = search.window.page(provider_search(&mut tx, &api.db, &search).await?);
    let items = page.items.iter().map(|kept| kept.provider.view(&kept.id)).collect();
    Ok(Answer::new(Page { items, next_cursor: page.next_cursor }))
}
