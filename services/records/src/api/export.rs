//! What is held here of a patient, for the export of all of it.

use contracts::break_glass::BrokenGlass;
use contracts::page::Page;
use contracts::records::{MedicalRecord, RecordFilter};
use http_kit::export::{Kinds, Wanted};

use super::Api;
use crate::domain::break_glass;
use crate::domain::search::Search;
use crate::error::Error;
use crate::store::break_glass::break_glass_search;
use crate::store::record::{Whose, record_search};

/// The kinds.
pub fn kinds() -> Kinds<Api, Error> {
    Kinds::new().of("records", records).of("break-glass", emergencies)
}

async fn records(api: Api, wanted: Wanted) -> Result<Page<MedicalRecord>, Error> {
    let of_any_day = Search::parse(&RecordFilter::default())?;
    let search = Search { window: wanted.window()?, patient_id: Some(wanted.patient.clone()), ..of_any_day };
    let mut tx = api.db.read().await?;
    let page =
        search.window.page(record_search(&mut tx, &api.db, &search, Whose::Patient(&wanted.patient)).await?);
    let mut items = Vec::with_capacity(page.items.len());
    for kept in page.items.iter().flatten() {
        items.push(api.shown(&mut tx, kept).await?);
    }
    Ok(Page { items, next_cursor: page.next_cursor })
}

async fn emergencies(api: Api, wanted: Wanted) -> Result<Page<BrokenGlass>, Error> {
    let search =
        break_glass::Search { window: wanted.window()?, patient: Some(wanted.patient), status: None };
    let mut tx = api.db.read().await?;
    let page = search.window.page(break_glass_search(&mut tx, &api.db, &search).await?);
    let items = page.items.iter().flatten().map(break_glass::Kept::view).collect();
    Ok(Page { items, next_cursor: page.next_cursor })
}
