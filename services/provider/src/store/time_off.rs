//! The `time_off` table, and what counts the changes of a provider's schedule.

use chrono::{DateTime, Utc};
use contracts::id::{ProviderId, TimeOffId};
use contracts::schedules::TIME_OFF_MAX;
use db::{Db, Place, Subject, Tx, on, sql};
use sqlx::FromRow;

use crate::domain::time_off::TimeOff;
use crate::error::Error;

/// Time off as kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Which.
    pub id: TimeOffId,
    /// The data.
    pub time_off: TimeOff,
}

#[derive(FromRow)]
struct Row {
    id: String,
    body: Vec<u8>,
}

fn place(id: &str) -> Place<'_> {
    Place { table: "time_off", column: "body", row: id }
}

/// Counts a change of a provider's schedule, and holds their row until the transaction ends; tells the new count. [`Error::NotFound`] if there
/// is no such provider.
pub async fn schedule_changed(tx: &mut Tx, provider: &ProviderId) -> Result<i64, Error> {
    let version: Option<i64> = on!(tx, |conn| {
        sqlx::query_scalar(sql!(
        "update provider set schedule_version = schedule_version + 1 where id = $1 and deleted_at is null \
         returning schedule_version"
    ))
    .bind(provider.as_str())
    .fetch_optional(conn)
    .await
    })
    .map_err(db::Error::from)?;
    version.ok_or(Error::NotFound)
}

/// How often a provider's schedule has changed.
pub async fn schedule_version(tx: &mut Tx, provider: &ProviderId) -> Result<i64, db::Error> {
    let version: Option<i64> =
        on!(tx, |conn| sqlx::query_scalar(sql!("select schedule_version from provider where id = $1"))
            .bind(provider.as_str())
            .fetch_optional(conn)
            .await)?;
    Ok(version.unwrap_or(0))
}

/// Adds time off, and takes away what is `over` long since. [`Error::TooMuchTimeOff`] if there is no room. The provider's row is held.
pub async fn time_off_insert(
    tx: &mut Tx,
    db: &Db,
    provider: &ProviderId,
    Kept { id, time_off }: &Kept,
    over: DateTime<Utc>,
) -> Result<(), Error> {
    time_off_clear(tx, provider, over).await?;
    let count: i64 =
        on!(tx, |conn| sqlx::query_scalar(sql!("select count(*) from time_off where provider_id = $1"))
            .bind(provider.as_str())
            .fetch_one(conn)
            .await)
        .map_err(db::Error::from)?;
    if count >= i64::from(TIME_OFF_MAX) {
        return Err(Error::TooMuchTimeOff);
    }
    let (now, (starts_at, ends_at)) = (tx.now(), time_off.about());
    let body = db.vault().seal_json(&Subject::Service, place(id.as_str()), time_off).await?;
    on!(tx, |conn| sqlx::query(sql!(
        "insert into time_off (id, provider_id, starts_at, ends_at, created_at, body) values ($1, $2, $3, $4, $5, $6)"
    ))
    .bind(id.as_str())
    .bind(provider.as_str())
    .bind(starts_at)
    .bind(ends_at)
    .bind(now)
    .bind(&body)
    .execute(conn)
    .await
    .map(drop))
    .map_err(db::Error::from)?;
    Ok(())
}

/// A provider's time off that ends after a time, by when it begins. They are few: [`TIME_OFF_MAX`].
pub async fn time_off_list(
    tx: &mut Tx,
    db: &Db,
    provider: &ProviderId,
    after: DateTime<Utc>,
) -> Result<Vec<Kept>, db::Error> {
    let rows: Vec<Row> = on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select id, body from time_off where provider_id = $1 and ends_at > $2 order by starts_at, id limit $3"
    ))
    .bind(provider.as_str())
    .bind(after)
    .bind(i64::from(TIME_OFF_MAX))
    .fetch_all(conn)
    .await
    })?;
    let mut kept = Vec::with_capacity(rows.len());
    for Row { id, body } in rows {
        let time_off = db.vault().open_json(&Subject::Service, place(&id), &body).await?;
        kept.push(Kept { id: TimeOffId::trusted(id), time_off });
    }
    Ok(kept)
}

/// Takes time off away; tells whether the provider had it.
pub async fn time_off_delete(tx: &mut Tx, provider: &ProviderId, id: &TimeOffId) -> Result<bool, db::Error> {
    Ok(on!(tx, |conn| sqlx::query(sql!("delete from time_off where id = $1 and provider_id = $2"))
        .bind(id.as_str())
        .bind(provider.as_str())
        .execute(conn)
        .await
        .map(|done| done.rows_affected() == 1))?)
}

/// Takes away all of a provider's that ended by a time.
pub async fn time_off_clear(tx: &mut Tx, provider: &ProviderId, by: DateTime<Utc>) -> Result<(), db::Error> {
    Ok(on!(tx, |conn| sqlx::query(sql!("delete from time_off where provider_id = $1 and ends_at <= $2"))
        .bind(provider.as_str())
        .bind(by)
        .execute(conn)
        .await
        .map(drop))?)
}

/// Takes away all of a provider's.
pub async fn time_off_remove(tx: &mut Tx, provider: &ProviderId) -> Result<(), db::Error> {
    Ok(on!(tx, |conn| sqlx::query(sql!("delete from time_off where provider_id = $1"))
        .bind(provider.as_str())
        .execute(conn)
        .await
        .map(drop))?)
}
