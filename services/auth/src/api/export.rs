//! What is held here of a patient, for the export of all of it: whom they sign in as, and where they are signed in.

use contracts::auth::{Session, User};
use contracts::id::UserId;
use contracts::page::Page;
use http_kit::export::{Kinds, Wanted};
use http_kit::page::Window;

use super::{Api, sessions};
use crate::error::Error;
use crate::store::account::{account_find, accounts_of_patient};
use crate::store::session::sessions_of_patient;

/// The kinds.
pub fn kinds() -> Kinds<Api, Error> {
    Kinds::new().of("users", users).of("sessions", open_sessions)
}

async fn users(api: Api, wanted: Wanted) -> Result<Page<User>, Error> {
    let window: Window<UserId> = wanted.window()?;
    let mut tx = api.db.read().await?;
    let mut ids = accounts_of_patient(&mut tx, &wanted.patient).await?;
    ids.retain(|id| window.after.as_ref().is_none_or(|after| id > after));
    let mut rows = Vec::new();
    for id in ids.into_iter().take(window.limit as usize + 1) {
        if let Some(kept) = account_find(&mut tx, &api.db, &id).await? {
            rows.push((id, kept.account.user.view(&kept.id)));
        }
    }
    Ok(window.page(rows))
}

async fn open_sessions(api: Api, wanted: Wanted) -> Result<Page<Session>, Error> {
    let window = wanted.window()?;
    let mut tx = api.db.read().await?;
    let page = window.page(sessions_of_patient(&mut tx, &api.db, &wanted.patient, &window).await?);
    let items = page.items.into_iter().map(|alive| sessions::view(alive, None)).collect();
    Ok(Page { items, next_cursor: page.next_cursor })
}
