//! `GET /api/records`

use contracts::page::Page;
use contracts::records::ListRecords;
use db::Tx;
use http_kit::{Answer, Call, Caller, Reach, access};

use super::Api;
use crate::domain::search::{Key, Search};
use crate::error::Error;
use crate::store::record::{Kept, record_search};

/// Lists medical records. A patient's list holds their own, a clinician's those of whom they treat.
pub async fn list(api: Api, call: Call<ListRecords>) -> Result<Answer<ListRecords>, Error> {
    let search = Search::parse(&call.query)?;
    let window = search.window.clone();
    let mut tx = api.db.read().await?;
    let page = window.page(found(&api, &mut tx, &call.caller, search).await?);
    let items = page.items.iter().flatten().map(|kept| kept.record.view(&kept.id)).collect();
    Ok(Answer::new(Page { items, next_cursor: page.next_cursor }))
}

async fn found(
    api: &Api,
    tx: &mut Tx,
    caller: &Caller,
    search: Search,
) -> Result<Vec<(Key, Option<Kept>)>, Error> {
    let carer = caller.carer();
    let search = match (&carer, caller.reach()) {
        (Some(carer), _) => match &search.patient_id {
            Some(patient) => access::treats(tx, carer, patient).await?.then_some(search),
            None => Some(search),
        },
        (None, Reach::Everyone) => Some(search),
        (None, Reach::Only(own)) => search.only_of(own),
        (None, Reach::Nobody) => None,
    };
    match search {
        Some(search) => Ok(record_search(tx, &api.db, &search, carer.as_ref()).await?),
        None => Ok(Vec::new()),
    }
}
