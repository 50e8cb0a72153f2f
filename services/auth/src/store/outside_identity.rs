//! The `outside_identity` table: which account is whose at an identity provider.

use contracts::id::UserId;
use db::{Db, Tx, on, sql};

use crate::domain::outside::Identity;

/// Keyed: whoever has the table alone learns nobody's number at the provider. No address of an issuer has a blank in it.
fn index(db: &Db, identity: &Identity) -> Result<Vec<u8>, db::Error> {
    db.vault().blind("outside_identity", &format!("{} {}", identity.issuer, identity.subject))
}

/// The account that is theirs.
pub async fn outside_identity_find(
    tx: &mut Tx,
    db: &Db,
    identity: &Identity,
) -> Result<Option<UserId>, db::Error> {
    let index = index(db, identity)?;
    let id: Option<String> = on!(tx, |conn| sqlx::query_scalar(sql!(
        "select account_id from outside_identity where identity_index = $1"
    ))
    .bind(&index)
    .fetch_optional(conn)
    .await)?;
    Ok(id.map(UserId::trusted))
}

/// Makes an account theirs, unless another is; tells whether it was so. Of many at once, one is told so.
pub async fn outside_identity_insert(
    tx: &mut Tx,
    db: &Db,
    identity: &Identity,
    account: &UserId,
    provider: &str,
) -> Result<bool, db::Error> {
    let (now, index) = (tx.now(), index(db, identity)?);
    let inserted = on!(tx, |conn| {
        sqlx::query(sql!(
        "insert into outside_identity (identity_index, account_id, provider, tied_at) values ($1, $2, $3, $4) \
         on conflict (identity_index) do nothing"
    ))
    .bind(&index)
    .bind(account.as_str())
    .bind(provider)
    .bind(now)
    .execute(conn)
    .await
    .map(|done| done.rows_affected())
    })?;
    Ok(inserted == 1)
}

/// The provider at which an account's owner logs in, if it is no password's.
pub async fn outside_identity_provider(tx: &mut Tx, account: &UserId) -> Result<Option<String>, db::Error> {
    Ok(on!(tx, |conn| sqlx::query_scalar(sql!(
        "select provider from outside_identity where account_id = $1"
    ))
    .bind(account.as_str())
    .fetch_optional(conn)
    .await)?)
}

/// An account is nobody's at a provider any more.
pub async fn outside_identity_delete(tx: &mut Tx, account: &UserId) -> Result<(), db::Error> {
    on!(tx, |conn| sqlx::query(sql!("delete from outside_identity where account_id = $1"))
        .bind(account.as_str())
        .execute(conn)
        .await
        .map(drop))?;
    Ok(())
}
