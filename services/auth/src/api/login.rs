//! `POST /api/auth/login`

use contracts::auth::{Login, LoginRequest};
use contracts::id::UserId;
use contracts::problem::{Faults, Problem};
use contracts::trail;
use db::Tx;
use http_kit::{Answer, Call};

use super::second_factor::{self, Proof};
use super::{Api, bounded};
use crate::domain::second_factor::CODE_CHARS_MAX;
use crate::domain::session::{Opening, Times};
use crate::domain::user::{Account, PasswordHash};
use crate::domain::username::{self, Username};
use crate::domain::{address, policy};
use crate::error::Error;
use crate::guard::Admitted;
use crate::store::account::{Kept, account_by_name, account_rehash, account_signed_in};
use crate::store::refresh_token::refresh_token_insert;
use crate::store::role::roles_of;
use crate::store::session::session_insert;
use crate::token::{RefreshToken, To};

/// A password that is right is looked at again if its hash changed meanwhile: somebody else logged in, and it was made anew; or another
/// password was set. More than so often it does not change.
const LOOKS_MAX: usize = 3;

/// Authenticates a user, and begins a session.
///
/// Whatever the reason to refuse, the way to it is the same: one try counted, one account looked for, one hash computed.
pub async fn login(api: Api, call: Call<Login>) -> Result<Answer<Login>, Error> {
    check(&call.body)?;
    let LoginRequest { username, password, code } = &call.body;
    trail::calls_themselves(username);
    let admitted = api.guard.admit(&username.to_lowercase(), call.client_address.as_deref()).await?;
    let name = Username::parse(username).ok();
    let address = call.client_address.as_deref().and_then(address::client);
    let opening = Opening::new(address, call.user_agent.as_deref());
    for _ in 0..LOOKS_MAX {
        let kept = match &name {
            Some(name) => account_by_name(&mut api.db.read().await?, &api.db, name).await?,
            None => None,
        };
        let hash = kept.filter(|_| admitted.is_some()).map(|kept| kept.account.password);
        let is_right = api.hasher.verify(password, hash.clone()).await?;
        let (Some(admitted), Some(name), Some(hash), true) = (&admitted, &name, hash, is_right) else {
            return Err(Error::InvalidCredentials);
        };
        // Whether there is time to make it anew just now or not: they are let in.
        let anew = if api.hasher.is_outdated(&hash) { api.hasher.hash(password).await.ok() } else { None };
        let hashes = Hashes { seen: hash, anew };
        match begin(&api, admitted, (name, code.as_deref()), &hashes, &opening).await? {
            Begun::Session(answer) => return Ok(answer),
            Begun::Outdated => {}
            Begun::Refused(account, proof) => {
                second_factor::count(&api, admitted, &account, proof).await?;
                return Err(match proof {
                    Proof::Missing => Error::SecondFactorRequired,
                    _ => Error::InvalidCredentials,
                });
            }
        }
    }
    Err(Error::InvalidCredentials)
}

/// What comes of a password that was right.
enum Begun {
    /// A session.
    Session(Answer<Login>),
    /// The hash that it was right for is not the present one any more.
    Outdated,
    /// The account has a second factor, and the code was none of it.
    Refused(UserId, Proof),
}

/// The hash that a password was right for, and the one to put in its place.
struct Hashes {
    seen: PasswordHash,
    anew: Option<PasswordHash>,
}

fn check(request: &LoginRequest) -> Result<(), Problem> {
    let mut faults = Faults::new();
    bounded("username", &request.username, username::CHARS_MAX, &mut faults);
    bounded("password", &request.password, policy::CHARS_MAX, &mut faults);
    if let Some(code) = &request.code {
        bounded("code", code, CODE_CHARS_MAX, &mut faults);
    }
    faults.into_result()
}

/// Begins a session for somebody whose password was right, if their code is too where one is needed.
async fn begin(
    api: &Api,
    admitted: &Admitted,
    (name, code): (&Username, Option<&str>),
    hashes: &Hashes,
    opening: &Opening,
) -> Result<Begun, Error> {
    let (session, refresh_token) = (api.db.random().id("ses"), RefreshToken::generate(api.db.random()));
    db::retrying(&api.db, async |mut tx| {
        let kept = account_by_name(&mut tx, &api.db, name).await?;
        let kept = kept.filter(|kept| kept.account.user.is_active()).ok_or(Error::InvalidCredentials)?;
        if kept.account.password != hashes.seen {
            return Ok(Begun::Outdated);
        }
        api.guard.settle(&mut tx, admitted).await?;
        sign_in(&mut tx, api, &kept, hashes).await?;
        // With the account held: whoever enrols a second factor, or takes it away, holds it too.
        let proof = second_factor::prove(&mut tx, api, &kept.id, code).await?;
        if !proof.is_good() {
            tx.rollback().await?;
            return Ok(Begun::Refused(kept.id, proof));
        }
        // Read again: whoever changes a role holds the account too.
        let mut kept = kept;
        kept.account.user.made = roles_of(&mut tx, &kept.id).await?;
        let user = &kept.account.user;
        let only_enrols = api.only_enrols(&mut tx, &kept.id, user).await?;
        let times = Times::begin(tx.now(), &api.issuer.lifetimes.of(user));
        session_insert(&mut tx, &api.db, &session, &kept.id, &times, opening).await?;
        refresh_token_insert(&mut tx, &refresh_token, &session).await?;
        trail::is_of(kept.id.as_str(), &session);
        tx.commit().await?;
        let to = To { id: &kept.id, user, session: &session, times: &times, only_enrols };
        Ok::<_, Error>(Begun::Session(Answer::new(api.logged_in(&to, &refresh_token)).no_store()))
    })
    .await
}

/// Notes the login at the account, and the password's new hash if there is one.
async fn sign_in(tx: &mut Tx, api: &Api, kept: &Kept, hashes: &Hashes) -> Result<(), Error> {
    let mut is_present = account_signed_in(tx, &kept.id, kept.version).await?;
    if let Some(anew) = &hashes.anew {
        let account = Account { password: anew.clone(), ..kept.account.clone() };
        is_present &= account_rehash(tx, &api.db, &kept.id, kept.version, &account).await?;
    }
    // It changed just now: look again.
    if is_present { Ok(()) } else { Err(Error::Db(db::Error::LostRace)) }
}
