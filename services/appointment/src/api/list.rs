//! `GET /api/appointments`

use contracts::appointments::ListAppointments;
use contracts::consents::DataClass;
use contracts::page::Page;
use http_kit::{Answer, Call, Reach, Seeker};

use super::{Api, sees};
use crate::domain::search::Search;
use crate::error::Error;
use crate::store::appointment::Kept;
use crate::store::search::appointment_search;

/// Lists appointments by time. A patient's list holds their own, a clinician's those with them and of whom they treat, and nobody's but theirs what a
/// patient does not share.
pub async fn list(api: Api, call: Call<ListAppointments>) -> Result<Answer<ListAppointments>, Error> {
    let mut search = Search::parse(&call.query, api.zone)?;
    let seeker = Seeker::of(&api.db, &call.caller, DataClass::Appointments)?;
    let mut tx = api.db.read().await?;
    let shows = match (call.caller.reach(), &seeker, &search.patient) {
        // Whoever sees whom they treat is bound by the search itself.
        (Reach::Everyone, Some(seeker), Some(patient)) if !seeker.is_carer => {
            seeker.may_see(&mut tx, patient).await?
        }
        (Reach::Everyone, ..) => true,
        (Reach::Only(own), ..) => search.patient.replace(own.clone()).is_none_or(|asked| asked == own),
        (Reach::Nobody, ..) => false,
    };
    let mut rows = Vec::new();
    if shows {
        rows = appointment_search(&mut tx, &api.db, &search, seeker.as_ref()).await?;
    }
    let page = search.window.page(rows);
    if let Some(seeker) = &seeker {
        seeker.tell_passed(page.items.iter().map(|kept| &kept.denied));
    }
    let shown = |Kept { id, appointment, .. }: &Kept| appointment.view(id, sees(&call.caller, appointment));
    let items = page.items.iter().map(shown).collect();
    Ok(Answer::new(Page { items, next_cursor: page.next_cursor }))
}
