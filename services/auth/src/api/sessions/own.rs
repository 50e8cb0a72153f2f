//! `GET /api/auth/sessions`, `DELETE /api/auth/sessions`, `DELETE /api/auth/sessions/{sessionId}`

use contracts::auth::{ListSessions, RevokeSession, RevokeSessions};
use contracts::id::UserId;
use http_kit::{Answer, Call, Caller};

use super::{end, end_all, page};
use crate::api::Api;
use crate::error::Error;

/// Shows where one is logged in.
pub async fn list(api: Api, call: Call<ListSessions>) -> Result<Answer<ListSessions>, Error> {
    let current = call.caller.session.as_deref();
    Ok(Answer::new(page(&api, &owner(&call.caller)?, &call.query, current).await?))
}

/// Logs off one of one's own sessions, the one that asks too.
pub async fn revoke(api: Api, call: Call<RevokeSession>) -> Result<Answer<RevokeSession>, Error> {
    let (session,) = &call.path;
    Ok(Answer::new(end(&api, &call.caller, &owner(&call.caller)?, session).await?))
}

/// Logs off everywhere, or everywhere else.
pub async fn revoke_all(api: Api, call: Call<RevokeSessions>) -> Result<Answer<RevokeSessions>, Error> {
    let keep = call.caller.session.as_deref().filter(|_| call.query.keep_current == Some(true));
    Ok(Answer::new(end_all(&api, &call.caller, &owner(&call.caller)?, keep).await?))
}

/// A service has no sessions: its `service:…` is no user's id.
fn owner(caller: &Caller) -> Result<UserId, Error> {
    UserId::parse(&caller.user).map_err(|_| Error::NotFound)
}
