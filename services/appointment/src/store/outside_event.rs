//! The `outside_event` table: what our appointments are in a calendar outside.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use contracts::id::AppointmentId;
use db::{Db, Tx, on, sql};
use sqlx::FromRow;

use super::feed::uid_hash;
use crate::domain::feed::Entry;
use crate::domain::span::Span;

/// So many are written in one go.
const BATCH: i64 = 200;

/// An appointment as it is in a calendar outside.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct OutsideEvent {
    /// Which.
    pub appointment_id: String,
    /// Where.
    pub href: String,
    /// As what. `None`: it is not known to be there.
    pub etag: Option<String>,
    /// Which version was written; 0: none that counts.
    pub version: i64,
    /// When it begins there.
    pub starts_at: DateTime<Utc>,
    /// When it is over there.
    pub ends_at: DateTime<Utc>,
}

impl OutsideEvent {
    /// The appointment's id.
    pub fn id(&self) -> AppointmentId {
        AppointmentId::trusted(self.appointment_id.clone())
    }

    /// When it is there.
    pub fn span(&self) -> Span {
        Span { starts_at: self.starts_at, ends_at: self.ends_at }
    }
}

/// All that is known of a calendar, by where it is there.
pub async fn events_known(tx: &mut Tx, calendar: &str) -> Result<HashMap<String, OutsideEvent>, db::Error> {
    let rows: Vec<OutsideEvent> = on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select appointment_id, href, etag, version, starts_at, ends_at from outside_event where calendar = $1"
    ))
    .bind(calendar)
    .fetch_all(conn)
    .await
    })?;
    Ok(rows.into_iter().map(|event| (event.href.clone(), event)).collect())
}

/// Keeps what is known of one.
pub async fn event_keep(tx: &mut Tx, calendar: &str, event: &OutsideEvent) -> Result<(), db::Error> {
    on!(tx, |conn| sqlx::query(sql!(
        "insert into outside_event (calendar, appointment_id, href, etag, version, starts_at, ends_at) \
         values ($1, $2, $3, $4, $5, $6, $7) on conflict (calendar, appointment_id) do update set \
             href = excluded.href, etag = excluded.etag, version = excluded.version, \
             starts_at = excluded.starts_at, ends_at = excluded.ends_at"
    ))
    .bind(calendar)
    .bind(&event.appointment_id)
    .bind(&event.href)
    .bind(&event.etag)
    .bind(event.version)
    .bind(event.starts_at)
    .bind(event.ends_at)
    .execute(conn)
    .await
    .map(drop))?;
    Ok(())
}

/// Forgets one that is not there any more.
pub async fn event_forget(tx: &mut Tx, calendar: &str, appointment: &str) -> Result<(), db::Error> {
    on!(tx, |conn| sqlx::query(sql!(
        "delete from outside_event where calendar = $1 and appointment_id = $2"
    ))
    .bind(calendar)
    .bind(appointment)
    .execute(conn)
    .await
    .map(drop))?;
    Ok(())
}

/// An appointment that is not in the calendar as it should be.
#[derive(Clone, Debug)]
pub struct Due {
    /// Its id.
    pub appointment_id: String,
    /// What is known of it there.
    pub known: Option<OutsideEvent>,
    /// As it is to be there.
    pub entry: Entry,
    /// Whether it is to be there at all.
    pub belongs: bool,
}

#[derive(FromRow)]
struct Row {
    id: String,
    version: i64,
    starts_at: DateTime<Utc>,
    ends_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    active: bool,
    provider_id: String,
    removed_at: Option<DateTime<Utc>>,
    href: Option<String>,
    etag: Option<String>,
    written: Option<i64>,
    there_from: Option<DateTime<Utc>>,
    there_to: Option<DateTime<Utc>>,
}

impl Row {
    fn due(self, db: &Db, provider: Option<&str>) -> Result<Due, db::Error> {
        let known = match (self.href, self.written, self.there_from, self.there_to) {
            (Some(href), Some(version), Some(starts_at), Some(ends_at)) => Some(OutsideEvent {
                appointment_id: self.id.clone(),
                href,
                etag: self.etag,
                version,
                starts_at,
                ends_at,
            }),
            _ => None,
        };
        let entry = Entry {
            uid: uid_hash(db, &self.id)?,
            version: self.version,
            starts_at: self.starts_at,
            ends_at: self.ends_at,
            changed_at: self.updated_at,
            is_active: self.active,
            provider_removed_at: self.removed_at,
        };
        let belongs = self.active && provider.is_none_or(|provider| provider == self.provider_id);
        Ok(Due { appointment_id: self.id, known, entry, belongs })
    }
}

/// Some of the appointments that are in the calendar and not as they should be: changed since they were written, or not to be there any more.
pub async fn events_behind(
    tx: &mut Tx,
    db: &Db,
    calendar: &str,
    provider: Option<&str>,
    after: &str,
) -> Result<Vec<Due>, db::Error> {
    let rows: Vec<Row> = on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select a.id, a.version, a.starts_at, a.ends_at, a.updated_at, a.active, a.provider_id, r.removed_at, \
             e.href, e.etag, e.version as written, e.starts_at as there_from, e.ends_at as there_to \
         from outside_event e join appointment a on a.id = e.appointment_id \
             left join removed_provider r on r.id = a.provider_id \
         where e.calendar = $1 and e.appointment_id > $4 \
             and (e.version < a.version or not a.active or not ($2 or a.provider_id = $3)) \
         order by e.appointment_id limit $5"
    ))
    .bind(calendar)
    .bind(provider.is_none())
    .bind(provider.unwrap_or_default())
    .bind(after)
    .bind(BATCH)
    .fetch_all(conn)
    .await
    })?;
    rows.into_iter().map(|row| row.due(db, provider)).collect()
}

/// Some of the appointments that are to take place within a time and are not in the calendar yet, in the order of their ids.
pub async fn events_missing(
    tx: &mut Tx,
    db: &Db,
    calendar: &str,
    provider: Option<&str>,
    (within, after): (Span, &str),
) -> Result<Vec<Due>, db::Error> {
    let rows: Vec<Row> = on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select a.id, a.version, a.starts_at, a.ends_at, a.updated_at, a.active, a.provider_id, r.removed_at, \
             e.href, e.etag, e.version as written, e.starts_at as there_from, e.ends_at as there_to \
         from appointment a left join removed_provider r on r.id = a.provider_id \
             left join outside_event e on e.calendar = $1 and e.appointment_id = a.id \
         where a.deleted_at is null and a.active and ($2 or a.provider_id = $3) and a.starts_at >= $4 and a.starts_at < $5 \
             and e.appointment_id is null and a.id > $6 \
         order by a.id limit $7"
    ))
    .bind(calendar)
    .bind(provider.is_none())
    .bind(provider.unwrap_or_default())
    .bind(within.starts_at)
    .bind(within.ends_at)
    .bind(after)
    .bind(BATCH)
    .fetch_all(conn)
    .await
    })?;
    rows.into_iter().map(|row| row.due(db, provider)).collect()
}

/// How many appointments are not in the calendar as they should be.
pub async fn events_due(
    tx: &mut Tx,
    calendar: &str,
    provider: Option<&str>,
    within: Span,
) -> Result<i64, db::Error> {
    Ok(on!(tx, |conn| {
        sqlx::query_scalar(sql!(
        "select (select count(*) from outside_event e join appointment a on a.id = e.appointment_id \
                 where e.calendar = $1 and (e.version < a.version or not a.active or not ($2 or a.provider_id = $3))) \
             + (select count(*) from appointment a \
                where a.deleted_at is null and a.active and ($2 or a.provider_id = $3) \
                    and a.starts_at >= $4 and a.starts_at < $5 \
                    and not exists (select 1 from outside_event e where e.calendar = $1 and e.appointment_id = a.id))"
    ))
    .bind(calendar)
    .bind(provider.is_none())
    .bind(provider.unwrap_or_default())
    .bind(within.starts_at)
    .bind(within.ends_at)
    .fetch_one(conn)
    .await
    })?)
}
