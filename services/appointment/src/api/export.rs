//! What is held here of a patient, for the export of all of it.

use contracts::appointments::{Appointment, AppointmentFilter};
use contracts::page::Page;
use http_kit::View;
use http_kit::export::{Kinds, Wanted};

use super::Api;
use crate::domain::search::Search;
use crate::error::Error;
use crate::store::among::Want;
use crate::store::change::changes_of_patient;
use crate::store::erase::Change;
use crate::store::search::appointment_search;

/// The kinds.
pub fn kinds() -> Kinds<Api, Error> {
    Kinds::new()
        .of("appointments", appointments)
        .of("history", history)
        .of("feeds", super::feeds::of_patient)
        .of("referrals", super::referrals::read::of_patient)
        .of("holds", super::holds::of_patient)
        .of("series", super::series::of_patient)
        .of("waitlist", super::waitlist::of_patient)
}

async fn appointments(api: Api, wanted: Wanted) -> Result<Page<Appointment>, Error> {
    let of_any_time = Search::parse(&AppointmentFilter::default(), api.zone)?;
    let search =
        Search { window: wanted.window()?, patient: Some(wanted.patient), want: Want::Whole, ..of_any_time };
    let mut tx = api.db.read().await?;
    let page = search.window.page(appointment_search(&mut tx, &api.db, &search, None).await?);
    let items = page.items.iter().map(|kept| kept.appointment.view(&kept.id, View::Whole)).collect();
    Ok(Page { items, next_cursor: page.next_cursor })
}

async fn history(api: Api, wanted: Wanted) -> Result<Page<Change>, Error> {
    let window = wanted.window()?;
    let mut tx = api.db.read().await?;
    let page = window.page(changes_of_patient(&mut tx, &api.db, &wanted.patient, &window).await?);
    let items = page.items.into_iter().map(|(appointment_id, change)| Change { appointment_id, change });
    Ok(Page { items: items.collect(), next_cursor: page.next_cursor })
}
