//! The inbox: an event that comes twice has its effect once.

use chrono::TimeDelta;

use crate::{Error, Tx, on, sql};

/// Longer than any sender tries: an outbox gives up after `outbox::KEEP_DAYS` and a day.
const KEEP: TimeDelta = TimeDelta::days(45);

/// Marks the event as taken in; `true` the first time. In the same transaction as its effect: both stay or neither.
pub async fn inbox_accept(tx: &mut Tx, event_id: &str) -> Result<bool, Error> {
    let now = tx.now();
    let rows = on!(tx, |conn| sqlx::query(sql!(
        "insert into inbox (event_id, received_at) values ($1, $2) on conflict (event_id) do nothing"
    ))
    .bind(event_id)
    .bind(now)
    .execute(conn)
    .await
    .map(|done| done.rows_affected()))?;
    Ok(rows == 1)
}

pub(crate) async fn inbox_purge(tx: &mut Tx) -> Result<u64, Error> {
    let before = tx.now() - KEEP;
    Ok(on!(tx, |conn| sqlx::query(sql!("delete from inbox where received_at <= $1"))
        .bind(before)
        .execute(conn)
        .await
        .map(|done| done.rows_affected()))?)
}
