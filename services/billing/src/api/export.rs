//! What is held here of a patient, for the export of all of it.

use contracts::bills::Bill;
use contracts::page::Page;
use http_kit::export::{Kinds, Wanted};

use super::Api;
use crate::domain::search::Search;
use crate::error::Error;
use crate::store::list::{Whose, bill_search};

/// The kinds.
pub fn kinds() -> Kinds<Api, Error> {
    Kinds::new().of("bills", bills)
}

async fn bills(api: Api, wanted: Wanted) -> Result<Page<Bill>, Error> {
    let search = Search { window: wanted.window()?, patient_id: Some(wanted.patient.clone()), status: None };
    let mut tx = api.db.read().await?;
    let page = search
        .window
        .page(bill_search(&mut tx, &api.db, &search, Whose::Patient(&wanted.patient), true).await?);
    let items = page.items.iter().flatten().map(|kept| api.view(kept)).collect();
    Ok(Page { items, next_cursor: page.next_cursor })
}
