//! `GET /api/patients`

use contracts::consents::DataClass;
use contracts::page::Page;
use contracts::patients::ListPatients;
use http_kit::{Answer, Call, Reach, Seeker, View};

use super::{Api, sees};
use crate::domain::search::Search;
use crate::error::Error;
use crate::store::patient::{Kept, patient_find, patient_search};

/// Lists patients, or finds them. A patient's list holds themselves, a clinician's whom they treat.
pub async fn list(api: Api, call: Call<ListPatients>) -> Result<Answer<ListPatients>, Error> {
    let search = Search::parse(&call.query)?;
    let mut tx = api.db.read().await?;
    let seeker = Seeker::of(&api.db, &call.caller, DataClass::Clinical)?;
    let rows = match call.caller.reach() {
        Reach::Everyone => patient_search(&mut tx, &api.db, &search, seeker.as_ref()).await?,
        Reach::Only(own) => {
            let kept = patient_find(&mut tx, &api.db, &own).await?;
            let found = kept.filter(|kept| search.finds(&kept.patient));
            found.into_iter().map(|kept| ((kept.created_at, kept.id.to_string()), Some(kept))).collect()
        }
        Reach::Nobody => Vec::new(),
    };
    let Page { items, next_cursor } = search.window.page(rows);
    let found: Vec<Kept> = items.into_iter().flatten().collect();
    let is_denied = |kept: &Kept| seeker.as_ref().is_some_and(|seeker| seeker.is_denied(&kept.denied));
    let sees = |kept: &Kept| if is_denied(kept) { View::Necessary } else { sees(&call.caller, &kept.id) };
    if let Some(seeker) = &seeker {
        let whole = found.iter().filter(|kept| sees(kept).is_whole());
        seeker.tell_passed(whole.map(|kept| &kept.denied));
    }
    let items = found.iter().map(|kept| kept.patient.view(&kept.id, sees(kept))).collect();
    Ok(Answer::new(Page { items, next_cursor }))
}
