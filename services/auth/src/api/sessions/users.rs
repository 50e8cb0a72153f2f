//! `GET` and `DELETE /api/auth/users/{userId}/sessions`, `DELETE /api/auth/users/{userId}/sessions/{sessionId}`

use contracts::auth::{ListUserSessions, RevokeUserSession, RevokeUserSessions};
use contracts::id::UserId;
use http_kit::{Answer, Call};

use super::{end, end_all, page};
use crate::api::Api;
use crate::error::Error;
use crate::store::account::account_find;

/// Shows where a user is logged in.
pub async fn list(api: Api, call: Call<ListUserSessions>) -> Result<Answer<ListUserSessions>, Error> {
    let (user,) = &call.path;
    check(&api, user).await?;
    Ok(Answer::new(page(&api, user, &call.query, call.caller.session.as_deref()).await?))
}

/// Logs off one of a user's sessions.
pub async fn revoke(api: Api, call: Call<RevokeUserSession>) -> Result<Answer<RevokeUserSession>, Error> {
    let (user, session) = &call.path;
    Ok(Answer::new(end(&api, &call.caller, user, session).await?))
}

/// Logs a user off everywhere. They may log in again, unless they are disabled too.
pub async fn revoke_all(
    api: Api,
    call: Call<RevokeUserSessions>,
) -> Result<Answer<RevokeUserSessions>, Error> {
    let (user,) = &call.path;
    check(&api, user).await?;
    Ok(Answer::new(end_all(&api, &call.caller, user, None).await?))
}

async fn check(api: &Api, user: &UserId) -> Result<(), Error> {
    let found = account_find(&mut api.db.read().await?, &api.db, user).await?;
    found.map(drop).ok_or(Error::NotFound)
}
