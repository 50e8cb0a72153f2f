//! `POST /api/auth/introspect` (RFC 7662), for outside parties that were given a token and do not check signatures.

use contracts::auth::{IntrospectToken, Introspection};
use contracts::permission::Permissions;
use db::Tx;
use http_kit::token::Claims;
use http_kit::{Answer, Call};

use super::Api;
use crate::error::Error;
use crate::store::account::account_find;
use crate::store::refresh_token::refresh_token_find;
use crate::store::session::{Kept, session_find};
use crate::token::RefreshToken;

/// Says whether a token is good, by the session it belongs to as it is in the database, and whose it is. Of one that is not good, nothing:
/// neither why, nor whether it ever was (§2.2). The tokens of the stack's own parts are no business of anybody outside.
pub async fn introspect(api: Api, call: Call<IntrospectToken>) -> Result<Answer<IntrospectToken>, Error> {
    let token = &call.body.token;
    let mut tx = api.db.read().await?;
    let found = match api.signed_here(token).await? {
        Some(claims) => of_access_token(&mut tx, claims).await?,
        None => of_refresh_token(&api, &mut tx, token).await?,
    };
    Ok(Answer::new(found.unwrap_or_default()).no_store())
}

async fn of_access_token(tx: &mut Tx, claims: Claims) -> Result<Option<Introspection>, Error> {
    let Some(session) = &claims.sid else { return Ok(None) };
    let now = tx.now();
    let goes_on = session_find(tx, session).await?.is_some_and(|session| session.ended_at.is_none());
    let is_good = claims.exp > now.timestamp() && claims.iat <= now.timestamp() && goes_on;
    Ok(is_good.then(|| Introspection {
        active: true,
        scope: Some(claims.scope),
        username: claims.name,
        token_type: Some("Bearer".to_owned()),
        exp: Some(claims.exp),
        iat: Some(claims.iat),
        sub: Some(claims.sub),
        aud: Some(claims.aud),
        iss: Some(claims.iss),
        jti: Some(claims.jti),
        sid: claims.sid,
    }))
}

/// The latest of a session that goes on. An old one is not used up by asking: only its use gives a theft away.
async fn of_refresh_token(api: &Api, tx: &mut Tx, token: &str) -> Result<Option<Introspection>, Error> {
    let token = RefreshToken::presented(token);
    let Some(kept) = refresh_token_find(tx, &token).await? else { return Ok(None) };
    let Some(session) = session_find(tx, &kept.session_id).await? else { return Ok(None) };
    if kept.used_at.is_some() || session.ended_at.is_some() || !session.times.is_alive(tx.now()) {
        return Ok(None);
    }
    let Kept { id, account, times, .. } = session;
    let Some(user) = account_find(tx, &api.db, &account).await? else { return Ok(None) };
    let user = user.account.user;
    let only_enrols = api.only_enrols(tx, &account, &user).await?;
    let permissions = if only_enrols { Permissions::NONE } else { user.permissions() };
    Ok(Some(Introspection {
        active: true,
        scope: Some(permissions.to_scope()),
        username: Some(user.username.to_string()),
        exp: Some(times.idle_until.timestamp()),
        sub: Some(account.to_string()),
        iss: Some(api.issuer.name().to_owned()),
        sid: Some(id),
        ..Introspection::default()
    }))
}
