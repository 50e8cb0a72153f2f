//! The `recovery_code` table: keyed hashes of codes that were not used yet.

use contracts::id::UserId;
use db::{Db, Tx, on, sql};

use crate::domain::recovery_code::RecoveryCode;

/// Keyed, and another for each account: whoever has the table alone can try no code against it.
fn hash(db: &Db, account: &UserId, code: &RecoveryCode) -> Result<Vec<u8>, db::Error> {
    db.vault().blind("recovery_code", &format!("{account} {}", code.as_str()))
}

/// Gives an account these codes and no others.
pub async fn recovery_codes_give(
    tx: &mut Tx,
    db: &Db,
    account: &UserId,
    codes: &[RecoveryCode],
) -> Result<(), db::Error> {
    recovery_codes_delete(tx, account).await?;
    for code in codes {
        let hash = hash(db, account, code)?;
        on!(tx, |conn| sqlx::query(sql!("insert into recovery_code (account_id, hash) values ($1, $2)"))
            .bind(account.as_str())
            .bind(&hash)
            .execute(conn)
            .await
            .map(drop))?;
    }
    Ok(())
}

/// Uses a code, if it is one of the account's that was not used; tells whether it was so. Of many at once, one is told so.
pub async fn recovery_code_spend(
    tx: &mut Tx,
    db: &Db,
    account: &UserId,
    code: &RecoveryCode,
) -> Result<bool, db::Error> {
    let hash = hash(db, account, code)?;
    let spent =
        on!(tx, |conn| sqlx::query(sql!("delete from recovery_code where account_id = $1 and hash = $2"))
            .bind(account.as_str())
            .bind(&hash)
            .execute(conn)
            .await
            .map(|done| done.rows_affected()))?;
    Ok(spent == 1)
}

/// How many were not used yet.
pub async fn recovery_codes_left(tx: &mut Tx, account: &UserId) -> Result<i64, db::Error> {
    Ok(on!(tx, |conn| sqlx::query_scalar(sql!("select count(*) from recovery_code where account_id = $1"))
        .bind(account.as_str())
        .fetch_one(conn)
        .await)?)
}

/// Takes them all away.
pub async fn recovery_codes_delete(tx: &mut Tx, account: &UserId) -> Result<(), db::Error> {
    on!(tx, |conn| sqlx::query(sql!("delete from recovery_code where account_id = $1"))
        .bind(account.as_str())
        .execute(conn)
        .await
        .map(drop))?;
    Ok(())
}
