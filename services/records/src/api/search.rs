//! `GET /api/records`

use contracts::consents::DataClass;
use contracts::page::Page;
use contracts::records::ListRecords;
use db::Tx;
use http_kit::{Answer, Call, Caller, Reach, Seeker};

use super::Api;
use crate::domain::search::{Key, Search};
use crate::error::Error;
use crate::store::record::{Kept, Whose, record_search};

/// Lists medical records. A patient's list holds their own, a clinician's those of whom they treat, and nobody's what a patient does not share with
/// them.
pub async fn list(api: Api, call: Call<ListRecords>) -> Result<Answer<ListRecords>, Error> {
    let search = Search::parse(&call.query)?;
    let window = search.window.clone();
    let mut tx = api.db.read().await?;
    let seeker = Seeker::of(&api.db, &call.caller, DataClass::Records)?;
    let page = window.page(found(&api, &mut tx, (&call.caller, seeker.as_ref()), search).await?);
    if let Some(seeker) = &seeker {
        seeker.tell_passed(page.items.iter().flatten().map(|kept| &kept.denied));
    }
    let mut items = Vec::with_capacity(page.items.len());
    for kept in page.items.iter().flatten() {
        items.push(api.shown(&mut tx, kept).await?);
    }
    Ok(Answer::new(Page { items, next_cursor: page.next_cursor }))
}

async fn found(
    api: &Api,
    tx: &mut Tx,
    (caller, seeker): (&Caller, Option<&Seeker>),
    search: Search,
) -> Result<Vec<(Key, Option<Kept>)>, Error> {
    let search = match (seeker, &search.patient_id) {
        (Some(seeker), None) => {
            return Ok(record_search(tx, &api.db, &search, Whose::Seen(seeker)).await?);
        }
        (Some(seeker), Some(patient)) => seeker.may_see(tx, patient).await?.then_some(search),
        (None, _) => match caller.reach() {
            Reach::Only(own) => search.only_of(own),
            Reach::Everyone | Reach::Nobody => None,
        },
    };
    match search.as_ref().and_then(|search| Some((search, search.patient_id.as_ref()?))) {
        Some((search, patient)) => Ok(record_search(tx, &api.db, search, Whose::Patient(patient)).await?),
        None => Ok(Vec::new()),
    }
}
