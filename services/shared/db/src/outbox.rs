//! The outbox: an event is kept in the transaction that caused it, and delivered at least once to each subscriber.
//!
//! Rows are claimed, never read by `id > cursor`: commits land out of order, and a cursor would pass over the late ones.
//! A claim is a lease: it moves `next_attempt_at` past the time that a delivery may take, so a relay that dies loses
//! nothing. Order between events is not promised: a subscriber decides by the versions in them.
//!
//! Delivering is not done here; the relay stands in `http-kit`.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use settings::ServiceName;
use sqlx::FromRow;

use crate::vault::{Period, Place, Subject};
use crate::{Db, Error, Tx, on, sql};

/// Days for which an event can be delivered after the day it was made; then its key is wiped.
const KEEP_DAYS: u32 = 40;
/// How long a claimed event is left to its claimer.
const LEASE: TimeDelta = TimeDelta::seconds(60);
const BACKOFF_SECONDS_MAX: i64 = 15 * 60;
const ERROR_CHARS_MAX: usize = 200;

/// An event to be kept.
#[derive(Debug)]
pub struct OutboxEvent<'a, B: ?Sized> {
    /// Its id, by which subscribers know it again.
    pub id: String,
    /// Such as `patient.erased.v1`.
    pub name: &'a str,
    /// The patient it is about, if any.
    pub subject_patient: Option<&'a str>,
    /// Who gets it. None: nothing is kept.
    pub subscribers: &'a [ServiceName],
    /// What is delivered. Sealed.
    pub body: &'a B,
    /// When it happened.
    pub occurred_at: DateTime<Utc>,
}

/// An event that this relay, and no other, may deliver until its lease ends (60 s).
#[derive(Clone, Debug)]
pub struct ClaimedEvent {
    /// The event's id.
    pub event_id: String,
    /// Whom to deliver it to, as in [`ServiceName::as_str`].
    pub subscriber: String,
    /// Such as `patient.erased.v1`.
    pub name: String,
    /// The patient it is about, if any.
    pub subject_patient: Option<String>,
    /// What to deliver: the JSON of [`OutboxEvent::body`].
    pub body: Vec<u8>,
    /// When it happened.
    pub occurred_at: DateTime<Utc>,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    claim: Vec<u8>,
}

/// What still waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// Deliveries.
    pub rows: u64,
    /// When the oldest of them happened.
    pub oldest: Option<DateTime<Utc>>,
    /// When the next may be attempted.
    pub next_attempt_at: Option<DateTime<Utc>>,
}

#[derive(FromRow)]
struct Row {
    event_id: String,
    subscriber: String,
    name: String,
    subject_patient: Option<String>,
    body: Vec<u8>,
    occurred_at: DateTime<Utc>,
    created_at: DateTime<Utc>,
    attempts: i64,
}

fn subject(created_at: DateTime<Utc>) -> Subject<'static> {
    Subject::Period(Period::day("outbox", created_at, KEEP_DAYS))
}

fn place(event_id: &str) -> Place<'_> {
    Place { table: "outbox", column: "body", row: event_id }
}

/// Keeps an event, one row per subscriber, and wakes the relay after the commit.
///
/// Sealed under the day's key and not the patient's: an event that tells of an erasure must outlive the patient's key.
pub async fn outbox_add<B: Serialize + ?Sized>(
    tx: &mut Tx,
    db: &Db,
    event: &OutboxEvent<'_, B>,
) -> Result<(), Error> {
    if event.subscribers.is_empty() {
        return Ok(());
    }
    let now = tx.now();
    let body = db.vault().seal_json(&subject(now), place(&event.id), event.body).await?;
    for subscriber in event.subscribers {
        on!(tx, |conn| {
            sqlx::query(sql!(
            "insert into outbox (event_id, subscriber, name, subject_patient, body, occurred_at, created_at, attempts, \
             next_attempt_at) values ($1, $2, $3, $4, $5, $6, $7, 0, $7)"
        ))
        .bind(&event.id)
        .bind(subscriber.as_str())
        .bind(event.name)
        .bind(event.subject_patient)
        .bind(&body)
        .bind(event.occurred_at)
        .bind(now)
        .execute(conn)
        .await
        .map(drop)
        })?;
    }
    tx.wake_outbox(db.outbox_notify());
    Ok(())
}

/// Claims up to `limit` events that are due, oldest first. No two claimers get the same one.
pub async fn outbox_claim(db: &Db, limit: u32) -> Result<Vec<ClaimedEvent>, Error> {
    let claim = db.random().bytes::<16>().to_vec();
    let mut tx = db.begin().await?;
    // Relays take turns for the few milliseconds of a claim. Without this, two of them on PostgreSQL would pick the same
    // rows: one would wait for the other's row locks and then find nothing, or both would deadlock.
    tx.lock(&["outbox"]).await?;
    let now = tx.now();
    let rows: Vec<Row> = on!(tx, |conn| sqlx::query_as(sql!(
        "update outbox set claim = $1, next_attempt_at = $2, attempts = attempts + 1 \
         where next_attempt_at <= $3 and (event_id, subscriber) in ( \
             select event_id, subscriber from outbox where next_attempt_at <= $3 \
             order by next_attempt_at, event_id, subscriber limit $4) \
         returning event_id, subscriber, name, subject_patient, body, occurred_at, created_at, attempts"
    ))
    .bind(&claim)
    .bind(now + LEASE)
    .bind(now)
    .bind(i64::from(limit))
    .fetch_all(conn)
    .await)?;
    tx.commit_unaudited().await?;

    let mut events = Vec::with_capacity(rows.len());
    for row in rows {
        let sealed = db.vault().open(&subject(row.created_at), place(&row.event_id), &row.body).await;
        let body = match sealed {
            Ok(body) => body,
            // One that cannot be opened must not keep the others back: it stays, and the purge counts it as lost.
            Err(error @ (Error::Sealed(_) | Error::KeyDestroyed { .. })) => {
                tracing::error!(event_id = row.event_id, %error, "an outbox event cannot be opened");
                continue;
            }
            Err(error) => return Err(error),
        };
        events.push(ClaimedEvent {
            event_id: row.event_id,
            subscriber: row.subscriber,
            name: row.name,
            subject_patient: row.subject_patient,
            body,
            occurred_at: row.occurred_at,
            attempt: u32::try_from(row.attempts).unwrap_or(u32::MAX),
            claim: claim.clone(),
        });
    }
    events.sort_by(|a, b| (a.occurred_at, &a.event_id).cmp(&(b.occurred_at, &b.event_id)));
    Ok(events)
}

/// Lets go of what a process before this one had claimed, for whoever is the only one: on SQLite one process has the database at a time, and what
/// that did not deliver before it was killed need not wait for its lease to end.
pub async fn outbox_release(db: &Db) -> Result<(), Error> {
    let mut tx = db.begin().await?;
    let now = tx.now();
    on!(tx, |conn| sqlx::query(sql!(
        "update outbox set claim = null, next_attempt_at = $1 where claim is not null"
    ))
    .bind(now)
    .execute(conn)
    .await
    .map(drop))?;
    tx.commit_unaudited().await
}

/// Whether every subscriber has it.
pub async fn outbox_is_delivered(db: &Db, event_id: &str) -> Result<bool, Error> {
    let mut tx = db.read().await?;
    let waiting: i64 =
        on!(tx, |conn| sqlx::query_scalar(sql!("select count(*) from outbox where event_id = $1"))
            .bind(event_id)
            .fetch_one(conn)
            .await)?;
    Ok(waiting == 0)
}

/// The subscriber has it.
pub async fn outbox_delivered(db: &Db, event: &ClaimedEvent) -> Result<(), Error> {
    let mut tx = db.begin().await?;
    // Whoever's claim it is by now: it is delivered.
    on!(tx, |conn| sqlx::query(sql!("delete from outbox where event_id = $1 and subscriber = $2"))
        .bind(&event.event_id)
        .bind(&event.subscriber)
        .execute(conn)
        .await
        .map(drop))?;
    tx.commit_unaudited().await
}

/// The subscriber did not take it: tried again after 1, 2, 4 … seconds, at most 15 minutes, somewhat at random, and not
/// before `not_before` (the subscriber's `Retry-After`). Returns when. `error` says why in a few words without data.
pub async fn outbox_failed(
    db: &Db,
    event: &ClaimedEvent,
    not_before: Option<DateTime<Utc>>,
    error: &str,
) -> Result<DateTime<Utc>, Error> {
    let seconds = 1_i64.checked_shl(event.attempt.saturating_sub(1).min(30)).unwrap_or(i64::MAX);
    let millis = seconds.min(BACKOFF_SECONDS_MAX) * 1000;
    // Between half and all of it: subscribers that come back are not met by every event at once.
    let jitter = db.random().below(u64::try_from(millis / 2).unwrap_or(0) + 1);
    let wait = TimeDelta::milliseconds(millis / 2 + i64::try_from(jitter).unwrap_or(0));

    let mut tx = db.begin().await?;
    let earliest = tx.now() + wait;
    let next_attempt_at = not_before.map_or(earliest, |not_before| not_before.max(earliest));
    let error: String = error.chars().take(ERROR_CHARS_MAX).collect();
    on!(tx, |conn| sqlx::query(sql!(
        "update outbox set next_attempt_at = $1, last_error = $2, claim = null \
         where event_id = $3 and subscriber = $4 and claim = $5"
    ))
    .bind(next_attempt_at)
    .bind(&error)
    .bind(&event.event_id)
    .bind(&event.subscriber)
    .bind(&event.claim)
    .execute(conn)
    .await
    .map(drop))?;
    tx.commit_unaudited().await?;
    Ok(next_attempt_at)
}

/// What still waits: for metrics, and for a relay that wants to sleep just long enough.
pub async fn outbox_backlog(db: &Db) -> Result<Backlog, Error> {
    let mut tx = db.read().await?;
    let (rows, oldest, next_attempt_at): (i64, Option<DateTime<Utc>>, Option<DateTime<Utc>>) = on!(
        tx,
        |conn| sqlx::query_as(sql!("select count(*), min(occurred_at), min(next_attempt_at) from outbox"))
            .fetch_one(conn)
            .await
    )?;
    Ok(Backlog { rows: u64::try_from(rows).unwrap_or(0), oldest, next_attempt_at })
}

/// Takes away what can no longer be opened. Returns how many deliveries that loses.
pub(crate) async fn outbox_purge(tx: &mut Tx) -> Result<u64, Error> {
    let before = tx.now() - TimeDelta::days(i64::from(KEEP_DAYS) + 1);
    Ok(on!(tx, |conn| sqlx::query(sql!("delete from outbox where created_at <= $1"))
        .bind(before)
        .execute(conn)
        .await
        .map(|done| done.rows_affected()))?)
}
