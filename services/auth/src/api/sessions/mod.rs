//! Sessions: one's own, and those of users.

pub mod own;
pub mod users;

use contracts::auth::{Session, SessionFilter, SessionsRevoked};
use contracts::id::{SessionId, UserId};
use contracts::page::Page;
use contracts::problem::{Faults, Problem};
use http_kit::page::{Newest, Window};

use crate::api::Api;
use crate::error::Error;
use crate::store::revocation::revocation_insert;
use crate::store::session::{Alive, session_end_of, session_list, sessions_end};

/// A page of somebody's sessions; `current` is the one that asks.
async fn page(
    api: &Api,
    account: &UserId,
    filter: &SessionFilter,
    current: Option<&str>,
) -> Result<Page<Session>, Error> {
    let window = parse(filter)?;
    let alive = session_list(&mut api.db.read().await?, &api.db, account, &window).await?;
    let Page { items, next_cursor } = window.page(alive);
    Ok(Page { items: items.into_iter().map(|alive| view(alive, current)).collect(), next_cursor })
}

fn parse(filter: &SessionFilter) -> Result<Window<Newest>, Problem> {
    let mut faults = Faults::new();
    let window = Window::parse(filter.limit, filter.cursor.as_deref(), &mut faults);
    faults.finish_query(window)
}

fn view(alive: Alive, current: Option<&str>) -> Session {
    let Alive { id, created_at, refreshed_at, times, opening } = alive;
    Session {
        is_current: current == Some(id.as_str()),
        session_id: id,
        created_at,
        refreshed_at,
        idle_until: times.idle_until,
        expires_at: times.expires_at,
        address: opening.address,
        program: opening.program,
    }
}

/// Ends one of somebody's sessions. Of others', and of what has ended, nobody is told that it is there.
async fn end(api: &Api, account: &UserId, session: &SessionId) -> Result<SessionsRevoked, Error> {
    let ended = db::retrying(&api.db, async |mut tx| {
        let ended = session_end_of(&mut tx, account, session).await?.ok_or(Error::NoSession)?;
        revocation_insert(&mut tx, std::slice::from_ref(&ended)).await?;
        tx.commit().await?;
        Ok::<_, Error>(ended)
    })
    .await?;
    api.announce(&[ended]);
    Ok(revoked())
}

/// Ends somebody's sessions, but for the one to keep if one is named.
async fn end_all(api: &Api, account: &UserId, keep: Option<&str>) -> Result<SessionsRevoked, Error> {
    let ended = db::retrying(&api.db, async |mut tx| {
        let ended = sessions_end(&mut tx, account, keep).await?;
        revocation_insert(&mut tx, &ended).await?;
        tx.commit().await?;
        Ok::<_, Error>(ended)
    })
    .await?;
    api.announce(&ended);
    Ok(revoked())
}

fn revoked() -> SessionsRevoked {
    SessionsRevoked { status: "Revoked".to_owned() }
}
