//! Lets somebody in whom an identity provider has named: makes their account if there is none, makes their roles what the provider says, and
//! begins a session. One transaction, from which either all comes or nothing.

use std::collections::BTreeMap;

use contracts::auth::LoggedIn;
use contracts::id::UserId;
use contracts::trail;
use db::Tx;

use super::refused;
use crate::api::Api;
use crate::api::second_factor::{self, Proof};
use crate::domain::flow::{Flow, Proven};
use crate::domain::outside::{Granted, Identity};
use crate::domain::session::{Opening, Times};
use crate::domain::user::Account;
use crate::error::Error;
use crate::guard::{Admitted, AdmittedAddress};
use crate::password::nobodys;
use crate::store::account::{Kept, account_find, account_insert, account_signed_in, account_update};
use crate::store::outside_flow::outside_flow_take;
use crate::store::outside_identity::{
    outside_identity_delete, outside_identity_find, outside_identity_insert,
};
use crate::store::refresh_token::refresh_token_insert;
use crate::store::revocation::{Ended, revocation_insert};
use crate::store::role::{ROLES, role_find};
use crate::store::session::{session_insert, session_is_proven_outside, sessions_end};
use crate::token::{RefreshToken, To};

/// Names that are tried for a new account: its own, and a few with something behind it.
const NAMES_MAX: usize = 4;

/// Who comes.
pub(super) struct Visit<'a> {
    /// What the stack calls the provider.
    pub(super) provider: &'a str,
    /// Whom it has named.
    pub(super) identity: &'a Identity,
    /// A code of the account's own second factor.
    pub(super) code: Option<&'a str>,
    /// From where, and with what.
    pub(super) opening: &'a Opening,
}

/// What the visit was counted as.
#[derive(Clone, Copy)]
pub(super) enum Counted<'a> {
    /// Two attempts from an address: the login begun, and finished.
    Address(&'a AdmittedAddress),
    /// An attempt at an account.
    Account(&'a Admitted),
}

/// What comes of it.
pub(super) enum Entered {
    /// A session.
    LoggedIn(Box<LoggedIn>),
    /// The account has a second factor, and there was no code.
    CodeMissing(UserId),
    /// The code was none of it.
    CodeWrong(UserId),
}

enum Outcome {
    Entered(Entered, Vec<Ended>),
    Disabled,
    NoRole(Vec<Ended>),
    /// Somebody else went on with the flow.
    NoFlow,
}

/// Lets them in. `flow`: that is used up by it, and if it is not there any more nobody is.
pub(super) async fn enter(
    api: &Api,
    visit: &Visit<'_>,
    counted: Counted<'_>,
    flow: Option<&Flow>,
) -> Result<Entered, Error> {
    let outcome = db::retrying(&api.db, async |mut tx| {
        match counted {
            Counted::Address(address) => api.guard.settle_address(&mut tx, address, 2).await?,
            Counted::Account(admitted) => api.guard.settle(&mut tx, admitted).await?,
        }
        if let Some(flow) = flow
            && outside_flow_take::<Proven>(&mut tx, &api.db, flow, true).await?.is_none()
        {
            return Ok(Outcome::NoFlow);
        }
        attempt(api, tx, visit).await
    })
    .await?;
    match outcome {
        Outcome::Entered(entered, ended) => {
            api.announce(&ended);
            Ok(entered)
        }
        Outcome::NoRole(ended) => {
            api.announce(&ended);
            let _ = refused(visit.provider, "the identity provider gives no role here");
            Err(Error::NoRole)
        }
        Outcome::Disabled => Err(refused(visit.provider, "the account is disabled")),
        Outcome::NoFlow => Err(refused(visit.provider, "the flow was used meanwhile")),
    }
}

async fn attempt(api: &Api, mut tx: Tx, visit: &Visit<'_>) -> Result<Outcome, Error> {
    let granted = granted(&mut tx, visit).await?;
    let present = theirs(&mut tx, api, visit).await?;
    let (kept, ended) = match present {
        Some(kept) if !kept.account.user.is_active() => return Ok(Outcome::Disabled),
        Some(kept) => refresh(&mut tx, api, visit, kept, granted.clone()).await?,
        None if granted.is_nothing() => return Ok(Outcome::NoRole(Vec::new())),
        None => (make(&mut tx, api, visit, granted.clone()).await?, Vec::new()),
    };
    if granted.is_nothing() {
        revocation_insert(&mut tx, &ended).await?;
        trail::because(&format!("{}: {} has no role there any more", visit.provider, kept.id));
        tx.commit().await?;
        return Ok(Outcome::NoRole(ended));
    }
    begin(api, tx, visit, kept, ended).await
}

/// What the provider's word gives. Of roles that were made here, with what they may until the commit.
async fn granted(tx: &mut Tx, visit: &Visit<'_>) -> Result<Granted, Error> {
    let mut made = BTreeMap::new();
    let names = visit.identity.roles.iter().filter(|role| role.built_in().is_none());
    for (index, name) in names.enumerate() {
        if index == 0 {
            tx.lock(&[ROLES]).await?;
        }
        match role_find(tx, name).await? {
            Some(kept) => drop(made.insert(name.clone(), kept.permissions)),
            None => {
                tracing::warn!(provider = visit.provider, role = %name, "the table of roles names one that there is not");
            }
        }
    }
    Ok(Granted::new(&visit.identity.roles, made))
}

/// Their account. A tie to one that is gone, which a version that knew no ties has deleted, is gone too.
async fn theirs(tx: &mut Tx, api: &Api, visit: &Visit<'_>) -> Result<Option<Kept>, Error> {
    let Some(id) = outside_identity_find(tx, &api.db, visit.identity).await? else { return Ok(None) };
    let kept = account_find(tx, &api.db, &id).await?;
    if kept.is_none() {
        outside_identity_delete(tx, &id).await?;
    }
    Ok(kept)
}

/// Makes their roles what the provider says now. Tokens that say what is no longer so are good no more.
async fn refresh(
    tx: &mut Tx,
    api: &Api,
    visit: &Visit<'_>,
    kept: Kept,
    granted: Granted,
) -> Result<(Kept, Vec<Ended>), Error> {
    let user = granted.refresh(&kept.account.user);
    if user == kept.account.user {
        return Ok((kept, Vec::new()));
    }
    let outdates_tokens = kept.account.user.outdates_tokens(&user);
    api.tell_user(tx, (&kept.id, kept.version + 1), (&kept.account.user, Some(&user))).await?;
    let account = Account { user, ..kept.account };
    if !account_update(tx, &api.db, &kept.id, kept.version, &account).await? {
        return Err(Error::Db(db::Error::LostRace));
    }
    trail::because(&format!("{}: the roles of {} are others there", visit.provider, kept.id));
    let ended = if outdates_tokens { sessions_end(tx, &kept.id, None).await? } else { Vec::new() };
    Ok((Kept { version: kept.version + 1, account, ..kept }, ended))
}

/// Makes an account that is theirs: by issuer and subject, whatever else there is under a name or an address like theirs.
async fn make(tx: &mut Tx, api: &Api, visit: &Visit<'_>, granted: Granted) -> Result<Kept, Error> {
    let (id, random) = (UserId::generate(api.db.random()), api.db.random());
    for attempt in 0..NAMES_MAX {
        let Some(username) = visit.identity.username(visit.provider, random, attempt > 0) else { break };
        let account = Account { user: granted.clone().user(username), password: nobodys(random) };
        match account_insert(tx, &api.db, &id, &account).await {
            Err(Error::Taken) => continue,
            inserted => inserted?,
        }
        if !outside_identity_insert(tx, &api.db, visit.identity, &id, visit.provider).await? {
            // They come twice at once: the other one's account is theirs.
            return Err(Error::Db(db::Error::LostRace));
        }
        trail::because(&format!("{}: the account {id} is made for whoever that is there", visit.provider));
        return Ok(Kept { id, version: 1, created_at: tx.now(), account });
    }
    Err(Error::Taken)
}

async fn begin(
    api: &Api,
    mut tx: Tx,
    visit: &Visit<'_>,
    kept: Kept,
    ended: Vec<Ended>,
) -> Result<Outcome, Error> {
    let (session, refresh_token) = (api.db.random().id("ses"), RefreshToken::generate(api.db.random()));
    if !account_signed_in(&mut tx, &kept.id, kept.version).await? {
        return Err(Error::Db(db::Error::LostRace));
    }
    // With the account held: whoever enrols a second factor, or takes it away, holds it too.
    let proven_outside = visit.identity.second_factor;
    let proof = if proven_outside {
        Proof::Unneeded
    } else {
        second_factor::prove(&mut tx, api, &kept.id, visit.code).await?
    };
    if !proof.is_good() {
        tx.rollback().await?;
        let account = kept.id;
        let entered = match proof {
            Proof::Missing => Entered::CodeMissing(account),
            _ => Entered::CodeWrong(account),
        };
        return Ok(Outcome::Entered(entered, Vec::new()));
    }
    let user = &kept.account.user;
    let only_enrols = !proven_outside && api.only_enrols(&mut tx, &kept.id, user).await?;
    let times = Times::begin(tx.now(), &api.issuer.lifetimes.of(user));
    session_insert(&mut tx, &api.db, &session, &kept.id, &times, visit.opening).await?;
    if proven_outside {
        session_is_proven_outside(&mut tx, &session).await?;
    }
    refresh_token_insert(&mut tx, &refresh_token, &session).await?;
    revocation_insert(&mut tx, &ended).await?;
    trail::calls_themselves(user.username.as_str());
    trail::is_of(kept.id.as_str(), &session);
    tx.commit().await?;
    let to = To { id: &kept.id, user, session: &session, times: &times, only_enrols };
    let answer = Box::new(api.logged_in(&to, &refresh_token));
    Ok(Outcome::Entered(Entered::LoggedIn(answer), ended))
}
