//! A second factor: asked for at login, enrolled and removed by its owner, taken away by an administrator.

pub mod confirm;
pub mod offer;
pub mod own;
pub mod remove;
pub mod users;

use contracts::auth::{SecondFactor, SecondFactorRequest, SecondFactorStatus};
use contracts::field::BadField;
use contracts::id::UserId;
use contracts::problem::Faults;
use db::Tx;
use http_kit::Caller;

use super::{Api, bounded};
use crate::domain::policy;
use crate::domain::second_factor::{CODE_CHARS_MAX, Code};
use crate::domain::user::{PasswordHash, User};
use crate::error::Error;
use crate::guard::Admitted;
use crate::store::account::account_find;
use crate::store::recovery_code::{recovery_code_spend, recovery_codes_left};
use crate::store::second_factor::{
    second_factor_failed, second_factor_find, second_factor_recover, second_factor_since, second_factor_spend,
};

/// What a code, or that there was none, comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// There is no second factor.
    Unneeded,
    /// It was right, and is used up.
    Given,
    /// There was none.
    Missing,
    /// It was wrong, or used before.
    Wrong,
}

impl Proof {
    /// Whether one may go on.
    pub(super) fn is_good(self) -> bool {
        matches!(self, Self::Unneeded | Self::Given)
    }
}

/// Looks at the code of somebody whose password was right, and uses it up. What comes of the transaction comes of the code.
pub(super) async fn prove(
    tx: &mut Tx,
    api: &Api,
    account: &UserId,
    code: Option<&str>,
) -> Result<Proof, Error> {
    let Some(factor) = second_factor_find(tx, &api.db, account).await? else { return Ok(Proof::Unneeded) };
    let Some(code) = code else { return Ok(Proof::Missing) };
    let is_right = match Code::parse(code) {
        Some(Code::App(code)) => match factor.takes(code, tx.now()) {
            Some(step) => second_factor_spend(tx, account, step).await?,
            None => false,
        },
        Some(Code::Recovery(code)) => {
            let is_right = recovery_code_spend(tx, &api.db, account, &code).await?;
            if is_right {
                second_factor_recover(tx, account).await?;
            }
            is_right
        }
        None => false,
    };
    Ok(if is_right { Proof::Given } else { Proof::Wrong })
}

/// Counts what was not good: a wrong code like a wrong password, and at the account beside that.
pub(super) async fn count(
    api: &Api,
    admitted: &Admitted,
    account: &UserId,
    proof: Proof,
) -> Result<(), Error> {
    match proof {
        Proof::Unneeded | Proof::Given => Ok(()),
        Proof::Missing => api.guard.halfway(admitted).await,
        Proof::Wrong => {
            tracing::warn!(user = %account, "a password was right, and the code with it was not");
            db::retrying(&api.db, async |mut tx| {
                second_factor_failed(&mut tx, account).await?;
                Ok::<_, Error>(tx.commit_unaudited().await?)
            })
            .await
        }
    }
}

/// Somebody who is signed in and has shown their password. That was counted like a login: a token that was stolen must not help to guess it.
struct Known {
    id: UserId,
    seen: PasswordHash,
    admitted: Admitted,
}

impl Known {
    async fn by(
        api: &Api,
        caller: &Caller,
        address: Option<&str>,
        body: &SecondFactorRequest,
    ) -> Result<Self, Error> {
        let mut faults = Faults::new();
        bounded("currentPassword", &body.current_password, policy::CHARS_MAX, &mut faults);
        if let Some(code) = &body.code {
            bounded("code", code, CODE_CHARS_MAX, &mut faults);
        }
        faults.into_result()?;
        let id = owner(caller)?;
        let kept = account_find(&mut api.db.read().await?, &api.db, &id).await?.ok_or(Error::NotFound)?;
        let admitted = api.guard.admit(kept.account.user.username.as_str(), address).await?;
        let seen = kept.account.password;
        let is_right = api.hasher.verify(&body.current_password, Some(seen.clone())).await?;
        let admitted = admitted.filter(|_| is_right).ok_or_else(wrong_password)?;
        Ok(Self { id, seen, admitted })
    }

    /// Goes on, in the transaction of what the password and the code were shown for.
    async fn prove(&self, tx: &mut Tx, api: &Api, code: Option<&str>) -> Result<(User, i64, Proof), Error> {
        api.guard.settle(tx, &self.admitted).await?;
        let kept = account_find(tx, &api.db, &self.id).await?.ok_or(Error::NotFound)?;
        if kept.account.password != self.seen {
            return Err(wrong_password());
        }
        let proof = prove(tx, api, &self.id, code).await?;
        Ok((kept.account.user, kept.version, proof))
    }

    /// Says what is wrong with the code, if anything is.
    async fn judge(&self, api: &Api, proof: Proof) -> Result<(), Error> {
        count(api, &self.admitted, &self.id, proof).await?;
        match proof {
            Proof::Unneeded | Proof::Given => Ok(()),
            Proof::Missing => Err(Error::BadField("code", BadField::new("is required"))),
            Proof::Wrong => Err(wrong_code()),
        }
    }
}

fn wrong_password() -> Error {
    Error::BadField("currentPassword", BadField::new("is wrong"))
}

fn wrong_code() -> Error {
    Error::BadField("code", BadField::new("is wrong"))
}

/// A service has no second factor: its `service:…` is no user's id.
fn owner(caller: &Caller) -> Result<UserId, Error> {
    UserId::parse(&caller.user).map_err(|_| Error::NotFound)
}

/// How it is with a user's.
async fn view(api: &Api, account: &UserId) -> Result<SecondFactor, Error> {
    let mut tx = api.db.read().await?;
    let kept = account_find(&mut tx, &api.db, account).await?.ok_or(Error::NotFound)?;
    let enrolled_at = second_factor_since(&mut tx, account).await?;
    let left = recovery_codes_left(&mut tx, account).await?;
    Ok(SecondFactor {
        status: enrolled_at.map_or(SecondFactorStatus::None, |_| SecondFactorStatus::Active),
        required: api.second_factor.of(&kept.account.user),
        enrolled_at,
        recovery_codes_left: u32::try_from(left).unwrap_or_default(),
    })
}
