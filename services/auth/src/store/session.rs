//! The `session` table.

use chrono::{DateTime, Utc};
use contracts::id::UserId;
use db::{Tx, on, sql};
use sqlx::FromRow;

use super::revocation::Ended;
use crate::domain::session::Times;

/// A session as kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The id, `sid` in its tokens.
    pub id: String,
    /// Whose it is.
    pub account: UserId,
    /// Its times.
    pub times: Times,
    /// When it was ended before its time.
    pub ended_at: Option<DateTime<Utc>>,
}

#[derive(FromRow)]
struct Row {
    id: String,
    account_id: String,
    token_expires_at: DateTime<Utc>,
    idle_until: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    ended_at: Option<DateTime<Utc>>,
}

impl From<Row> for Kept {
    fn from(row: Row) -> Self {
        let times = Times {
            token_expires_at: row.token_expires_at,
            idle_until: row.idle_until,
            expires_at: row.expires_at,
        };
        Self { id: row.id, account: UserId::trusted(row.account_id), times, ended_at: row.ended_at }
    }
}

/// Begins a session.
pub async fn session_insert(tx: &mut Tx, id: &str, account: &UserId, times: &Times) -> Result<(), db::Error> {
    let now = tx.now();
    on!(tx, |conn| sqlx::query(sql!(
        "insert into session (id, account_id, created_at, token_expires_at, idle_until, expires_at) \
         values ($1, $2, $3, $4, $5, $6)"
    ))
    .bind(id)
    .bind(account.as_str())
    .bind(now)
    .bind(times.token_expires_at)
    .bind(times.idle_until)
    .bind(times.expires_at)
    .execute(conn)
    .await
    .map(drop))?;
    Ok(())
}

/// The session, ended or not, if it is still remembered.
pub async fn session_find(tx: &mut Tx, id: &str) -> Result<Option<Kept>, db::Error> {
    let row: Option<Row> = on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select id, account_id, token_expires_at, idle_until, expires_at, ended_at from session where id = $1"
    ))
    .bind(id)
    .fetch_optional(conn)
    .await
    })?;
    Ok(row.map(Kept::from))
}

/// Prolongs a session, if it has not ended meanwhile; tells whether it did. Holds the row until the commit: whoever ends the session
/// meanwhile sees the token that is being issued.
pub async fn session_prolong(tx: &mut Tx, id: &str, times: &Times) -> Result<bool, db::Error> {
    let updated = on!(tx, |conn| sqlx::query(sql!(
        "update session set token_expires_at = $2, idle_until = $3 where id = $1 and ended_at is null"
    ))
    .bind(id)
    .bind(times.token_expires_at)
    .bind(times.idle_until)
    .execute(conn)
    .await
    .map(|done| done.rows_affected()))?;
    Ok(updated == 1)
}

/// Ends a session; `None` if it had ended before.
pub async fn session_end(tx: &mut Tx, id: &str) -> Result<Option<Ended>, db::Error> {
    let now = tx.now();
    let row: Option<(String, DateTime<Utc>)> = on!(tx, |conn| {
        sqlx::query_as(sql!(
        "update session set ended_at = $2 where id = $1 and ended_at is null returning id, token_expires_at"
    ))
    .bind(id)
    .bind(now)
    .fetch_optional(conn)
    .await
    })?;
    Ok(row.map(Ended::from))
}

/// Ends an account's sessions, but for the one to keep if one is named. Told are those whose tokens may still be good.
pub async fn sessions_end(
    tx: &mut Tx,
    account: &UserId,
    keep: Option<&str>,
) -> Result<Vec<Ended>, db::Error> {
    let now = tx.now();
    let rows: Vec<(String, DateTime<Utc>)> = on!(tx, |conn| sqlx::query_as(sql!(
        "update session set ended_at = $3 where account_id = $1 and id <> $2 and ended_at is null \
         returning id, token_expires_at"
    ))
    .bind(account.as_str())
    .bind(keep.unwrap_or_default())
    .bind(now)
    .fetch_all(conn)
    .await)?;
    Ok(rows.into_iter().map(Ended::from).filter(|ended| ended.tokens_expire_at > now).collect())
}

/// Takes away sessions that can neither be refreshed nor have a good token, and their refresh tokens with them.
pub async fn session_purge(tx: &mut Tx) -> Result<(), db::Error> {
    let now = tx.now();
    on!(tx, |conn| sqlx::query(sql!(
        "delete from session where idle_until <= $1 and token_expires_at <= $1"
    ))
    .bind(now)
    .execute(conn)
    .await
    .map(drop))?;
    Ok(())
}
