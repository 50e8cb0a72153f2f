//! The `provider_state` table: what is counted of a provider, and how far their appointments ahead have been looked at.

use chrono::{DateTime, Utc};
use contracts::id::ProviderId;
use db::{Tx, on, sql};
use sqlx::FromRow;

use crate::domain::search::Key;

/// A provider whose appointments ahead are to be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Who.
    pub provider: ProviderId,
    /// How often this service has heard that their schedule has changed.
    pub heard: i64,
    /// The last that was looked at.
    pub after: Option<Key>,
}

#[derive(FromRow)]
struct Row {
    provider_id: String,
    heard: i64,
    reviewed_at: Option<DateTime<Utc>>,
    reviewed_id: Option<String>,
}

impl From<Row> for Due {
    fn from(row: Row) -> Self {
        let Row { provider_id, heard, reviewed_at, reviewed_id } = row;
        Self { provider: ProviderId::trusted(provider_id), heard, after: reviewed_at.zip(reviewed_id) }
    }
}

/// Counts that something has changed in when a provider can be booked: in the transaction of whatever has, after the rows of the appointments, since
/// nobody takes hold of those while they hold this one.
pub async fn availability_changed(tx: &mut Tx, provider: &ProviderId) -> Result<(), db::Error> {
    Ok(on!(tx, |conn| sqlx::query(sql!(
        "insert into provider_state (provider_id, changes, heard, review_due) values ($1, 1, 0, $2) \
         on conflict (provider_id) do update set changes = provider_state.changes + 1"
    ))
    .bind(provider.as_str())
    .bind(false)
    .execute(conn)
    .await
    .map(drop))?)
}

/// Counts that a provider's schedule has changed: what is booked ahead is to be looked at, from the first on.
pub async fn schedule_heard(tx: &mut Tx, provider: &ProviderId) -> Result<(), db::Error> {
    Ok(on!(tx, |conn| sqlx::query(sql!(
        "insert into provider_state (provider_id, changes, heard, review_due) values ($1, 1, 1, $2) \
         on conflict (provider_id) do update set changes = provider_state.changes + 1, \
             heard = provider_state.heard + 1, review_due = $2, reviewed_at = null, reviewed_id = null"
    ))
    .bind(provider.as_str())
    .bind(true)
    .execute(conn)
    .await
    .map(drop))?)
}

/// How often the provider's schedule is known to have changed.
pub async fn heard(tx: &mut Tx, provider: &ProviderId) -> Result<i64, db::Error> {
    let heard: Option<i64> =
        on!(tx, |conn| sqlx::query_scalar(sql!("select heard from provider_state where provider_id = $1"))
            .bind(provider.as_str())
            .fetch_optional(conn)
            .await)?;
    Ok(heard.unwrap_or(0))
}

/// The number of the last change in when a provider can be booked.
pub async fn changes(tx: &mut Tx, provider: &ProviderId) -> Result<i64, db::Error> {
    let changes: Option<i64> = on!(tx, |conn| sqlx::query_scalar(sql!(
        "select changes from provider_state where provider_id = $1"
    ))
    .bind(provider.as_str())
    .fetch_optional(conn)
    .await)?;
    Ok(changes.unwrap_or(0))
}

/// Somebody whose appointments are to be looked at, if there is anybody: after this one, so that one whom nobody can look at holds up nobody else.
pub async fn due_after(tx: &mut Tx, after: &str) -> Result<Option<Due>, db::Error> {
    let row: Option<Row> = on!(tx, |conn| sqlx::query_as(sql!(
        "select provider_id, heard, reviewed_at, reviewed_id from provider_state \
         where review_due and provider_id > $1 order by provider_id limit 1"
    ))
    .bind(after)
    .fetch_optional(conn)
    .await)?;
    Ok(row.map(Due::from))
}

/// Notes how far a provider's appointments have been looked at; `None`: all of them.
pub async fn reviewed(tx: &mut Tx, due: &Due, last: Option<&Key>) -> Result<(), db::Error> {
    Ok(on!(tx, |conn| sqlx::query(sql!(
        "update provider_state set review_due = $2, reviewed_at = $3, reviewed_id = $4 where provider_id = $1"
    ))
    .bind(due.provider.as_str())
    .bind(last.is_some())
    .bind(last.map(|last| last.0))
    .bind(last.map(|last| last.1.as_str()))
    .execute(conn)
    .await
    .map(drop))?)
}
