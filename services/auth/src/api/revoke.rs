//! `POST /api/auth/revoke` (RFC 7009), for clients that speak OAuth rather than our own logout.

use contracts::auth::{RevokeToken, SessionsRevoked};
use contracts::trail;
use http_kit::token::Claims;
use http_kit::{Answer, Call};

use super::{Api, logout};
use crate::error::Error;
use crate::store::refresh_token::refresh_token_find;
use crate::token::RefreshToken;

/// Until when an access token is good that there is none of.
const NO_ACCESS_TOKEN: i64 = 0;

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
        // An old refresh token will do: whoever has one had the session's.
        None => {
            let kept = refresh_token_find(&mut api.db.read().await?, &RefreshToken::presented(token)).await?;
            if let Some(kept) = kept {
                logout::end(&api, &kept.session_id, NO_ACCESS_TOKEN).await?;
            }
        }
    }
    Ok(Answer::new(SessionsRevoked { status: "Revoked".to_owned() }).no_store())
}
