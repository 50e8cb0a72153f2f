//! The `attempt` table: what is left of each budget.

use chrono::{DateTime, TimeDelta, Utc};
use db::{Tx, on, sql};
use sqlx::FromRow;

use crate::domain::budget::Budget;

/// A budget as kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The budget.
    pub budget: Budget,
    /// Until then this address is known to belong to the account.
    pub familiar_until: Option<DateTime<Utc>>,
}

#[derive(FromRow)]
struct Row {
    tries: i64,
    since: DateTime<Utc>,
    locks: i64,
    locked_until: Option<DateTime<Utc>>,
    familiar_until: Option<DateTime<Utc>>,
}

impl From<Row> for Kept {
    fn from(row: Row) -> Self {
        let budget = Budget {
            tries: u32::try_from(row.tries).unwrap_or(u32::MAX),
            since: row.since,
            locks: u32::try_from(row.locks).unwrap_or(u32::MAX),
            locked_until: row.locked_until,
        };
        Self { budget, familiar_until: row.familiar_until }
    }
}

/// What is kept under this key; a fresh budget if nothing is.
pub async fn attempt_find(tx: &mut Tx, key: &[u8]) -> Result<Kept, db::Error> {
    let row: Option<Row> = on!(tx, |conn| sqlx::query_as(sql!(
        "select tries, since, locks, locked_until, familiar_until from attempt where key = $1"
    ))
    .bind(key)
    .fetch_optional(conn)
    .await)?;
    Ok(row.map_or_else(|| Kept { budget: Budget::fresh(tx.now()), familiar_until: None }, Kept::from))
}

/// Keeps it.
pub async fn attempt_put(tx: &mut Tx, key: &[u8], kept: &Kept) -> Result<(), db::Error> {
    let Kept { budget, familiar_until } = *kept;
    let expires_at = budget.expires_at().max(familiar_until.unwrap_or(budget.since));
    on!(tx, |conn| sqlx::query(sql!(
        "insert into attempt (key, tries, since, locks, locked_until, familiar_until, expires_at) \
         values ($1, $2, $3, $4, $5, $6, $7) on conflict (key) do update set tries = excluded.tries, \
         since = excluded.since, locks = excluded.locks, locked_until = excluded.locked_until, \
         familiar_until = excluded.familiar_until, expires_at = excluded.expires_at"
    ))
    .bind(key)
    .bind(i64::from(budget.tries))
    .bind(budget.since)
    .bind(i64::from(budget.locks))
    .bind(budget.locked_until)
    .bind(familiar_until)
    .bind(expires_at)
    .execute(conn)
    .await
    .map(drop))?;
    Ok(())
}

/// Forgets what was tried under this key.
pub async fn attempt_clear(tx: &mut Tx, key: &[u8]) -> Result<(), db::Error> {
    on!(tx, |conn| sqlx::query(sql!("delete from attempt where key = $1"))
        .bind(key)
        .execute(conn)
        .await
        .map(drop))?;
    Ok(())
}

/// Takes away what is as good as fresh.
pub async fn attempt_purge(tx: &mut Tx) -> Result<(), db::Error> {
    // Machines' clocks differ a little.
    let before = tx.now() - TimeDelta::minutes(1);
    on!(tx, |conn| sqlx::query(sql!("delete from attempt where expires_at <= $1"))
        .bind(before)
        .execute(conn)
        .await
        .map(drop))?;
    Ok(())
}
