//! `GET /api/appointments`

use contracts::appointments::ListAppointments;
use contracts::page::Page;
use http_kit::{Answer, Call, Reach};

use super::{Api, sees};
use crate::domain::search::Search;
use crate::error::Error;
use crate::store::appointment::Kept;
use crate::store::search::appointment_search;

/// Lists appointments by time. A patient's list holds their own, a clinician's those with them and of whom they treat.
pub async fn list(api: Api, call: Call<ListAppointments>) -> Result<Answer<ListAppointments>, Error> {
    let mut search = Search::parse(&call.query, api.zone)?;
    // Whoever sees whom they treat is bound by the search itself.
    let carer = call.caller.carer();
    let reaches = match call.caller.reach() {
        Reach::Everyone => true,
        Reach::Only(own) => search.patient.replace(own.clone()).is_none_or(|asked| asked == own),
        Reach::Nobody => false,
    };
    let mut rows = Vec::new();
    if reaches {
        let mut tx = api.db.read().await?;
        rows = appointment_search(&mut tx, &api.db, &search, carer.as_ref()).await?;
    }
    let page = search.window.page(rows);
    let shown = |Kept { id, appointment, .. }: &Kept| appointment.view(id, sees(&call.caller, appointment));
    let items = page.items.iter().map(shown).collect();
    Ok(Answer::new(Page { items, next_cursor: page.next_cursor }))
}
