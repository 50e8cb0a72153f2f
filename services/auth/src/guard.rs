//! [`Guard`]: lets attempts at a password through, or not, before anything is evaluated.
//!
//! Each attempt takes a try from two budgets, the client address's and the account's, and that is committed before the password is
//! looked at: fifty guesses made at once are let through no more than ten made one after another. A name that nobody has is counted
//! like any other.
//!
//! A stranger who keeps an account locked must not keep its owner out: an address from which the account was signed in to lately is
//! *familiar*, and has a budget of its own with that account.

use std::sync::Arc;

use chrono::TimeDelta;
use db::{Db, Tx};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::address::network;
use crate::domain::budget::{ACCOUNT_TRIES, ADDRESS_TRIES, Budget};
use crate::error::Error;
use crate::store::attempt::{Kept, attempt_clear, attempt_find, attempt_put};

/// An address stays familiar for so long after a login.
const FAMILIAR: TimeDelta = TimeDelta::days(30);
/// Attempts at one account that one process evaluates at once: far below the account's tries, so that many who know the password and
/// come at once are let in, one after another.
const AT_ONCE: usize = 4;
/// Accounts share turns by their key's first byte.
const TURNS: usize = 64;

/// Counts attempts.
#[derive(Clone, Debug)]
pub struct Guard {
    db: Db,
    turns: Arc<[Arc<Semaphore>; TURNS]>,
}

/// An attempt that may be evaluated.
#[derive(Debug)]
pub struct Admitted {
    keys: Keys,
    is_familiar: bool,
    _turn: OwnedSemaphorePermit,
}

/// What an attempt is counted under: keyed hashes.
#[derive(Clone, Debug)]
struct Keys {
    account: Vec<u8>,
    /// The client's address, where it is known…
    address: Option<Vec<u8>>,
    /// …and that with the account.
    pair: Option<Vec<u8>>,
}

impl Guard {
    /// Counts in this database.
    pub fn new(db: &Db) -> Self {
        Self { db: db.clone(), turns: Arc::new(std::array::from_fn(|_| Arc::new(Semaphore::new(AT_ONCE)))) }
    }

    /// Takes a try for somebody who says to be `name`. `None` if the account is locked, which nobody must be told;
    /// [`Error::TooManyAttempts`] if the address is.
    pub async fn admit(&self, name: &str, forwarded_for: Option<&str>) -> Result<Option<Admitted>, Error> {
        let keys = self.keys(name, forwarded_for.and_then(network))?;
        let turn = Arc::clone(&self.turns[usize::from(keys.account[0]) % TURNS]);
        let turn = turn.acquire_owned().await.map_err(|_| Error::Busy)?;
        let outcome = db::retrying(&self.db, async |mut tx| {
            lock(&mut tx, &keys).await?;
            let outcome = take(&mut tx, &keys).await?;
            // What comes of the attempt is written in the audit when it is known.
            tx.commit_unaudited().await?;
            Ok::<_, Error>(outcome)
        })
        .await?;
        match outcome {
            Outcome::Admitted { is_familiar } => Ok(Some(Admitted { keys, is_familiar, _turn: turn })),
            Outcome::AccountLocked => Ok(None),
            Outcome::AddressLocked { seconds } => Err(Error::TooManyAttempts { seconds }),
        }
    }

    /// The password was right, and a code if one is needed: forgets the failures before it, in the transaction of what it was right for.
    pub async fn settle(&self, tx: &mut Tx, admitted: &Admitted) -> Result<(), db::Error> {
        let (keys, now) = (&admitted.keys, tx.now());
        lock(tx, keys).await?;
        if !admitted.is_familiar {
            attempt_clear(tx, &keys.account).await?;
        }
        if let Some(pair) = &keys.pair {
            let fresh = Kept { budget: Budget::fresh(now), familiar_until: Some(now + FAMILIAR) };
            attempt_put(tx, pair, &fresh).await?;
        }
        give_back_to_address(tx, keys).await
    }

    /// The password was right, and a code is still to come. The address has its try back, as after every right password: a whole clinic may
    /// stand behind it, whose logins take two steps each. The account has not: whoever knows a password guesses codes no more often than
    /// others guess passwords, and to leave the code out brings them no new tries.
    pub async fn halfway(&self, admitted: &Admitted) -> Result<(), Error> {
        db::retrying(&self.db, async |mut tx| {
            lock(&mut tx, &admitted.keys).await?;
            give_back_to_address(&mut tx, &admitted.keys).await?;
            Ok::<_, Error>(tx.commit_unaudited().await?)
        })
        .await
    }

    /// An administrator set a new password: the guesses at the old one are forgotten.
    pub async fn forgive(&self, tx: &mut Tx, name: &str) -> Result<(), db::Error> {
        let keys = self.keys(name, None)?;
        lock(tx, &keys).await?;
        attempt_clear(tx, &keys.account).await
    }

    fn keys(&self, name: &str, address: Option<String>) -> Result<Keys, db::Error> {
        let blind = |field, value: &str| self.db.vault().blind(field, value);
        Ok(Keys {
            account: blind("attempt.account", name)?,
            address: address.as_deref().map(|address| blind("attempt.address", address)).transpose()?,
            pair: address.map(|address| blind("attempt.pair", &format!("{address} {name}"))).transpose()?,
        })
    }
}

/// Only this try: others from there were somebody's guesses.
async fn give_back_to_address(tx: &mut Tx, keys: &Keys) -> Result<(), db::Error> {
    let (Some(address), now) = (&keys.address, tx.now()) else { return Ok(()) };
    let kept = attempt_find(tx, address).await?;
    let budget = kept.budget.give_back(now, ADDRESS_TRIES);
    attempt_put(tx, address, &Kept { budget, ..kept }).await
}

enum Outcome {
    Admitted { is_familiar: bool },
    AccountLocked,
    AddressLocked { seconds: u32 },
}

async fn take(tx: &mut Tx, keys: &Keys) -> Result<Outcome, db::Error> {
    let now = tx.now();
    if let Some(address) = &keys.address {
        let kept = attempt_find(tx, address).await?;
        match kept.budget.take(now, ADDRESS_TRIES) {
            Ok(budget) => attempt_put(tx, address, &Kept { budget, ..kept }).await?,
            Err(locked) => {
                let seconds = u32::try_from((locked.until - now).num_seconds() + 1).unwrap_or(1);
                return Ok(Outcome::AddressLocked { seconds });
            }
        }
    }
    if let Some(pair) = &keys.pair {
        let kept = attempt_find(tx, pair).await?;
        if kept.familiar_until.is_some_and(|until| until > now) {
            return take_one(tx, pair, kept, true).await;
        }
    }
    let kept = attempt_find(tx, &keys.account).await?;
    take_one(tx, &keys.account, kept, false).await
}

async fn take_one(tx: &mut Tx, key: &[u8], kept: Kept, is_familiar: bool) -> Result<Outcome, db::Error> {
    match kept.budget.take(tx.now(), ACCOUNT_TRIES) {
        Ok(budget) => {
            attempt_put(tx, key, &Kept { budget, ..kept }).await?;
            Ok(Outcome::Admitted { is_familiar })
        }
        Err(_) => Ok(Outcome::AccountLocked),
    }
}

async fn lock(tx: &mut Tx, keys: &Keys) -> Result<(), db::Error> {
    let names = [Some(&keys.account), keys.address.as_ref(), keys.pair.as_ref()];
    let names: Vec<String> = names
        .into_iter()
        .flatten()
        .map(|key| format!("attempt:{}", data_encoding::HEXLOWER.encode(key)))
        .collect();
    tx.lock(&names.iter().map(String::as_str).collect::<Vec<_>>()).await
}
