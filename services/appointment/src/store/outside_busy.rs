//! The `outside_busy` table: when events of others keep a provider busy.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use contracts::id::{AppointmentId, ProviderId};
use db::{Db, Tx, on, sql};

use super::appointment::{Kept, Sealed};
use crate::domain::span::Span;
use crate::error::Error;

/// So many stretches of busy time are kept of one calendar.
const STRETCHES_MAX: usize = 50_000;

/// What an object outside is known by here.
pub fn object_hash(db: &Db, calendar: &str, href: &str) -> Result<Vec<u8>, db::Error> {
    db.vault().blind("outside object", &format!("{calendar}:{href}"))
}

/// The objects that keep somebody busy.
pub async fn objects_busy(tx: &mut Tx, calendar: &str) -> Result<BTreeSet<Vec<u8>>, db::Error> {
    let rows: Vec<Vec<u8>> = on!(tx, |conn| sqlx::query_scalar(sql!(
        "select distinct object from outside_busy where calendar = $1"
    ))
    .bind(calendar)
    .fetch_all(conn)
    .await)?;
    Ok(rows.into_iter().collect())
}

/// Whose time the events of a calendar take, in order.
pub async fn busy_providers(tx: &mut Tx, calendar: &str) -> Result<Vec<ProviderId>, db::Error> {
    let rows: Vec<String> = on!(tx, |conn| sqlx::query_scalar(sql!(
        "select distinct provider_id from outside_busy where calendar = $1 order by provider_id"
    ))
    .bind(calendar)
    .fetch_all(conn)
    .await)?;
    Ok(rows.into_iter().map(ProviderId::trusted).collect())
}

/// With whom those of our appointments are that stand in a calendar and are to be resolved, in order.
pub async fn conflict_providers(tx: &mut Tx, calendar: &str) -> Result<Vec<ProviderId>, db::Error> {
    let rows: Vec<String> = on!(tx, |conn| {
        sqlx::query_scalar(sql!(
        "select distinct a.provider_id from outside_event e join appointment a on a.id = e.appointment_id \
         where e.calendar = $1 and a.deleted_at is null and a.active and a.in_conflict order by a.provider_id"
    ))
    .bind(calendar)
    .fetch_all(conn)
    .await
    })?;
    Ok(rows.into_iter().map(ProviderId::trusted).collect())
}

/// How many more stretches of a calendar are kept.
pub async fn busy_room(tx: &mut Tx, calendar: &str) -> Result<usize, db::Error> {
    let kept: i64 =
        on!(tx, |conn| sqlx::query_scalar(sql!("select count(*) from outside_busy where calendar = $1"))
            .bind(calendar)
            .fetch_one(conn)
            .await)?;
    Ok(STRETCHES_MAX.saturating_sub(usize::try_from(kept).unwrap_or(usize::MAX)))
}

/// When an object keeps its owner busy from now on, of which so many stretches are kept as there is room for, beside those that it had. What has changed by
/// that: the stretches that were not there before, and those that are not there any more; and how much room there is left. Under the provider's lock.
pub async fn busy_replace(
    tx: &mut Tx,
    (calendar, object): (&str, &[u8]),
    provider: &ProviderId,
    busy: &[Span],
    room: usize,
) -> Result<(Vec<Span>, usize), db::Error> {
    let before: Vec<(DateTime<Utc>, DateTime<Utc>)> = on!(tx, |conn| sqlx::query_as(sql!(
        "delete from outside_busy where calendar = $1 and object = $2 returning starts_at, ends_at"
    ))
    .bind(calendar)
    .bind(object)
    .fetch_all(conn)
    .await)?;
    let before: BTreeSet<_> = before.into_iter().collect();
    let room = room + before.len();
    let after: BTreeSet<_> = busy.iter().map(|span| (span.starts_at, span.ends_at)).take(room).collect();
    for (starts_at, ends_at) in &after {
        on!(tx, |conn| {
            sqlx::query(sql!(
            "insert into outside_busy (calendar, object, starts_at, ends_at, provider_id) values ($1, $2, $3, $4, $5)"
        ))
        .bind(calendar)
        .bind(object)
        .bind(starts_at)
        .bind(ends_at)
        .bind(provider.as_str())
        .execute(conn)
        .await
        .map(drop)
        })?;
    }
    let changed = before.symmetric_difference(&after);
    let changed = changed.map(|(starts_at, ends_at)| Span { starts_at: *starts_at, ends_at: *ends_at });
    Ok((changed.collect(), room - after.len()))
}

/// Takes away what is over.
pub async fn busy_purge(tx: &mut Tx, calendar: &str, before: DateTime<Utc>) -> Result<(), db::Error> {
    on!(tx, |conn| sqlx::query(sql!("delete from outside_busy where calendar = $1 and ends_at < $2"))
        .bind(calendar)
        .bind(before)
        .execute(conn)
        .await
        .map(drop))?;
    Ok(())
}

/// Whether an event of somebody else's keeps the provider busy within a time.
pub async fn is_busy_outside(tx: &mut Tx, provider: &ProviderId, span: Span) -> Result<bool, db::Error> {
    let found: i64 = on!(tx, |conn| sqlx::query_scalar(sql!(
        "select count(*) from outside_busy where provider_id = $1 and ends_at > $2 and starts_at < $3"
    ))
    .bind(provider.as_str())
    .bind(span.starts_at)
    .bind(span.ends_at)
    .fetch_one(conn)
    .await)?;
    Ok(found > 0)
}

/// Refuses a time in which an event of somebody else's keeps the provider busy. Under the provider's lock.
pub(super) async fn outside_check(tx: &mut Tx, provider: &ProviderId, span: Span) -> Result<(), Error> {
    if is_busy_outside(tx, provider, span).await? { Err(Error::Overlap(Box::default())) } else { Ok(()) }
}

/// A provider's appointments that take some of a time, but for one that cannot be opened.
pub async fn appointments_within(
    tx: &mut Tx,
    db: &Db,
    provider: &ProviderId,
    span: Span,
) -> Result<Vec<Kept>, db::Error> {
    let rows: Vec<Sealed> = on!(tx, |conn| sqlx::query_as(sql!(
        "select id, version, patient_id, provider_id, starts_at, body from appointment \
         where deleted_at is null and active and provider_id = $1 and ends_at > $2 and starts_at < $3 \
         order by starts_at, id"
    ))
    .bind(provider.as_str())
    .bind(span.starts_at)
    .bind(span.ends_at)
    .fetch_all(conn)
    .await)?;
    let mut kept = Vec::with_capacity(rows.len());
    for row in rows {
        kept.extend(row.open_among(db).await?);
    }
    Ok(kept)
}

/// The ids of the appointments within a time: what may be ours in a calendar.
pub async fn appointment_ids_within(tx: &mut Tx, span: Span) -> Result<Vec<AppointmentId>, db::Error> {
    let rows: Vec<String> = on!(tx, |conn| sqlx::query_scalar(sql!(
        "select id from appointment where deleted_at is null and starts_at >= $1 and starts_at < $2"
    ))
    .bind(span.starts_at)
    .bind(span.ends_at)
    .fetch_all(conn)
    .await)?;
    Ok(rows.into_iter().map(AppointmentId::trusted).collect())
}
