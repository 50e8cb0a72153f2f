//! The channels through which calendars outside tell that they have changed: columns of the `outside_calendar` table.

use chrono::{DateTime, Utc};
use contracts::id::WatchId;
use db::{Db, Tx, on, sql};
use sqlx::FromRow;

use crate::outside::Channel;
use crate::store::outside::{Lease, Lost, lease_hold};

/// What there is of a calendar's channel.
#[derive(Clone, Debug, Default, FromRow)]
pub struct Watch {
    /// Which; none: there is no channel.
    pub watch_id: Option<String>,
    /// What it tells of, as the other side calls it.
    pub watch_resource: Option<String>,
    /// When it ends.
    pub watch_until: Option<DateTime<Utc>>,
    /// When one was asked for last, whatever came of it.
    pub watch_asked_at: Option<DateTime<Utc>>,
}

/// What a channel's token is: nobody who was not told it knows it, and it need not be kept.
pub fn watch_token(db: &Db, id: &WatchId) -> Result<String, db::Error> {
    Ok(data_encoding::BASE64URL_NOPAD.encode(&db.vault().blind("calendar watch", id.as_str())?))
}

/// A calendar's channel.
pub async fn watch_of(tx: &mut Tx, name: &str) -> Result<Watch, db::Error> {
    let watch: Option<Watch> = on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select watch_id, watch_resource, watch_until, watch_asked_at from outside_calendar where name = $1"
    ))
    .bind(name)
    .fetch_optional(conn)
    .await
    })?;
    Ok(watch.unwrap_or_default())
}

/// Notes that a channel was asked for, and which there is now, if there is a new one.
pub async fn watch_note(db: &Db, lease: &Lease, new: Option<(&WatchId, &Channel)>) -> Result<(), Lost> {
    db::retrying(db, async |mut tx| {
        lease_hold(&mut tx, lease).await?;
        let now = tx.now();
        on!(tx, |conn| sqlx::query(sql!(
            "update outside_calendar set watch_asked_at = $2, watch_id = coalesce($3, watch_id), \
                 watch_resource = coalesce($4, watch_resource), watch_until = coalesce($5, watch_until) \
             where name = $1"
        ))
        .bind(&lease.calendar)
        .bind(now)
        .bind(new.map(|(id, _)| id.as_str()))
        .bind(new.map(|(_, channel)| channel.resource.as_str()))
        .bind(new.map(|(_, channel)| channel.until))
        .execute(conn)
        .await
        .map(drop))
        .map_err(db::Error::from)?;
        Ok(tx.commit_unaudited().await?)
    })
    .await
}

/// Has the calendar of a channel looked at now, or again if somebody is at it; `false`: there is no such channel. One that failed waits as long as it is
/// to: whoever asks too often is not let ask more often by what is told.
pub async fn watch_heard(db: &Db, id: &WatchId) -> Result<bool, db::Error> {
    db::retrying(db, async |mut tx| {
        let now = tx.now();
        let heard = on!(tx, |conn| sqlx::query(sql!(
            "update outside_calendar set told_at = $2, next_at = case when failures = 0 and next_at > $2 then $2 else next_at end \
             where watch_id = $1"
        ))
        .bind(id.as_str())
        .bind(now)
        .execute(conn)
        .await
        .map(|done| done.rows_affected()))?;
        tx.commit_unaudited().await?;
        Ok(heard == 1)
    })
    .await
}
