//! What providers tell of notifications that were handed on, and what staff does with those that have failed.

use chrono::{DateTime, Utc};
use contracts::id::NotificationId;
use contracts::notifications::{Channel, NotificationStatus};
use db::{Db, Tx, on, sql};

use crate::domain::delivery::Refusal;
use crate::store::again::HandOver;
use crate::store::notification::{CHANNELS, STATUSES, channel_name, status_name};

/// Notes that a notification arrived; `false` if there is none that this is news of. Where it stands goes forward only.
pub async fn notification_delivered(tx: &mut Tx, of: &HandOver<'_>) -> Result<bool, db::Error> {
    let now = tx.now();
    let rows = on!(tx, |conn| {
        sqlx::query(sql!(
        "update notification set version = version + 1, status = 'Sent', sent_at = coalesce(sent_at, $3), delivered_at = $3, \
             error = null, provider_code = null, next_attempt_at = null, claim = null, unsure_adapter = null \
         where id = $1 and channel = $2 and turn = $4 and delivered_at is null and status in ('Queued', 'Sent')"
    ))
    .bind(of.id.as_str())
    .bind(channel_name(of.channel))
    .bind(now)
    .bind(of.turn)
    .execute(conn)
    .await
    .map(|done| done.rows_affected())
    })?;
    Ok(rows == 1)
}

/// Notes that a notification came back; `false` if there is none that this is news of.
pub async fn notification_bounced(
    tx: &mut Tx,
    of: &HandOver<'_>,
    refusal: &Refusal,
) -> Result<bool, db::Error> {
    let now = tx.now();
    let rows = on!(tx, |conn| {
        sqlx::query(sql!(
        "update notification set version = version + 1, status = 'Failed', sent_at = coalesce(sent_at, $5), error = $3, provider_code = $4, \
             next_attempt_at = null, claim = null, unsure_adapter = null \
         where id = $1 and channel = $2 and turn = $6 and delivered_at is null and status in ('Queued', 'Sent')"
    ))
    .bind(of.id.as_str())
    .bind(channel_name(of.channel))
    .bind(&refusal.why)
    .bind(&refusal.code)
    .bind(now)
    .bind(of.turn)
    .execute(conn)
    .await
    .map(|done| done.rows_affected())
    })?;
    Ok(rows == 1)
}

/// Notes why a notification that was handed on is not there yet.
pub async fn notification_delayed(tx: &mut Tx, of: &HandOver<'_>, delay: &Refusal) -> Result<(), db::Error> {
    on!(tx, |conn| {
        sqlx::query(sql!(
            "update notification set version = version + 1, error = $3, provider_code = $4 \
             where id = $1 and channel = $2 and turn = $5 and delivered_at is null and status = 'Sent'"
        ))
        .bind(of.id.as_str())
        .bind(channel_name(of.channel))
        .bind(&delay.why)
        .bind(&delay.code)
        .bind(of.turn)
        .execute(conn)
        .await
        .map(drop)
    })?;
    Ok(())
}

/// Notes that somebody complained of a notification; `false` if there is none that this is news of.
pub async fn notification_complained(tx: &mut Tx, of: &HandOver<'_>) -> Result<bool, db::Error> {
    let now = tx.now();
    let rows = on!(tx, |conn| {
        sqlx::query(sql!(
            "update notification set version = version + 1, complained_at = $3 \
             where id = $1 and channel = $2 and turn = $4 and complained_at is null and status in ('Queued', 'Sent')"
        ))
        .bind(of.id.as_str())
        .bind(channel_name(of.channel))
        .bind(now)
        .bind(of.turn)
        .execute(conn)
        .await
        .map(|done| done.rows_affected())
    })?;
    Ok(rows == 1)
}

/// Puts a notification that has failed in the queue once more; its new version, or `None` if it has not failed. What came back is handed on under another name,
/// so that what is still told of it is no news of this.
pub async fn notification_replay(tx: &mut Tx, id: &NotificationId) -> Result<Option<i64>, db::Error> {
    let now = tx.now();
    Ok(on!(tx, |conn| {
        sqlx::query_scalar(sql!(
        "update notification set version = version + 1, status = 'Queued', error = null, provider_code = null, sent_at = null, \
             attempts = 0, next_attempt_at = $2, replayed_at = $2, claim = null, unsure_adapter = null, \
             turn = turn + case when sent_at is null then 0 else 1 end \
         where id = $1 and status = 'Failed' and expires_at > $2 returning version"
    ))
    .bind(id.as_str())
    .bind(now)
    .fetch_optional(conn)
    .await
    })?)
}

/// Whether some notification goes by this name of the provider's.
pub async fn notification_is_known_as(db: &Db, name: &str) -> Result<bool, db::Error> {
    let (mut tx, hash) = (db.read().await?, provider_ref(db, name)?);
    let found: i64 = on!(tx, |conn| sqlx::query_scalar(sql!(
        "select count(*) from notification where provider_ref = $1"
    ))
    .bind(&hash)
    .fetch_one(conn)
    .await)?;
    Ok(found > 0)
}

/// What is kept of the provider's name for a notification.
pub(super) fn provider_ref(db: &Db, name: &str) -> Result<Vec<u8>, db::Error> {
    db.vault().blind("provider ref", name)
}

/// How many that were asked for in this stretch stand where.
pub async fn notifications_count(
    tx: &mut Tx,
    (from, until): (DateTime<Utc>, DateTime<Utc>),
) -> Result<Vec<(Channel, NotificationStatus, u64)>, db::Error> {
    let now = tx.now();
    let rows: Vec<(String, String, i64)> = on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select channel, case when delivered_at is null then status else 'Delivered' end as stands, count(*) \
         from notification where created_at >= $1 and created_at < $2 and expires_at > $3 \
         group by channel, case when delivered_at is null then status else 'Delivered' end order by channel, stands"
    ))
    .bind(from)
    .bind(until)
    .bind(now)
    .fetch_all(conn)
    .await
    })?;
    let known = |(channel, status, count): (String, String, i64)| {
        let channel = CHANNELS.into_iter().find(|it| channel_name(*it) == channel)?;
        let status = STATUSES.into_iter().find(|it| status_name(*it) == status)?;
        Some((channel, status, u64::try_from(count).unwrap_or(0)))
    };
    Ok(rows.into_iter().filter_map(known).collect())
}
