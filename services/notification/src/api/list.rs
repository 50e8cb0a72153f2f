//! `GET /api/notifications`

use contracts::notifications::ListNotifications;
use contracts::page::Page;
use http_kit::{Answer, Call, Reach, Seeker};

use super::Api;
use crate::domain::search::Search;
use crate::error::Error;
use crate::store::notification::notification_search;

/// Lists the capture box, newest first. Whoever is nothing but a patient sees what concerns them, a clinician what concerns whom they treat.
pub async fn list(api: Api, call: Call<ListNotifications>) -> Result<Answer<ListNotifications>, Error> {
    let mut search = Search::parse(&call.query)?;
    let nothing = Page { items: Vec::new(), next_cursor: None };
    match (call.caller.reach(), &search.patient) {
        (Reach::Everyone, _) => {}
        (Reach::Only(own), None) => search.patient = Some(own),
        (Reach::Only(own), Some(patient)) if own == *patient => {}
        (Reach::Only(_) | Reach::Nobody, _) => return Ok(Answer::new(nothing)),
    }
    let mut tx = api.db.read().await?;
    let carer = Seeker::carer(&call.caller);
    if let (Some(carer), Some(patient)) = (&carer, &search.patient)
        && !carer.may_see(&mut tx, patient).await?
    {
        return Ok(Answer::new(nothing));
    }
    let page = search.window.page(notification_search(&mut tx, &api.db, &search, carer.as_ref()).await?);
    let items = page.items.iter().flatten().map(crate::domain::notification::Notification::view).collect();
    Ok(Answer::new(Page { items, next_cursor: page.next_cursor }))
}
