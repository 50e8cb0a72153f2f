//! What is held here of a patient, for the export of all of it.

use contracts::notifications::Notification as Shown;
use contracts::page::Page;
use contracts::preferences::NotificationPreferences;
use http_kit::export::{Kinds, Wanted};

use super::Api;
use crate::domain::notification::Notification;
use crate::domain::search::Search;
use crate::domain::visit::Person;
use crate::error::Error;
use crate::store::notification::notification_search;
use crate::store::preference::preference_find;

/// The kinds.
pub fn kinds() -> Kinds<Api, Error> {
    Kinds::new()
        .of("notifications", notifications)
        .of("preferences", preferences)
        .of("devices", super::devices::of_patient)
}

async fn notifications(api: Api, wanted: Wanted) -> Result<Page<Shown>, Error> {
    let window = wanted.window()?;
    let search = Search {
        channel: None,
        status: None,
        addressee: None,
        patient: Some(wanted.patient),
        appointment: None,
        kind: None,
        window,
    };
    let mut tx = api.db.read().await?;
    let page = search.window.page(notification_search(&mut tx, &api.db, &search, None).await?);
    let items = page.items.iter().flatten().map(Notification::view).collect();
    Ok(Page { items, next_cursor: page.next_cursor })
}

/// They are one, or none.
async fn preferences(api: Api, wanted: Wanted) -> Result<Page<NotificationPreferences>, Error> {
    let mut tx = api.db.read().await?;
    let kept = preference_find(&mut tx, &api.db, &Person::Patient(wanted.patient)).await?;
    Ok(Page { items: kept.iter().map(|(_, kept)| kept.view()).collect(), next_cursor: None })
}
