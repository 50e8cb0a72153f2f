//! `POST /api/auth/refresh`

use contracts::auth::{LoggedIn, Refresh};
use contracts::problem::Faults;
use contracts::trail;
use db::Tx;
use http_kit::{Answer, Call};

use super::{Api, bounded};
use crate::domain::session::Presented;
use crate::error::Error;
use crate::store::account::{self, account_find};
use crate::store::refresh_token::{Kept, refresh_token_exchange, refresh_token_find};
use crate::store::revocation::{Ended, revocation_insert};
use crate::store::session::{self, session_end, session_find, session_hold, session_prolong};
use crate::token::{RefreshToken, To};

const TOKEN_CHARS_MAX: usize = 512;

/// What came of it. The end of a session that a reused token gave away is committed too, although the answer is a refusal.
enum Outcome {
    Refreshed(LoggedIn),
    Refused(Option<Ended>),
}

/// Exchanges a refresh token.
pub async fn refresh(api: Api, call: Call<Refresh>) -> Result<Answer<Refresh>, Error> {
    let mut faults = Faults::new();
    bounded("refreshToken", &call.body.refresh_token, TOKEN_CHARS_MAX, &mut faults);
    faults.into_result()?;
    let token = RefreshToken::presented(&call.body.refresh_token);
    match db::retrying(&api.db, async |tx| present(&api, tx, &token).await).await? {
        Outcome::Refreshed(tokens) => Ok(Answer::new(tokens).no_store()),
        Outcome::Refused(ended) => {
            api.announce(ended.as_slice());
            Err(Error::BadToken)
        }
    }
}

async fn present(api: &Api, mut tx: Tx, token: &RefreshToken) -> Result<Outcome, Error> {
    let refused = Ok(Outcome::Refused(None));
    let Some(kept) = refresh_token_find(&mut tx, token).await? else { return refused };
    let Some(session) = session_find(&mut tx, &kept.session_id).await? else { return refused };
    trail::is_of(session.account.as_str(), &session.id);
    if session.ended_at.is_some() || !session.times.is_alive(tx.now()) {
        return refused;
    }
    let presented = Presented::judge(kept.used_at, kept.successor_waits(), tx.now());
    if presented == Presented::Reused {
        let ended = session_end(&mut tx, &session.id).await?;
        revocation_insert(&mut tx, ended.as_slice()).await?;
        tx.commit().await?;
        tracing::warn!(session = session.id, "a refresh token was used a second time: its session is ended");
        return Ok(Outcome::Refused(ended));
    }
    prolong(api, tx, token, &kept, session).await
}

/// Goes on with a session. Its row is held first, and its user read after that: whoever changes the user ends the session, and so
/// either sees the token that is issued here, or is seen.
async fn prolong(
    api: &Api,
    mut tx: Tx,
    token: &RefreshToken,
    kept: &Kept,
    session: session::Kept,
) -> Result<Outcome, Error> {
    if !session_hold(&mut tx, &session.id).await? {
        return Ok(Outcome::Refused(None));
    }
    let Some(account::Kept { id, account, .. }) = account_find(&mut tx, &api.db, &session.account).await?
    else {
        return Ok(Outcome::Refused(None));
    };
    let times = session.times.refresh(tx.now(), &api.issuer.lifetimes.of(&account.user));
    session_prolong(&mut tx, &session.id, &times).await?;
    let successor = if let Some(successor) = kept.successor(&api.db, token).await? {
        successor
    } else {
        let successor = RefreshToken::generate(api.db.random());
        // Somebody else presented it at the same time: they get what that one got.
        if !refresh_token_exchange(&mut tx, &api.db, token, &session.id, &successor).await? {
            return Err(Error::Db(db::Error::LostRace));
        }
        successor
    };
    let only_enrols = api.only_enrols(&mut tx, &id, &account.user).await?;
    tx.commit().await?;
    let to = To { id: &id, user: &account.user, session: &session.id, times: &times, only_enrols };
    Ok(Outcome::Refreshed(api.logged_in(&to, &successor)))
}
