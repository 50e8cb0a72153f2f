//! What came of notifications that were handed on: by providers' word, and by what their readers did.

use chrono::{DateTime, Utc};
use contracts::deliveries::NotificationEffect;
use contracts::id::NotificationId;
use db::{Tx, on, sql};
use sqlx::FromRow;

use crate::store::notification::{channel_of, kind_of};

/// Counts that somebody followed a link in a notification, under the patient's lock if it concerns one.
pub async fn notification_followed(tx: &mut Tx, id: &NotificationId) -> Result<(), db::Error> {
    let now = tx.now();
    on!(tx, |conn| {
        sqlx::query(sql!(
            "update notification set version = version + 1, clicks = clicks + 1, first_clicked_at = coalesce(first_clicked_at, $2) where id = $1"
        ))
        .bind(id.as_str())
        .bind(now)
        .execute(conn)
        .await
        .map(drop)
    })?;
    Ok(())
}

/// What came of the notifications that were asked for in this stretch and handed on: how many there are of a channel and type, arrived, came back, were
/// complained of, followed and answered. One that came back by one channel and went by another is one of each.
pub async fn notifications_effects(
    tx: &mut Tx,
    (from, until): (DateTime<Utc>, DateTime<Utc>),
) -> Result<Vec<NotificationEffect>, db::Error> {
    let now = tx.now();
    let rows: Vec<Effects> = on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select channel, kind, count(*) as sent, count(delivered_at) as delivered, \
             count(case when status in ('Failed', 'Scheduled', 'Withdrawn') then 1 end) as bounced, count(complained_at) as complained, \
             count(first_clicked_at) as clicked, cast(sum(clicks) as bigint) as clicks, \
             count(case when answer = 'confirm' then 1 end) as confirmed, count(case when answer = 'cancel' then 1 end) as cancelled \
         from ( \
             select channel, kind, status, delivered_at, complained_at, first_clicked_at, clicks, answer from notification \
             where created_at >= $1 and created_at < $2 and expires_at > $3 and sent_at is not null \
             union all \
             select came_back.channel, kind, 'Failed', null, null, null, 0, null \
             from came_back join notification on notification.id = came_back.notification_id \
             where created_at >= $1 and created_at < $2 and expires_at > $3 and came_back.sent_at is not null \
         ) as handed_on \
         group by channel, kind order by channel, kind"
    ))
    .bind(from)
    .bind(until)
    .bind(now)
    .fetch_all(conn)
    .await
    })?;
    Ok(rows.into_iter().filter_map(Effects::view).collect())
}

#[derive(FromRow)]
struct Effects {
    channel: String,
    kind: String,
    sent: i64,
    delivered: i64,
    bounced: i64,
    complained: i64,
    clicked: i64,
    clicks: i64,
    confirmed: i64,
    cancelled: i64,
}

impl Effects {
    fn view(self) -> Option<NotificationEffect> {
        let count = |count: i64| u64::try_from(count).unwrap_or(0);
        Some(NotificationEffect {
            channel: channel_of(&self.channel)?,
            kind: kind_of(&self.kind)?,
            sent: count(self.sent),
            delivered: count(self.delivered),
            bounced: count(self.bounced),
            complained: count(self.complained),
            clicked: count(self.clicked),
            clicks: count(self.clicks),
            confirmed: count(self.confirmed),
            cancelled: count(self.cancelled),
        })
    }
}
