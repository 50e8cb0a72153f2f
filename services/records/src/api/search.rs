//! `GET /api/records`

use contracts::page::Page;
use contracts::records::ListRecords;
use http_kit::{Answer, Call, Reach};

use super::Api;
use crate::domain::search::Search;
use crate::error::Error;
use crate::store::record::record_search;

/// Lists medical records. A patient's list holds their own.
pub async fn list(api: Api, call: Call<ListRecords>) -> Result<Answer<ListRecords>, Error> {
    let search = Search::parse(&call.query)?;
    let window = search.window.clone();
    let search = match call.caller.reach() {
        Reach::Everyone => Some(search),
        Reach::Only(own) => search.only_of(own),
        Reach::Nobody => None,
    };
    let rows = match search {
        Some(search) => {
            let mut tx = api.db.read().await?;
            record_search(&mut tx, &api.db, &search).await?
        }
        None => Vec::new(),
    };
    let page = window.page(rows);
    let items = page.items.iter().flatten().map(|kept| kept.record.view(&kept.id)).collect();
    Ok(Answer::new(Page { items, next_cursor: page.next_cursor }))
}
