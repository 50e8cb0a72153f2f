//! `GET /api/patients`

use contracts::page::Page;
use contracts::patients::ListPatients;
use http_kit::{Answer, Call, Reach};

use super::{Api, sees};
use crate::domain::search::{Search, terms_of};
use crate::error::Error;
use crate::store::patient::{patient_find, patient_search};

/// Lists patients, or finds them. A patient's list holds themselves, a clinician's whom they treat.
pub async fn list(api: Api, call: Call<ListPatients>) -> Result<Answer<ListPatients>, Error> {
    let search = Search::parse(&call.query)?;
    let mut tx = api.db.read().await?;
    let carer = call.caller.carer();
    let rows = match call.caller.reach() {
        Reach::Everyone => patient_search(&mut tx, &api.db, &search, carer.as_ref()).await?,
        Reach::Only(own) => {
            let kept = patient_find(&mut tx, &api.db, &own).await?;
            let found = kept.filter(|kept| {
                let terms = terms_of(&kept.patient);
                search.terms.iter().all(|term| terms.contains(term))
            });
            found.into_iter().map(|kept| ((kept.created_at, kept.id.to_string()), kept)).collect()
        }
        Reach::Nobody => Vec::new(),
    };
    let page = search.window.page(rows);
    let items =
        page.items.iter().map(|kept| kept.patient.view(&kept.id, sees(&call.caller, &kept.id))).collect();
    Ok(Answer::new(Page { items, next_cursor: page.next_cursor }))
}
