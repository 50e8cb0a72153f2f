//! `POST /api/auth/logout`

use chrono::DateTime;
use contracts::auth::{LoggedOut, Logout};
use contracts::trail;
use http_kit::token::Claims;
use http_kit::{Answer, Call};

use super::Api;
use crate::error::Error;
use crate::store::revocation::{Ended, revocation_insert};
use crate::store::session::{session_end, session_find};

/// Ends the session of an access token. The token in the body is the credential, expired or not: what counts is that we signed it.
pub async fn logout(api: Api, call: Call<Logout>) -> Result<Answer<Logout>, Error> {
    let claims = api.signed_here(&call.body.token).await?;
    // A service's token belongs to no session.
    let Some(Claims { sub, sid: Some(session), exp, .. }) = claims else { return Err(Error::BadToken) };
    trail::is_of(&sub, &session);
    end(&api, &session, exp).await?;
    Ok(Answer::new(LoggedOut { status: "Logged out".to_owned() }))
}

/// Ends the session that a token of ours, good until `exp`, names.
pub(super) async fn end(api: &Api, session: &str, exp: i64) -> Result<(), Error> {
    let ended = db::retrying(&api.db, async |mut tx| {
        let ended = match session_find(&mut tx, session).await? {
            Some(kept) => {
                // Whoever has a token of it, of whichever kind, has shown to be them.
                trail::is_of(kept.account.as_str(), session);
                session_end(&mut tx, session).await?
            }
            // Signed here and not known here: the database is older than the token. The token must not be good for all that.
            None => DateTime::from_timestamp(exp, 0)
                .filter(|expires_at| *expires_at > tx.now())
                .map(|tokens_expire_at| Ended { session: session.to_owned(), tokens_expire_at }),
        };
        revocation_insert(&mut tx, ended.as_slice()).await?;
        tx.commit().await?;
        Ok::<_, Error>(ended)
    })
    .await?;
    api.announce(ended.as_slice());
    Ok(())
}
