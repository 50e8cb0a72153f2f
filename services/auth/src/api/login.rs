//! `POST /api/auth/login`

use contracts::auth::{Login, LoginRequest};
use contracts::problem::{Faults, Problem};
use contracts::trail;
use http_kit::{Answer, Call};

use super::{Api, bounded};
use crate::domain::policy;
use crate::domain::session::Times;
use crate::domain::user::PasswordHash;
use crate::domain::username::{self, Username};
use crate::error::Error;
use crate::guard::Admitted;
use crate::store::account::{Kept, account_by_name, account_signed_in};
use crate::store::refresh_token::refresh_token_insert;
use crate::store::session::session_insert;
use crate::token::{RefreshToken, To};

/// Authenticates a user, and begins a session.
///
/// Whatever the reason to refuse, the way to it is the same: one try counted, one account looked for, one hash computed.
pub async fn login(api: Api, call: Call<Login>) -> Result<Answer<Login>, Error> {
    check(&call.body)?;
    let LoginRequest { username, password } = &call.body;
    trail::calls_themselves(username);
    let admitted = api.guard.admit(&username.to_lowercase(), call.client_address.as_deref()).await?;
    let name = Username::parse(username).ok();
    let kept = match &name {
        Some(name) => account_by_name(&mut api.db.read().await?, &api.db, name).await?,
        None => None,
    };
    let hash = kept.filter(|_| admitted.is_some()).map(|kept| kept.account.password);
    let is_right = api.hasher.verify(password, hash.clone()).await?;
    match (admitted, name, hash) {
        (Some(admitted), Some(name), Some(hash)) if is_right => begin(&api, &admitted, &name, &hash).await,
        _ => Err(Error::InvalidCredentials),
    }
}

fn check(request: &LoginRequest) -> Result<(), Problem> {
    let mut faults = Faults::new();
    bounded("username", &request.username, username::CHARS_MAX, &mut faults);
    bounded("password", &request.password, policy::CHARS_MAX, &mut faults);
    faults.into_result()
}

/// Begins a session for somebody whose password was right, if it still is.
async fn begin(
    api: &Api,
    admitted: &Admitted,
    name: &Username,
    hash: &PasswordHash,
) -> Result<Answer<Login>, Error> {
    let (session, refresh_token) = (api.db.random().id("ses"), RefreshToken::generate(api.db.random()));
    let (kept, times) = db::retrying(&api.db, async |mut tx| {
        let kept = account_by_name(&mut tx, &api.db, name).await?;
        let is_same = |kept: &Kept| kept.account.password == *hash && kept.account.user.is_active();
        let kept = kept.filter(is_same).ok_or(Error::InvalidCredentials)?;
        api.guard.settle(&mut tx, admitted).await?;
        // It changed just now: look again.
        if !account_signed_in(&mut tx, &kept.id, kept.version).await? {
            return Err(Error::Db(db::Error::LostRace));
        }
        let times = Times::begin(tx.now(), &api.issuer.lifetimes);
        session_insert(&mut tx, &session, &kept.id, &times).await?;
        refresh_token_insert(&mut tx, &refresh_token, &session).await?;
        trail::is_of(kept.id.as_str(), &session);
        tx.commit().await?;
        Ok::<_, Error>((kept, times))
    })
    .await?;
    let to = To { id: &kept.id, user: &kept.account.user, session: &session, times: &times };
    Ok(Answer::new(api.logged_in(&to, &refresh_token)).no_store())
}
