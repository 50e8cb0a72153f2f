//! `GET /api/bills`

use contracts::bills::ListBills;
use contracts::consents::DataClass;
use contracts::page::Page;
use db::Tx;
use http_kit::page::Newest;
use http_kit::{Answer, Call, Caller, Reach, Seeker};

use super::{Api, keeps_books};
use crate::domain::search::Search;
use crate::error::Error;
use crate::store::bill::Kept;
use crate::store::list::{Whose, bill_search};

/// Lists bills. A patient's list holds their own, a clinician's those of whom they treat, and nobody's what a patient does not share with them.
pub async fn list(api: Api, call: Call<ListBills>) -> Result<Answer<ListBills>, Error> {
    let search = Search::parse(&call.query)?;
    let window = search.window.clone();
    let seeker = Seeker::of(&api.db, &call.caller, DataClass::Bills)?;
    let mut tx = api.db.read().await?;
    let rows = found(&api, &mut tx, (&call.caller, seeker.as_ref()), search).await?;
    let Page { items, next_cursor } = window.page(rows);
    let bills: Vec<Kept> = items.into_iter().flatten().collect();
    if let Some(seeker) = &seeker {
        seeker.tell_passed(bills.iter().map(|kept| &kept.denied));
    }
    let items = bills.iter().map(|kept| api.view(kept)).collect();
    Ok(Answer::new(Page { items, next_cursor }))
}

async fn found(
    api: &Api,
    tx: &mut Tx,
    (caller, seeker): (&Caller, Option<&Seeker>),
    search: Search,
) -> Result<Vec<(Newest, Option<Kept>)>, Error> {
    let books = keeps_books(caller);
    let search = match (seeker, &search.patient_id) {
        (Some(seeker), None) => {
            return Ok(bill_search(tx, &api.db, &search, Whose::Seen(seeker), books).await?);
        }
        (Some(seeker), Some(patient)) => seeker.may_see(tx, patient).await?.then_some(search),
        (None, _) => match caller.reach() {
            Reach::Only(own) => search.only_of(own),
            Reach::Everyone | Reach::Nobody => None,
        },
    };
    match search.as_ref().and_then(|search| Some((search, search.patient_id.as_ref()?))) {
        Some((search, patient)) => {
            Ok(bill_search(tx, &api.db, search, Whose::Patient(patient), books).await?)
        }
        None => Ok(Vec::new()),
    }
}
