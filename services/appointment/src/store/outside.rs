//! The `outside_calendar` table: how far each calendar outside is, and who is at it.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use db::{Db, Tx, on, sql};
use sqlx::FromRow;

use crate::domain::outside::{Standing, State};

/// Whoever has not said for so long that they are at it is gone.
const LEASE: TimeDelta = TimeDelta::seconds(60);

/// Why what was found out cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    /// Another one is at it by now.
    #[error("another worker has taken the calendar over")]
    Lease,
    /// The database.
    #[error(transparent)]
    Db(#[from] db::Error),
}

impl db::Retry for Lost {
    fn is_retryable(&self) -> bool {
        matches!(self, Self::Db(error) if error.is_retryable())
    }
}

/// Who is at a calendar.
#[derive(Clone, Debug)]
pub struct Lease {
    /// Which calendar.
    pub calendar: String,
    /// What it is: one of the same name at another address is not theirs.
    pub target: Vec<u8>,
    /// By whom: one of a kind, for each process and start.
    pub by: String,
}

/// How far a calendar is.
#[derive(Clone, FromRow)]
pub struct Progress {
    /// What to ask with for what has changed since.
    pub sync_token: Option<String>,
    /// When all of it was last read.
    pub whole_at: Option<DateTime<Utc>>,
    /// How often it failed, one after the other.
    pub failures: i64,
}

/// The calendars that are known, by name and by what each is.
pub async fn calendars_kept(tx: &mut Tx) -> Result<Vec<(String, Vec<u8>)>, db::Error> {
    Ok(on!(tx, |conn| sqlx::query_as(sql!("select name, target from outside_calendar order by name"))
        .fetch_all(conn)
        .await)?)
}

/// The names of those that were looked at, or could not be.
pub async fn calendars_tried(tx: &mut Tx) -> Result<BTreeSet<String>, db::Error> {
    let names: Vec<String> = on!(tx, |conn| {
        sqlx::query_scalar(sql!("select name from outside_calendar where state <> $1"))
            .bind(State::Pending.name())
            .fetch_all(conn)
            .await
    })?;
    Ok(names.into_iter().collect())
}

/// Adds a calendar, if it is not there.
pub async fn calendar_add(tx: &mut Tx, name: &str, target: &[u8]) -> Result<(), db::Error> {
    let now = tx.now();
    on!(tx, |conn| sqlx::query(sql!(
        "insert into outside_calendar (name, target, next_at, state) values ($1, $2, $3, $4) \
         on conflict (name) do nothing"
    ))
    .bind(name)
    .bind(target)
    .bind(now)
    .bind(State::Pending.name())
    .execute(conn)
    .await
    .map(drop))?;
    Ok(())
}

/// Takes away a calendar, and what is known of it.
pub async fn calendar_forget(tx: &mut Tx, name: &str) -> Result<(), db::Error> {
    on!(tx, |conn| sqlx::query(sql!("delete from outside_busy where calendar = $1"))
        .bind(name)
        .execute(conn)
        .await
        .map(drop))?;
    on!(tx, |conn| sqlx::query(sql!("delete from outside_event where calendar = $1"))
        .bind(name)
        .execute(conn)
        .await
        .map(drop))?;
    on!(tx, |conn| sqlx::query(sql!("delete from outside_calendar where name = $1"))
        .bind(name)
        .execute(conn)
        .await
        .map(drop))?;
    Ok(())
}

/// Takes a calendar that is due and that nobody is at. `None`: it is not, or somebody is, or it is another by that name.
pub async fn lease_take(db: &Db, lease: &Lease) -> Result<Option<Progress>, db::Error> {
    let mut tx = db.read().await?;
    let now = tx.now();
    let is_due: i64 = on!(tx, |conn| sqlx::query_scalar(sql!(
        "select count(*) from outside_calendar \
         where name = $1 and next_at <= $2 and (lease_until is null or lease_until <= $2) and target = $3"
    ))
    .bind(&lease.calendar)
    .bind(now)
    .bind(lease.target.as_slice())
    .fetch_one(conn)
    .await)?;
    drop(tx);
    if is_due == 0 {
        return Ok(None);
    }
    db::retrying(db, async |mut tx| {
        let now = tx.now();
        let progress: Option<Progress> = on!(tx, |conn| sqlx::query_as(sql!(
            "update outside_calendar set lease_by = $2, lease_until = $3, told_at = null \
             where name = $1 and next_at <= $4 and (lease_until is null or lease_until <= $4) and target = $5 \
             returning sync_token, whole_at, failures"
        ))
        .bind(&lease.calendar)
        .bind(&lease.by)
        .bind(now + LEASE)
        .bind(now)
        .bind(lease.target.as_slice())
        .fetch_optional(conn)
        .await)?;
        tx.commit().await?;
        Ok(progress)
    })
    .await
}

/// Whether whoever writes still has the lease, in the transaction of what they write: then they have it for some time more.
pub async fn lease_hold(tx: &mut Tx, lease: &Lease) -> Result<(), Lost> {
    let now = tx.now();
    let held = on!(tx, |conn| sqlx::query(sql!(
        "update outside_calendar set lease_until = $3 where name = $1 and lease_by = $2"
    ))
    .bind(&lease.calendar)
    .bind(&lease.by)
    .bind(now + LEASE)
    .execute(conn)
    .await
    .map(|done| done.rows_affected()))
    .map_err(db::Error::from)?;
    if held == 1 { Ok(()) } else { Err(Lost::Lease) }
}

/// What came of being at a calendar.
#[derive(Clone)]
pub struct Outcome<'a> {
    /// Where it stands now.
    pub state: State,
    /// Why, in words without anybody's data.
    pub error: Option<&'a str>,
    /// What to ask with next time; `None`: for all of it.
    pub sync_token: Option<&'a str>,
    /// When all of it was last read.
    pub whole_at: Option<DateTime<Utc>>,
    /// How often it failed, one after the other.
    pub failures: i64,
    /// When to be at it again.
    pub next_at: DateTime<Utc>,
}

/// Keeps what came of it, and gives the lease back.
pub async fn lease_return(db: &Db, lease: &Lease, outcome: &Outcome<'_>) -> Result<(), Lost> {
    db::retrying(db, async |mut tx| {
        lease_hold(&mut tx, lease).await?;
        let now = tx.now();
        on!(tx, |conn| sqlx::query(sql!(
            "update outside_calendar set lease_by = null, lease_until = null, state = $2, error = $3, sync_token = $4, \
                 whole_at = $5, failures = $6, next_at = case when told_at is not null and $9 then told_at else $7 end, \
                 last_sync_at = coalesce($8, last_sync_at) \
             where name = $1"
        ))
        .bind(&lease.calendar)
        .bind(outcome.state.name())
        .bind(outcome.error)
        .bind(outcome.sync_token)
        .bind(outcome.whole_at)
        .bind(outcome.failures)
        .bind(outcome.next_at)
        .bind((outcome.failures == 0).then_some(now))
        .bind(outcome.failures == 0)
        .execute(conn)
        .await
        .map(drop))
        .map_err(db::Error::from)?;
        Ok(tx.commit_unaudited().await?)
    })
    .await
}

#[derive(FromRow)]
struct Row {
    state: String,
    error: Option<String>,
    last_sync_at: Option<DateTime<Utc>>,
    watch_until: Option<DateTime<Utc>>,
}

/// Where a calendar stands.
pub async fn calendar_standing(tx: &mut Tx, name: &str, target: &[u8]) -> Result<Standing, db::Error> {
    let row: Option<Row> = on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select state, error, last_sync_at, watch_until from outside_calendar where name = $1 and target = $2"
    ))
    .bind(name)
    .bind(target)
    .fetch_optional(conn)
    .await
    })?;
    Ok(row.map_or_else(Standing::default, |row| Standing {
        state: State::named(&row.state),
        error: row.error,
        last_sync_at: row.last_sync_at,
        told_until: row.watch_until,
    }))
}
