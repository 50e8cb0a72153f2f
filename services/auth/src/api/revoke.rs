//! `POST /api/auth/revoke` (RFC 7009), for clients that speak OAuth rather than our own logout.

use contracts::auth::{RevokeToken, SessionsRevoked};
use contracts::trail;
use http_kit::token::Claims;
use http_kit::{Answer, Call};

use super::{Api, logout};
use crate::error::Error;
use crate::store::refresh_token::refresh_token_find;
use crate::store::revocation::revocation_insert;
use crate::store::session::session_end;
use crate::token::RefreshToken;

/// Ends the session of a token, of whichever kind, with all its tokens (§2.1). That a token is not good, or never was, is no error (§2.2):
/// what was asked for is so already, and nobody learns which tokens there are.
pub async fn revoke(api: Api, call: Call<RevokeToken>) -> Result<Answer<RevokeToken>, Error> {
    let token = &call.body.token;
    match api.signed_here(token).await? {
        Some(Claims { sub, sid: Some(session), exp, .. }) => {
            trail::is_of(&sub, &session);
            logout::end(&api, &session, exp).await?;
        }
        // A service's token belongs to no session.
        Some(_) => {}
        None => end_of_refresh_token(&api, &RefreshToken::presented(token)).await?,
    }
    Ok(Answer::new(SessionsRevoked { status: "Revoked".to_owned() }).no_store())
}

/// An old refresh token will do: whoever has one had the session's.
async fn end_of_refresh_token(api: &Api, token: &RefreshToken) -> Result<(), Error> {
    let ended = db::retrying(&api.db, async |mut tx| {
        let Some(kept) = refresh_token_find(&mut tx, token).await? else { return Ok(None) };
        let ended = session_end(&mut tx, &kept.session_id).await?;
        revocation_insert(&mut tx, ended.as_slice()).await?;
        tx.commit().await?;
        Ok::<_, Error>(ended)
    })
    .await?;
    api.announce(ended.as_slice());
    Ok(())
}
