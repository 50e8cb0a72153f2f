//! `GET /api/bills`

use contracts::bills::ListBills;
use contracts::page::Page;
use http_kit::{Answer, Call, Reach};

use super::{Api, keeps_books};
use crate::domain::search::Search;
use crate::error::Error;
use crate::store::list::bill_search;

/// Lists bills. A patient's list holds their own.
pub async fn list(api: Api, call: Call<ListBills>) -> Result<Answer<ListBills>, Error> {
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
            bill_search(&mut tx, &api.db, &search, keeps_books(&call.caller)).await?
        }
        None => Vec::new(),
    };
    let page = window.page(rows);
    let items = page.items.iter().map(|kept| api.view(kept)).collect();
    Ok(Answer::new(Page { items, next_cursor: page.next_cursor }))
}
