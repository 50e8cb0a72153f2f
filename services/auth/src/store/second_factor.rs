//! The `second_factor` table.

use chrono::{DateTime, Utc};
use contracts::id::UserId;
use contracts::target::TargetKind;
use contracts::trail;
use db::{Db, Place, Subject, Tx, on, sql};
use zeroize::Zeroizing;

use super::recovery_code::recovery_codes_delete;
use crate::domain::second_factor::SecondFactor;
use crate::domain::totp::Totp;

/// A secret that may be confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The secret.
    pub totp: Totp,
    /// Until then.
    pub until: DateTime<Utc>,
    /// By the session that it was offered to: whoever else has a token of the user has not seen the secret.
    pub session: Option<String>,
    /// Wrong codes so far.
    pub wrong: u8,
}

impl Offer {
    /// What is sealed: how many codes were wrong, how long the secret is, the secret, the session.
    fn bytes(&self) -> Zeroizing<Vec<u8>> {
        let (secret, session) = (self.totp.bytes(), self.session.as_deref().unwrap_or_default());
        let length = u8::try_from(secret.len()).unwrap_or_default();
        let mut bytes = Zeroizing::new(Vec::with_capacity(2 + secret.len() + session.len()));
        bytes.extend_from_slice(&[self.wrong, length]);
        bytes.extend_from_slice(secret);
        bytes.extend_from_slice(session.as_bytes());
        bytes
    }

    fn of(bytes: &[u8], until: DateTime<Utc>) -> Option<Self> {
        let [wrong, length, rest @ ..] = bytes else { return None };
        let (secret, session) = rest.split_at_checked(usize::from(*length))?;
        let session = std::str::from_utf8(session).ok()?;
        let session = (!session.is_empty()).then(|| session.to_owned());
        Some(Self { totp: Totp::kept(secret.to_vec()), until, session, wrong: *wrong })
    }
}

fn place<'a>(column: &'static str, account: &'a UserId) -> Place<'a> {
    Place { table: "second_factor", column, row: account.as_str() }
}

async fn seal(db: &Db, column: &'static str, account: &UserId, bytes: &[u8]) -> Result<Vec<u8>, db::Error> {
    db.vault().seal(&Subject::Service, place(column, account), bytes).await
}

/// An account's second factor.
pub async fn second_factor_find(
    tx: &mut Tx,
    db: &Db,
    account: &UserId,
) -> Result<Option<SecondFactor>, db::Error> {
    let row: Option<(Vec<u8>, i64, i64)> = on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select secret, last_step, failures from second_factor where account_id = $1 and secret is not null"
    ))
    .bind(account.as_str())
    .fetch_optional(conn)
    .await
    })?;
    let Some((secret, last_step, failures)) = row else { return Ok(None) };
    let totp = Totp::kept(db.vault().open(&Subject::Service, place("secret", account), &secret).await?);
    Ok(Some(SecondFactor { totp, last_step, failures }))
}

/// Since when an account has a second factor, if it has one.
pub async fn second_factor_since(tx: &mut Tx, account: &UserId) -> Result<Option<DateTime<Utc>>, db::Error> {
    Ok(on!(tx, |conn| sqlx::query_scalar(sql!(
        "select enrolled_at from second_factor where account_id = $1 and enrolled_at is not null"
    ))
    .bind(account.as_str())
    .fetch_optional(conn)
    .await)?)
}

/// Offers a secret, in the place of one that was offered before; or the same one, of which another code was wrong.
pub async fn second_factor_offer(
    tx: &mut Tx,
    db: &Db,
    account: &UserId,
    offer: &Offer,
) -> Result<(), db::Error> {
    let sealed = seal(db, "offer", account, &offer.bytes()).await?;
    on!(tx, |conn| sqlx::query(sql!(
        "insert into second_factor (account_id, last_step, failures, offer, offered_until) \
         values ($1, 0, 0, $2, $3) on conflict (account_id) do update set offer = excluded.offer, \
         offered_until = excluded.offered_until"
    ))
    .bind(account.as_str())
    .bind(&sealed)
    .bind(offer.until)
    .execute(conn)
    .await
    .map(drop))?;
    Ok(())
}

/// What was offered last, unless it was confirmed.
pub async fn second_factor_offered(
    tx: &mut Tx,
    db: &Db,
    account: &UserId,
) -> Result<Option<Offer>, db::Error> {
    let row: Option<(Vec<u8>, DateTime<Utc>)> = on!(tx, |conn| sqlx::query_as(sql!(
        "select offer, offered_until from second_factor where account_id = $1 and offer is not null"
    ))
    .bind(account.as_str())
    .fetch_optional(conn)
    .await)?;
    let Some((sealed, until)) = row else { return Ok(None) };
    let opened = db.vault().open(&Subject::Service, place("offer", account), &sealed).await?;
    Ok(Offer::of(&opened, until))
}

/// Makes what was offered the account's second factor. `step`: whose code has shown that it arrived.
pub async fn second_factor_enrol(
    tx: &mut Tx,
    db: &Db,
    account: &UserId,
    totp: &Totp,
    step: i64,
) -> Result<(), db::Error> {
    trail::touches(TargetKind::User, account.as_str());
    let (now, secret) = (tx.now(), seal(db, "secret", account, totp.bytes()).await?);
    on!(tx, |conn| sqlx::query(sql!(
        "update second_factor set secret = $2, enrolled_at = $3, last_step = $4, failures = 0, offer = null, \
         offered_until = null where account_id = $1"
    ))
    .bind(account.as_str())
    .bind(&secret)
    .bind(now)
    .bind(step)
    .execute(conn)
    .await
    .map(drop))?;
    Ok(())
}

/// Uses the code of a step, if neither it nor a later one was used; tells whether it was so. Of many at once, one is told so.
pub async fn second_factor_spend(tx: &mut Tx, account: &UserId, step: i64) -> Result<bool, db::Error> {
    let spent = on!(tx, |conn| sqlx::query(sql!(
        "update second_factor set last_step = $2, failures = 0 where account_id = $1 and last_step < $2 \
         and secret is not null"
    ))
    .bind(account.as_str())
    .bind(step)
    .execute(conn)
    .await
    .map(|done| done.rows_affected()))?;
    Ok(spent == 1)
}

/// A recovery code was used: whoever has it may use the app again, too.
pub async fn second_factor_recover(tx: &mut Tx, account: &UserId) -> Result<(), db::Error> {
    on!(tx, |conn| sqlx::query(sql!("update second_factor set failures = 0 where account_id = $1"))
        .bind(account.as_str())
        .execute(conn)
        .await
        .map(drop))?;
    Ok(())
}

/// Takes back what was offered.
pub async fn second_factor_withdraw(tx: &mut Tx, account: &UserId) -> Result<(), db::Error> {
    on!(tx, |conn| sqlx::query(sql!(
        "update second_factor set offer = null, offered_until = null where account_id = $1"
    ))
    .bind(account.as_str())
    .execute(conn)
    .await
    .map(drop))?;
    Ok(())
}

/// Counts a wrong code.
pub async fn second_factor_failed(tx: &mut Tx, account: &UserId) -> Result<(), db::Error> {
    on!(tx, |conn| sqlx::query(sql!(
        "update second_factor set failures = failures + 1 where account_id = $1"
    ))
    .bind(account.as_str())
    .execute(conn)
    .await
    .map(drop))?;
    Ok(())
}

/// Takes a second factor away, with what was offered and the recovery codes; tells whether there was one.
pub async fn second_factor_delete(tx: &mut Tx, account: &UserId) -> Result<bool, db::Error> {
    trail::touches(TargetKind::User, account.as_str());
    recovery_codes_delete(tx, account).await?;
    let since: Option<Option<DateTime<Utc>>> = on!(tx, |conn| sqlx::query_scalar(sql!(
        "delete from second_factor where account_id = $1 returning enrolled_at"
    ))
    .bind(account.as_str())
    .fetch_optional(conn)
    .await)?;
    Ok(since.flatten().is_some())
}

/// Takes away what was offered and not confirmed in time.
pub async fn second_factor_purge(tx: &mut Tx) -> Result<(), db::Error> {
    let now = tx.now();
    on!(tx, |conn| sqlx::query(sql!(
        "delete from second_factor where offered_until <= $1 and secret is null"
    ))
    .bind(now)
    .execute(conn)
    .await
    .map(drop))?;
    on!(tx, |conn| sqlx::query(sql!(
        "update second_factor set offer = null, offered_until = null where offered_until <= $1"
    ))
    .bind(now)
    .execute(conn)
    .await
    .map(drop))?;
    Ok(())
}
